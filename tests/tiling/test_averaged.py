"""Means over orientations: those of whole turned images, whatever the tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from models import CONTEXT, PLAIN, check_equal, image_of, model_of
from networks import INEXACT, Fn, conv
from torch import nn

from napari_tincture import Raster, open_image, segment
from napari_tincture.errors import InputError
from napari_tincture.instances import label_instances
from napari_tincture.models import Normalisation
from napari_tincture.tiling.inputs import Inputs, Lane
from napari_tincture.tiling.orient import TURNS, Angle, OrientedInputs

CARD = {"task": "segment", "normalisation": Normalisation("none")}


def sees_ways(outputs: int = 1, context: bool = False):
    """A network that answers no two orientations alike."""
    norm = nn.InstanceNorm2d(4) if context else nn.BatchNorm2d(4)
    torch.manual_seed(3)
    down = nn.Conv2d(1, 4, 3, 2, 1)
    network = nn.Sequential(conv(1, 1, 5), down, norm, nn.ReLU(), nn.Upsample(scale_factor=2))
    network = nn.Sequential(network, nn.Conv2d(4, outputs, 1), nn.Sigmoid())
    return model_of(network.eval(), 1, outputs, **CARD)


def maps(image: np.ndarray, model, **options) -> np.ndarray:
    return segment(image, model, output="probabilities", **options).compute()


def by_hand(image: np.ndarray, model, **options) -> np.ndarray:
    """The mean over all quarter turns of the image and its mirror image, each run on its own."""
    total = 0.0
    for turns, flip in itertools.product(range(4), (False, True)):
        seen = np.rot90(image[:, ::-1] if flip else image, turns).copy()
        back = np.rot90(maps(seen, model, **options), -turns, (-2, -1))
        total = total + (back[..., ::-1] if flip else back)
    return total / 8


@pytest.mark.parametrize(("context", "shape"), [(False, (50, 43)), (True, (48, 64))])
def test_the_mean_over_eight_whole_images_whatever_the_tiles(context, shape):
    image = image_of(shape, "float32")
    model = sees_ways(context=context)
    expected = by_hand(image, model, tile=256)
    found = segment(image, model, output="probabilities", augment="turns", tile=24)
    within = CONTEXT if context else PLAIN
    check_equal(found.compute(), expected, within)
    check_equal(found.data[20:45, 7:31].compute(), expected[20:45, 7:31], within)
    part = maps(image, model, augment="turns", tile=24, region={"y": (13, 40), "x": (5, 40)})
    check_equal(part, expected[13:40, 5:40], within)
    # The network is one that sees which way the image lies.
    assert np.abs(expected - maps(image, model)).max() > 0.1 * expected.std()


def test_blended_tiles_are_those_of_turned_images():
    network, _ = INEXACT["align_corners"]
    torch.manual_seed(0)
    model = model_of(network().eval(), 2, 1, **CARD)
    image = image_of((2, 64, 64), "float32")
    found = maps(Raster.from_array(image, "cyx"), model, augment="turns", tile=32)
    total = sum(
        np.asarray(turn.home(maps(Raster.from_array(turn.forth(image), "cyx"), model, tile=32)))
        for turn in TURNS
    )
    check_equal(found, total / 8, CONTEXT)


def test_objects_classes_and_their_record_are_of_the_mean():
    image = image_of((60, 75), "float32")
    model = sees_ways(3)
    step = {"threshold": 0.5, "seed_threshold": 0.2, "min_size": 4}
    model = model_of(model.network, 1, 3, instances={**step, "largest": 40}, **CARD)
    mean = maps(image, model, augment="turns")
    found = segment(image, model, augment="turns", tile=32)
    np.testing.assert_array_equal(found.compute(), label_instances(mean, **step))
    classes = segment(image, model, output="classes", augment="turns", tile=32)
    np.testing.assert_array_equal(classes.compute(), mean[0] > 0.5)
    assert found.provenance["steps"][-1]["settings"]["augment"] == "turns"
    assert found.call.arguments["augment"] == "turns"


def test_values_of_the_whole_image_are_of_each_way(tmp_path):
    image = image_of((64, 64), "float32")
    model = sees_ways(context=True)
    first = segment(image, model, output="probabilities", augment="turns", tile=32)
    saved = open_image(first.save(tmp_path / "first.ome.zarr"))
    np.testing.assert_array_equal(saved, first.compute())
    again = maps(image, model, augment="turns", context=saved, tile=32)
    np.testing.assert_array_equal(again, first.compute())
    plain = segment(image, model, output="probabilities", tile=32)
    plain.compute()
    with pytest.raises(InputError, match="augment="):
        segment(image, model, augment="turns", context=plain, output="probabilities")


# Rotations by any angle


def test_rotations_are_the_same_whatever_the_tiles():
    image, model = image_of((61, 48), "float32"), sees_ways(context=True)
    expected = maps(image, model, augment=3, tile=256, context="exact")
    check_equal(maps(image, model, augment=3, tile=24, context="exact"), expected, CONTEXT)


def test_four_rotations_are_quarter_turns():
    image, model = image_of((50, 66), "float32"), sees_ways()
    expected = sum(np.rot90(maps(np.rot90(image, k).copy(), model), -k) for k in range(4)) / 4
    inner = np.s_[8:-8, 8:-8]  # beyond the edges a canvas is mirrored, and an image padded
    check_equal(maps(image, model, augment=4)[inner], expected[inner], PLAIN)


def test_interpolation_there_and_back_keeps_what_is_linear():
    y, x = np.mgrid[:40, :52].astype("f4")
    image = 0.01 * y - 0.004 * x
    found = maps(image, model_of(Fn(lambda _, v: v), 1, 1, **CARD), augment=7, tile=16)
    inner = np.s_[3:-3, 3:-3]
    # Float32 values below 1, interpolated twice and added up.
    np.testing.assert_allclose(found[inner], image[inner], atol=1e-6)


def test_a_canvas_is_read_alike_through_any_window():
    raster = Raster.from_array(image_of((37, 52), "uint16"), "yx")
    inputs = OrientedInputs.of(Inputs((Lane(raster, {}),), ""), Angle(51.4))
    height, width = inputs.shape
    canvas = inputs.read((), slice(0, height), slice(0, width))
    part = inputs.read((), slice(11, 30), slice(20, 41))
    np.testing.assert_allclose(part, canvas[:, 11:30, 20:41], rtol=1e-6)


@pytest.mark.parametrize("augment", ["flips", 1, True, 2.5, None])
def test_no_such_augmentation(augment):
    with pytest.raises(InputError, match="turns"):
        segment(image_of((32, 32), "float32"), sees_ways(), augment=augment)
