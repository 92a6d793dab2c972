"""Blending keeps what all tiles agree upon, and goes from one to the other without a step."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tincture.blend import blend_tiles, ramp, shared
from napari_tincture.grid import Geometry, Grid, cut

GEOMETRIES = [Geometry(1, 0), Geometry(1, 8), Geometry(4, 16), Geometry(16, 64), Geometry(16, 8)]


def blended(grid, tile, run):
    """A block, where `run` gives the output for a tile's whole window."""
    return blend_tiles(grid, tile, lambda n: run(n)[(slice(None), *shared(tile, n)[1])])


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("length", "core"), [(1, 8), (50, 16), (200, 33), (256, 128), (64, 500)])
def test_ramps_reach_every_pixel_and_add_up_to_one(geometry, length, core):
    end = geometry.extended(length)
    total = np.zeros(end)
    for span in cut(length, core, geometry):
        weight = ramp(span, end)
        assert len(weight) == span.window_size
        assert ((weight >= 0) & (weight <= 1)).all()
        total[slice(*span.window)] += weight
    assert (total > 0.4).all()
    if length % core == 0 and core >= 2 * geometry.halo:
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_the_rim_of_a_window_counts_for_nothing():
    spans = cut(96, 32, Geometry(4, 16, rim=5))
    total = np.zeros(96)
    for span in spans:
        weight = ramp(span, 96, rim=5)
        inside = weight[0 if span is spans[0] else 5 : None if span is spans[-1] else -5]
        assert np.count_nonzero(weight) == len(inside)
        total[slice(*span.window)] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)  # float32 weights


def test_a_ramp_falls_only_inside_the_image():
    first, *_, last = cut(128, 32, Geometry(4, 16))
    assert ramp(first, 128)[0] == 1
    assert ramp(first, 128)[-1] < 0.1
    assert ramp(last, 128)[0] < 0.1
    assert ramp(last, 128)[-1] == 1


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("shape", "core"), [((40, 90), 16), ((7, 200), 64), ((1, 1), 8)])
@pytest.mark.parametrize("region", [False, True])
def test_tiles_that_agree_are_blended_to_what_they_agree_upon(geometry, shape, core, region):
    part = ((shape[0] // 3, shape[0]), (0, shape[1] // 2 + 1)) if region else None
    grid = Grid.cut(shape, (core, core), geometry, part)
    whole = np.random.default_rng(0).random((2, *(2 * geometry.stride + n for n in shape)), "f4")

    def run(tile):
        return whole[:, slice(*tile.y.window), slice(*tile.x.window)]

    for tile in grid:
        found = blended(grid, tile, run)
        np.testing.assert_allclose(found.values, whole[(..., *tile.kept)], rtol=1e-5)
        assert found.largest.max() <= 1e-6


def test_tiles_that_differ_are_joined_without_a_step():
    geometry = Geometry(1, 16)
    grid = Grid.cut((4, 256), (4, 64), geometry)
    level = {tile.index: float(tile.index[1] % 2) for tile in grid}

    def run(tile):
        return np.full((1, *tile.window_shape), level[tile.index], np.float32)

    found = [blended(grid, tile, run) for tile in grid]
    result = np.concatenate([block.values for block in found], axis=2)
    assert result.min() == 0
    assert result.max() == 1
    # From 0 to 1 over twice the halo, as sin² does: its steepest step is π/2 over that length.
    assert np.abs(np.diff(result)).max() < np.pi / 2 / 32 + 1e-3
    # Half-way both windows, 0 and 1, lie 1/2 off their mean; weighted by w and 1 - w, 2 w (1 - w).
    assert max(block.largest[0] for block in found) == pytest.approx(0.5, abs=2e-3)
    share = np.sin(np.pi / 2 * (np.arange(32) + 0.5) / 32) ** 2
    total = 3 * 4 * (2 * share * (1 - share)).sum()
    assert sum(block.total[0] for block in found) == pytest.approx(total, rel=1e-5)
    assert sum(block.pixels for block in found) == 3 * 4 * 32


def test_windows_lie_on_strides_where_their_halo_is_half_a_one():
    grid = Grid.cut((700, 900), (512, 256), Geometry(256, 128), ((130, 700), (0, 900)))
    for tile in grid:
        for span in (tile.y, tile.x):
            assert span.window[0] % 256 == span.window[1] % 256 == 0
            assert span.window[0] <= span.kept[0] < span.kept[1] <= span.window[1]
    assert grid.rows[0].window == (0, 512 + 256)
    # A core's edge may cut a sample of the deepest map, which belongs to one core all the same.
    samples = [span.inner_at(span.window_size // 256) for span in grid.columns]
    starts = [span.window[0] // 256 for span in grid.columns]
    taken = [
        list(range(part.start + start, part.stop + start))
        for part, start in zip(samples, starts, strict=True)
    ]
    assert [n for part in taken for n in part] == [0, 1, 2, 3]
