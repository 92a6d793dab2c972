from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cells import discs, named

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.labels.labelling import Labelling
from napari_tincture.training.labels.pictures import LabelPicture, open_labels
from napari_tincture.training.labels.targets import instance_targets
from napari_tincture.training.labels.weight_map import split_touching, weight_map

CLASSES = Labelling("classes", 0, Labelling.of({"classes": [3, 250, 8]}).classes)


def picture(labels: Any, labelling: Labelling = CLASSES) -> LabelPicture:
    raster = labels if isinstance(labels, Raster) else named(labels)
    (found,) = open_labels({"images": [raster]}, ".", labelling).pictures
    assert isinstance(found, LabelPicture)
    return found


def on(image: Raster, labels: Raster) -> LabelPicture:
    pairs = Pairs.match(Domain.open([image]), open_labels({"images": [labels]}, ".", CLASSES))
    (found,) = pairs.b.pictures
    assert isinstance(found, LabelPicture)
    return found


def test_classes_are_numbered_in_their_order_and_others_count_for_nothing() -> None:
    labels = np.array([[0, 3, 250], [8, 5, 3]], np.uint16)
    found = picture(labels).read(slice(0, 2), slice(0, 3))
    assert found.tolist() == [[[-1, 0, 1], [2, -1, 0]]]
    mirrored = picture(labels).read(slice(-1, 2), slice(0, 4))
    np.testing.assert_array_equal(mirrored[0], np.pad(found[0], ((1, 0), (0, 1)), "reflect"))


def test_several_values_may_mean_one_class() -> None:
    classes = [{"value": 3, "also": [7, 1]}, {"value": 5, "name": "rest"}]
    labelling = Labelling.of({"classes": classes})
    labels = np.array([[0, 3, 7], [5, 1, 2]], np.uint8)
    found = picture(labels, labelling).read(slice(0, 2), slice(0, 3))
    assert found.tolist() == [[[-1, 0, 0], [1, 0, -1]]]
    assert Labelling.of({"classes": labelling.to_json()}) == labelling
    assert [channel.value for channel in labelling.outputs] == [3, 5]
    with pytest.raises(InputError, match=r"\[3, 7, 7\].*each value once"):
        Labelling.of({"classes": [{"value": 3, "also": [7]}, 7]})
    with pytest.raises(InputError, match="0 is a class and unlabelled"):
        Labelling.of({"classes": [{"value": 3, "also": [0]}, 7]})


def test_maps_are_those_of_the_whole_image_in_any_window() -> None:
    _, objects = discs(side=80, count=12)
    ids = objects.astype(np.int64) * 2**33
    whole = picture(ids, Labelling("instances"))
    wanted = instance_targets(objects, border=2.0)
    np.testing.assert_array_equal(whole.read(slice(5, 60), slice(11, 31)), wanted[:, 5:60, 11:31])
    outlined = picture(ids, Labelling("borders")).read(slice(0, 80), slice(0, 80))
    parted = split_touching(objects)
    np.testing.assert_array_equal(outlined, np.stack([parted == 0, weight_map(parted)]))


def test_squares_see_what_lies_around_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _, objects = discs(side=80, count=12)
    monkeypatch.setattr("napari_tincture.training.labels.pictures.BLOCK", 32)
    monkeypatch.setattr("napari_tincture.training.labels.pictures.AROUND", 24)
    found = picture(objects, Labelling("instances")).read(slice(0, 80), slice(0, 80))
    # The discs are at most 18 px wide: all that touches a square is seen whole.
    np.testing.assert_array_equal(found, instance_targets(objects, border=2.0))


def test_labels_elsewhere_are_read_at_the_places_of_the_image() -> None:
    image = named(np.zeros((20, 30), np.uint8), scale=(0.5, 0.5), units="um")
    painted = np.full((4, 5), 3, np.uint8)
    painted[0, 0] = 8
    found = on(image, named(painted, scale=(1, 1), translate=(2.25, 5.25), units="um"))
    values = found.read(slice(0, 20), slice(0, 30))[0]
    assert values.shape == (20, 30)
    # A label covers 2 × 2 px of the image, but half a pixel is beyond the outermost centres.
    assert torch.unique(values[5:11, 11:19]).tolist() == [0, 2]
    assert (values[:4] == -1).all()
    assert (values[:, :10] == -1).all()
    part = found.part(slice(4, 12), slice(10, 20))
    np.testing.assert_array_equal(part.read(slice(0, 8), slice(0, 10))[0], values[4:12, 10:20])


def test_labels_of_the_same_size_without_a_place_lie_on_their_image() -> None:
    labels = np.random.default_rng(0).choice([0, 3, 8], (6, 7)).astype(np.uint8)
    image = named(np.zeros((6, 7), np.uint8), scale=(0.3, 0.3), units="um")
    found = on(image, named(labels)).read(slice(0, 6), slice(0, 7))
    np.testing.assert_array_equal(found, picture(labels).read(slice(0, 6), slice(0, 7)))


def test_labels_that_do_not_fit_are_refused() -> None:
    image = named(np.zeros((20, 30), np.uint8), "slide")
    with pytest.raises(InputError, match=r"10 × 10 px.*'slide' has 20 × 30"):
        on(image, named(np.ones((10, 10), np.uint8)))
    away = named(np.ones((10, 10), np.uint8), translate=(400, -90))
    with pytest.raises(InputError, match=r"\+400 px along y and -90 px along x"):
        on(image, away)
    with pytest.raises(InputError, match=r"float32 values, labels are integers"):
        picture(np.ones((4, 4), np.float32))
    with pytest.raises(InputError, match="have 3 channels; expected one"):
        picture(open_image(np.zeros((3, 4, 4), np.uint8), axes="cyx"))


def test_parts_of_a_mask_are_objects() -> None:
    """As in the ISBI 2012 challenge: 255 inside cells, 0 on membranes."""
    numbers = np.zeros((60, 80), np.uint8)
    numbers[5:30, 5:30], numbers[5:30, 31:60], numbers[40:55, 10:70] = 1, 2, 3
    mask = np.where(numbers > 0, 255, 0).astype(np.uint8)
    window = slice(0, 60), slice(0, 80)
    for target in ("borders", "instances"):
        expected = picture(numbers, Labelling(target)).read(*window)
        found = picture(mask, Labelling(target, parts_of=255)).read(*window)
        np.testing.assert_array_equal(found, expected)
    weights = picture(mask, Labelling("borders", parts_of=255)).read(*window)[1]
    assert weights[15, 30] > 5 * weights[35, 30], "the membrane between two cells counts more"
    with pytest.raises(InputError, match=r"parts_of=255.*'borders'"):
        Labelling(parts_of=255)
