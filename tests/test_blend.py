"""Blending keeps what all tiles agree upon, and goes from one to the other without a step."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tincture.blend import blend_tiles, ramp
from napari_tincture.grid import Geometry, Grid, cut

GEOMETRIES = [Geometry(1, 0), Geometry(1, 8), Geometry(4, 16), Geometry(16, 64)]


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
        np.testing.assert_allclose(
            blend_tiles(grid, tile, run), whole[(..., *tile.kept)], rtol=1e-5
        )


def test_tiles_that_differ_are_joined_without_a_step():
    geometry = Geometry(1, 16)
    grid = Grid.cut((4, 256), (4, 64), geometry)
    level = {tile.index: float(tile.index[1] % 2) for tile in grid}

    def run(tile):
        return np.full((1, *tile.window_shape), level[tile.index], np.float32)

    result = np.concatenate([blend_tiles(grid, tile, run) for tile in grid], axis=2)
    assert result.min() == 0
    assert result.max() == 1
    # From 0 to 1 over twice the halo, as sin² does: its steepest step is π/2 over that length.
    assert np.abs(np.diff(result)).max() < np.pi / 2 / 32 + 1e-3
