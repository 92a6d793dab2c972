"""What of painted labels is given on: replayed on the image, it is the layer's labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster
from napari_tincture.widgets._strokes import StrokeSource

SHAPE = (300, 520)


def labels(values: np.ndarray, axes: str = "yx", **placed: Any) -> Raster:
    opened = open_image(values, axes=axes)
    placement = replace(opened.placement, **placed)
    return replace(opened, name="strokes", kind="labels", placement=placement)


def image(axes: str = "yx", leading: tuple[int, ...] = ()) -> Raster:
    return open_image(np.zeros((*leading, *SHAPE), np.uint8), axes=axes)


def replayed(source: StrokeSource, leading: tuple[int, ...] = ()) -> np.ndarray:
    """What somebody has who took every patch."""
    whole = np.zeros((*leading, *SHAPE), np.int64)
    for patch in source.take():
        height, width = patch.labels.shape
        place = (*patch.plane, slice(patch.y, patch.y + height), slice(patch.x, patch.x + width))
        whole[place] = patch.labels
    return whole


def scribbled(shape: tuple[int, ...]) -> np.ndarray:
    values = np.zeros(shape, np.int32)
    values[..., 20:40, 30:200] = 1
    values[..., 100, 5:9] = 70_000
    return values


def test_only_what_changed_is_given_on_and_what_was_undone() -> None:
    values = scribbled(SHAPE)
    source = StrokeSource(labels(values), image())
    source.look_over()
    np.testing.assert_array_equal(replayed(source), values)
    assert source.take() == []
    values[290, 515] = 2
    source.mark({"y": (290, 291), "x": (515, 516)})
    source.look_over()
    (patch,) = source.take()
    assert (patch.y, patch.x, patch.labels.shape) == (256, 512, (44, 8))
    assert patch.labels.dtype == np.uint8
    values[290, 515] = 0
    source.look_again()
    (patch,) = source.take()
    assert not patch.labels.any()


def test_planes_in_the_order_of_the_image() -> None:
    values = scribbled((3, *SHAPE))
    values[1] = 0
    source = StrokeSource(labels(values, "tyx"), image("tcyx", (3, 2)))
    source.look_over((2,))
    assert {patch.plane for patch in source.take()} == {(2,)}
    source.look_over()
    np.testing.assert_array_equal(replayed(source, (3,))[0], values[0])


@pytest.mark.parametrize("placed", [{"translate": (10.0, -20.0)}, {"scale": (2.0, 2.0)}])
def test_another_grid_is_read_by_world_coordinates(placed: dict[str, Any]) -> None:
    values = scribbled((150, 260))
    source = StrokeSource(labels(values, **placed), image())
    source.look_over()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    scale, translate = placed.get("scale", (1, 1)), placed.get("translate", (0, 0))
    # Halfway between two pixels, the later one is the nearest.
    rows, columns = (
        np.floor((p - t) / s + 0.5).astype(int)
        for p, s, t in zip((y, x), scale, translate, strict=True)
    )
    there = (rows >= 0) & (columns >= 0) & (rows < 150) & (columns < 260)
    # Beyond the outermost pixels' middles there is nothing.
    there &= ((y - translate[0]) / scale[0] <= 149) & ((x - translate[1]) / scale[1] <= 259)
    expected = np.where(there, values[rows.clip(0, 149), columns.clip(0, 259)], 0)
    np.testing.assert_array_equal(replayed(source), expected)
    values[90, 100] = 5
    source.mark({"y": (90, 91), "x": (100, 101)})
    assert any((patch.labels == 5).any() for patch in source.take())


BAD: dict[str, tuple[tuple[int, ...], str, dict[str, Any], str]] = {
    "beside": (SHAPE, "yx", {"translate": (0.0, 5000.0)}, "off by y = 0, x = 5000 px"),
    "flat": (SHAPE, "yx", {}, "has the axes y, x"),
    "fewer": ((2, *SHAPE), "tyx", {}, "2 planes along t"),
    "later": ((3, *SHAPE), "tyx", {"translate": (1.0, 0.0, 0.0)}, "by 1 planes along t"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused_and_named(name: str) -> None:
    shape, axes, placed, problem = BAD[name]
    own = labels(np.zeros(shape, np.uint8), axes, **placed)
    on = image() if name == "beside" else image("tyx", (3,))
    with pytest.raises(InputError, match=problem):
        StrokeSource(own, on)
