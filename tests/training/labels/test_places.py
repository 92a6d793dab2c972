from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cells import named

from napari_tincture.errors import InputError
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.training.images.augment import Augment
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.images.sampling import Sampler, Sampling
from napari_tincture.training.labels.labelling import Labelling, as_classes
from napari_tincture.training.labels.pictures import open_labels
from napari_tincture.training.labels.places import Cells, values_in

KNOWN = Labelling("classes", 0, as_classes([2, 9]))


def strokes() -> np.ndarray:
    """Two strokes, one of them tiny, on 400 × 300 px."""
    labels = np.zeros((400, 300), np.uint8)
    labels[30:32, 40:180] = 2
    labels[377, 261:264] = 9
    return labels


def sampler(labels: np.ndarray, mask: Any = None, **how: Any) -> Sampler:
    x = np.mgrid[: labels.shape[0], : labels.shape[1]][1]
    images = Domain.open([named(x.astype(np.float32))], mask=mask, normalisation=Normalisation())
    pairs = Pairs.match(images, open_labels({"images": [named(labels)]}, ".", KNOWN))
    return Sampler(replace(Sampling(crop=32, foreground=1.0), **how), pairs=pairs)


@pytest.mark.parametrize("augment", [Augment(), Augment(flips=(True, True), rotate=40)])
def test_crops_show_each_class_equally_often_however_small_it_is(augment: Augment) -> None:
    draw = sampler(strokes(), augment=augment)
    shown = [set(np.unique(draw(step)["b"]).tolist()) for step in range(60)]
    assert all(found <= {-1, 0, 1} for found in shown)
    # Of 60 fair draws fewer than 18 or more than 42 of one kind are had once in 1,000.
    assert 18 <= sum(1 in found for found in shown) <= 42
    # A turned square reaches beyond its window's middle: a stroke may lie in a corner it lacks.
    assert sum(found != {-1} for found in shown) >= (60 if augment == Augment() else 45)


def test_image_and_labels_are_of_the_same_place() -> None:
    labels = np.random.default_rng(0).choice([2, 9], (64, 64)).astype(np.uint8)
    images = Domain.open([named(labels)], normalisation=Normalisation())
    pairs = Pairs.match(images, open_labels({"images": [named(labels)]}, ".", KNOWN))
    augment = Augment(flips=(True, True), rot90=True)
    draw = Sampler(Sampling(crop=32, foreground=0.5, augment=augment), pairs=pairs)
    for step in range(8):
        batch = draw(step)
        np.testing.assert_array_equal(batch["b"], batch["a"] == 9)
    bent = replace(augment, rotate=30, scale=(0.7, 1.4), elastic=2.0)
    batch = Sampler(Sampling(crop=32, augment=bent), pairs=pairs)(0)
    assert set(np.unique(batch["b"])) == {0, 1}
    # Where the image is the same within four pixels, so is the nearest label.
    sure = (batch["a"] == 2) | (batch["a"] == 9)
    np.testing.assert_array_equal(batch["b"][sure], (batch["a"] == 9)[sure])


def test_masks_hold_for_crops_with_labels() -> None:
    mask = np.zeros((400, 300), np.uint8)
    mask[:, :150] = 1
    draw = sampler(strokes(), mask=[named(mask)])
    for step in range(10):
        assert (draw(step)["a"] >= 150).all()


def test_cells_count_all_labelled_pixels() -> None:
    (picture,) = open_labels({"images": [named(strokes())]}, ".", KNOWN).pictures
    cells = Cells.of(picture)  # type: ignore[arg-type]
    assert cells.pixels.tolist() == [280, 3]
    assert cells.counts.shape == (2, len(cells.corners))
    assert values_in([picture]) == {0: 120_000 - 283, 2: 280, 9: 3}  # type: ignore[list-item]


def test_objects_are_no_classes() -> None:
    many = np.arange(400, dtype=np.uint16).reshape(20, 20)
    (picture,) = open_labels({"images": [named(many)]}, ".", Labelling()).pictures
    with pytest.raises(InputError, match=r"more than 255 values.*target='instances'"):
        values_in([picture])  # type: ignore[list-item]
