"""What is known of a result is read as it would be of the whole, at every level."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.io.pyramid import downsample
from napari_tincture.tiling.levels import LiveLevel
from napari_tincture.tiling.live_layout import LiveLayout
from napari_tincture.tiling.mosaic import PAGE, Mosaic, aligned_level


def layout_of(rows, columns, *, channels=1, dtype="float32", **fields):
    return LiveLayout(
        leading=fields.pop("leading", ""), counts=fields.pop("counts", ()), rows=tuple(rows),
        columns=tuple(columns), channels=channels, dtype=np.dtype(dtype), **fields,
    )  # fmt: skip


def values_of(layout, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 200, (layout.channels, *layout.shape))
    return values.astype(layout.dtype)


def tiles_of(mosaic):
    height, width = mosaic.layout.shape
    return mosaic.tiles(((0, height), (0, width)))


def write(mosaic, values, index, plane=()):
    y, x = (slice(*bounds) for bounds in mosaic.place(index))
    mosaic.write(plane, index, np.ascontiguousarray(values[:, y, x]))


def whole(mosaic, level, plane=()):
    height, width = mosaic.shapes[level]
    return mosaic.read(plane, level, slice(0, height), slice(0, width))


LAYOUTS = {
    "even": layout_of([512] * 3, [512] * 4, channels=2),
    "odd tiles": layout_of([301, 517, 99], [430, 1, 800]),
    "odd labels": layout_of([301, 517, 99], [430, 2, 800], dtype="int32", kind="labels"),
    "small": layout_of([5], [7]),
    "uint8": layout_of([700, 33], [640], dtype="uint8"),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("backwards", [False, True])
def test_all_tiles_give_the_pyramid_of_the_whole(name, backwards):
    layout = LAYOUTS[name]
    mosaic, expected = Mosaic(layout), values_of(layout)
    tiles = tiles_of(mosaic)
    for index in tiles[::-1] if backwards else tiles:
        write(mosaic, expected, index)
    for level in range(len(mosaic.shapes)):
        np.testing.assert_array_equal(whole(mosaic, level), expected)
        assert all(mosaic.holds((), level, index) for index in tiles)
        expected = downsample(expected, layout.kind)
    assert len(mosaic.shapes) > 1


def test_nothing_is_there_before_it_is_written():
    layout = LAYOUTS["even"]
    mosaic, values = Mosaic(layout), values_of(layout)
    write(mosaic, values, (1, 2))
    found = whole(mosaic, 0)
    y, x = (slice(*bounds) for bounds in mosaic.place((1, 2)))
    np.testing.assert_array_equal(found[:, y, x], values[:, y, x])
    assert np.isnan(found).sum() == found.size - values[:, y, x].size
    assert mosaic.holds((), 0, (1, 2))
    assert not mosaic.holds((), 0, (1, 1))
    for level in range(len(mosaic.shapes)):
        known = ~np.isnan(whole(mosaic, level)[0])
        assert known.sum() == (512 >> level) ** 2


def test_colours_are_transparent_where_nothing_is():
    layout = layout_of([301, 517], [430, 333], channels=3, dtype="uint8", rgb=True)
    mosaic, values = Mosaic(layout), values_of(layout)
    write(mosaic, values, (0, 0))
    found = whole(mosaic, 0)
    assert (found[3, :301, :430] == 255).all()
    assert found[:, 301:].max() == 0
    np.testing.assert_array_equal(found[:3, :301, :430], values[:, :301, :430])
    # A pixel of an upper level is opaque only where all that it stands for is known.
    assert set(np.unique(whole(mosaic, 1)[3])) == {0, 255}
    assert (whole(mosaic, 1)[3] == 255).sum() == 150 * 215
    for index in tiles_of(mosaic):
        write(mosaic, values, index)
    np.testing.assert_array_equal(whole(mosaic, 1)[:3], downsample(values, "image"))


def test_the_lowest_level_is_one_array_filled_in_place():
    mosaic = Mosaic(LAYOUTS["even"])
    lowest = mosaic.lowest
    assert np.isnan(lowest).all()
    values = values_of(mosaic.layout)
    for index in tiles_of(mosaic):
        write(mosaic, values, index)
    assert mosaic.lowest is lowest
    assert np.isfinite(lowest).all()


def test_memory_is_bounded_and_what_left_is_not_held(monkeypatch):
    monkeypatch.setattr("napari_tincture.tiling.mosaic.OVERVIEW", 4 * 1024 * 1024)
    layout = layout_of([512] * 8, [512] * 8)
    page = PAGE * PAGE * 4
    mosaic, values = Mosaic(layout, limit=8 * page), values_of(layout)
    tiles = tiles_of(mosaic)
    for index in tiles:
        write(mosaic, values, index)
    held = [index for index in tiles if mosaic.holds((), 0, index)]
    assert held == tiles[-4:]
    assert sum(len(store.pages) for store in mosaic._stores) <= 4 + 4
    top = len(mosaic.shapes) - 1
    assert all(mosaic.holds((), top, index) for index in tiles)
    assert np.isfinite(whole(mosaic, top)).all()


def test_a_copy_fills_its_level_and_those_above():
    layout = LAYOUTS["even"]
    mosaic, values = Mosaic(layout), values_of(layout)
    small = downsample(values[:, :512, :512], "image")
    mosaic.write((), (0, 0), small, level=1)
    assert not mosaic.holds((), 0, (0, 0))
    assert mosaic.holds((), 1, (0, 0))
    assert mosaic.holds((), 2, (0, 0))


def test_an_outdated_plane_is_shown_but_not_held():
    layout = layout_of([64], [64], leading="t", counts=(2,))
    mosaic, values = Mosaic(layout), values_of(layout)
    for plane in layout.planes:
        write(mosaic, values, (0, 0), plane)
    mosaic.outdate((0,))
    assert not mosaic.holds((0,), 0, (0, 0))
    assert mosaic.holds((1,), 0, (0, 0))
    np.testing.assert_array_equal(whole(mosaic, 0, (0,)), values)


@pytest.mark.parametrize("axes", ["tzyx", "ztyx", "ytzx"])
def test_levels_are_indexed_as_napari_does(axes):
    layout = layout_of([40, 30], [50, 21], leading="tz", counts=(2, 3), channels=2)
    mosaic = Mosaic(layout)
    expected = np.stack([values_of(layout, seed=n) for n in range(6)])
    for plane, values in zip(layout.planes, expected, strict=True):
        for index in tiles_of(mosaic):
            write(mosaic, values, index, plane)
    expected = expected.reshape(2, 3, 2, 70, 71)[:, :, 1]
    expected = expected.transpose(["tzyx".index(axis) for axis in axes])
    level = LiveLevel(mosaic, 0, axes, 1)
    assert level.shape == expected.shape
    assert (level.ndim, level.size, level.nbytes) == (4, expected.size, expected.nbytes)
    for key in (
        np.s_[1, 1, 1, 1],
        np.s_[np.int64(1), :, np.int64(0), 3:20],
        np.s_[:, 1, 2:9:3, ::2],
        np.s_[..., 5],
        np.s_[0],
    ):
        np.testing.assert_array_equal(np.asarray(level[key]), expected[key])
    # napari cuts the window out of all planes before it takes one of them.
    window = level[tuple(slice(0, n) for n in level.shape)]
    assert not isinstance(window, np.ndarray)
    np.testing.assert_array_equal(np.asarray(window), expected)


def test_a_whole_level_never_gives_holes():
    mosaic = Mosaic(LAYOUTS["even"])
    with pytest.raises(InputError, match="Save the layer"):
        np.asarray(LiveLevel(mosaic, 0, "yx", 0))
    computed = np.ones(mosaic.shapes[0])
    assert np.asarray(LiveLevel(mosaic, 0, "yx", 0, whole=lambda: computed)) is computed


def test_a_layout_travels_as_json():
    for layout in LAYOUTS.values():
        assert LiveLayout.from_json(layout.to_json()) == layout


def test_levels_in_which_tiles_share_no_pixel():
    assert aligned_level([1024, 512], 3) == 3
    assert aligned_level([12, 8], 5) == 2
    assert aligned_level([0, 0], 4) == 4
    assert aligned_level([7, 8], 4) == 0
