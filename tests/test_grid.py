"""Tiles cover what they should once, and their windows lie where a network may be run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_tincture.grid import Geometry, Grid, balanced_core, cut, mirror_index

LENGTHS = (1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 100, 129, 255)
CORES = (1, 8, 16, 40, 64, 1000)
CLIP = [
    Geometry(1, 0),
    Geometry(1, 5),
    Geometry(2, 2),
    Geometry(3, 9),
    Geometry(16, 48),
    Geometry(64, 64),
]
MIRROR = [
    Geometry(1, 0, "mirror", 2, 0),
    Geometry(2, 8, "mirror", 8, 0),
    Geometry(4, 24, "mirror", 20, 0),
    Geometry(16, 96, "mirror", 92, 12),
    Geometry(16, 48, "mirror", 44, 4),
]
GEOMETRIES = CLIP + MIRROR


def cases(geometries=GEOMETRIES):
    """Every length, core and geometry; whole and in part."""
    for length, core, geometry in itertools.product(LENGTHS, CORES, geometries):
        yield length, core, geometry, None
        for start, stop in ((0, 1), (length // 3, length // 2 + 1), (length - 1, length)):
            if start < stop:
                yield length, core, geometry, (start, stop)


def test_cores_cover_the_extended_axis_once():
    for length, core, geometry, bounds in cases():
        spans = cut(length, core, geometry, bounds)
        wanted = bounds or (0, length)
        ends = [(s.core[0], s.core[1]) for s in spans]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(ends))
        assert ends[0][0] <= wanted[0]
        assert ends[0][0] > wanted[0] - geometry.stride
        if wanted[1] == length:
            assert ends[-1][1] == geometry.extended(length)
        else:
            assert wanted[1] <= ends[-1][1] < wanted[1] + geometry.stride


def test_kept_parts_cover_the_wanted_part_once():
    for length, core, geometry, bounds in cases():
        counts = np.zeros(length, int)
        for span in cut(length, core, geometry, bounds):
            assert span.size > 0
            assert span.core[0] <= span.kept[0] < span.kept[1] <= span.core[1]
            counts[slice(*span.kept)] += 1
        start, stop = bounds or (0, length)
        assert counts[start:stop].tolist() == [1] * (stop - start)
        assert counts.sum() == stop - start


def test_windows_are_clipped_to_the_extended_image_and_aligned_to_the_stride():
    for length, core, geometry, bounds in cases(CLIP):
        end = geometry.extended(length)
        for span in cut(length, core, geometry, bounds):
            start, stop = span.window
            assert 0 <= start <= span.core[0]
            assert span.core[1] <= stop <= end
            assert start % geometry.stride == 0
            assert stop % geometry.stride == 0
            # Nothing is missing but what is not there.
            assert start == 0 or span.core[0] - start == geometry.halo
            assert stop == end or stop - span.core[1] == geometry.halo


def test_unpadded_windows_are_legal_and_hold_the_core():
    for length, core, geometry, bounds in cases(MIRROR):
        for span in cut(length, core, geometry, bounds):
            assert span.window_size % geometry.stride == geometry.remainder % geometry.stride
            assert span.window[0] + geometry.margin == span.core[0]
            assert span.window[1] - geometry.margin >= span.core[1]
            # The whole image's window starts a margin before it: all phases are the same.
            assert span.core[0] % geometry.stride == 0


def test_the_extension_is_the_least_that_is_allowed():
    for length, geometry in itertools.product(range(1, 300), CLIP):
        end = geometry.extended(length)
        assert end >= length
        assert end % geometry.stride == 0
        assert end - length < geometry.stride or end == 2 * geometry.stride
        if length < 2 * geometry.stride and end != length:
            assert end >= 2 * geometry.stride
    for length, geometry in itertools.product(range(1, 300), MIRROR):
        end = geometry.extended(length)
        assert 0 <= end - length < geometry.stride
        assert (end + 2 * geometry.margin) % geometry.stride == geometry.remainder


def test_a_published_side_of_one_stride_is_not_extended():
    assert Geometry(256, 256).extended(256) == 256
    assert Geometry(16, 48).extended(16) == 32
    assert Geometry(16, 48).extended(1) == 32


def test_only_the_first_and_last_span_differ_in_size():
    for length, core, geometry, bounds in cases():
        spans = cut(length, core, geometry, bounds)
        assert len({s.core_size for s in spans[:-1]}) <= 1
        assert all(s.core_size <= max(spans[0].core_size, spans[-1].core_size) for s in spans)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 9])
def test_mirroring_is_numpy_s(length):
    values = np.arange(length)
    for before, after in ((0, 0), (1, 0), (0, 2), (3, 30), (17, 4)):
        index = mirror_index(-before, length + after, length)
        expected = np.pad(values, (before, after), "reflect" if length > 1 else "edge")
        assert values[index].tolist() == expected.tolist()


def grids():
    for shape, core, geometry in itertools.product(
        ((1, 1), (33, 100), (129, 64)), ((16, 16), (40, 1000)), GEOMETRIES
    ):
        regions = [None, ((0, 1), (0, 1)), ((shape[0] // 2, shape[0]), (shape[1] // 3, shape[1]))]
        for region in regions:
            yield Grid.cut(shape, core, geometry, region)


def test_placing_what_each_tile_keeps_is_the_identity():
    for grid in grids():
        (y0, y1), (x0, x1) = grid.bounds
        plane = np.arange(grid.shape[0] * grid.shape[1]).reshape(grid.shape)
        result = np.full((y1 - y0, x1 - x0), -1)
        for tile in grid:
            assert (result[grid.place(tile)] == -1).all()
            result[grid.place(tile)] = plane[tile.kept]
        assert (result == plane[y0:y1, x0:x1]).all()
        assert len(list(grid)) == len(grid) == grid.counts[0] * grid.counts[1]
        assert tuple(map(sum, grid.chunks)) == result.shape


def test_the_inner_part_of_a_window_is_what_is_kept():
    for grid in grids():
        g = grid.geometry
        index = [mirror_index(-600, 900, n) for n in grid.shape]
        for tile in grid:
            window = [
                along[span.window[0] + 600 : span.window[1] + 600]
                for along, span in zip(index, (tile.y, tile.x), strict=True)
            ]
            assert tuple(map(len, window)) == tile.window_shape
            for positions, inner, kept in zip(window, tile.inner, tile.kept, strict=True):
                # An unpadded network loses the margin.
                output = positions[g.margin : len(positions) - g.margin]
                assert output[inner].tolist() == list(range(kept.start, kept.stop))


def test_the_part_of_a_feature_map_under_a_core():
    for grid in grids():
        stride = grid.geometry.stride
        for span in grid.rows + grid.columns:
            if grid.geometry.margin:
                assert span.inner_at(span.window_size) is None
                continue
            for factor in (1, stride):
                inner = span.inner_at(span.window_size // factor)
                assert inner.start * factor + span.window[0] == span.core[0]
                assert inner.stop * factor + span.window[0] == span.core[1]
            finer = span.inner_at(3 * span.window_size)
            assert (finer.start, finer.stop) == tuple(3 * (c - span.window[0]) for c in span.core)
            if span.window_size > 3:
                assert span.inner_at(span.window_size - 1) is None


def test_the_cores_of_feature_maps_cover_the_whole_map_once():
    for geometry in CLIP:
        spans = cut(100, 24, geometry)
        stride = geometry.stride
        counts = np.zeros(geometry.extended(100) // stride, int)
        for span in spans:
            inner = span.inner_at(span.window_size // stride)
            offset = span.window[0] // stride
            counts[inner.start + offset : inner.stop + offset] += 1
        assert (counts == 1).all()


def test_splitting_covers_the_tile_once_with_legal_windows_until_it_cannot():
    for grid in grids():
        g = grid.geometry
        for tile in grid:
            parts, before = [tile], []
            while parts != before:
                parts, before = [half for part in parts for half in grid.split(part)], parts
                counts = np.zeros(grid.shape, int)
                for part in parts:
                    counts[part.kept] += 1
                    for span in (part.y, part.x):
                        assert span.window_size % g.stride == g.remainder
                        assert span.size > 0
                assert (counts[tile.kept] == 1).all()
                assert counts.sum() == tile.y.size * tile.x.size
            assert all(s.core_size < 2 * g.stride for part in parts for s in (part.y, part.x))


def test_blocks_surrounded_by_a_halo_of_another_size():
    for grid, halo in itertools.product(grids(), (0, 3, 500)):
        around = grid.surrounded(halo)
        assert around.chunks == grid.chunks
        shape = tuple(stop - start for start, stop in grid.bounds)
        assert around.shape == shape
        for old, new in zip(grid, around, strict=True):
            assert new.kept == grid.place(old)
            for span, length in zip((new.y, new.x), shape, strict=True):
                assert span.window == (
                    max(span.core[0] - halo, 0),
                    min(span.core[1] + halo, length),
                )


def test_balanced_cores_are_nearly_equal():
    for length, target, stride in itertools.product(LENGTHS, (16, 64, 100), (1, 2, 16)):
        core = balanced_core(length, target, stride)
        assert core % stride == 0
        assert 0 < core <= 1.5 * target + stride
        parts = cut(length, core, Geometry(stride))
        assert sum(s.core_size for s in parts) == Geometry(stride).extended(length)
        # Rounding each of them up to the stride takes from the last.
        assert core - parts[-1].size <= stride * len(parts)


def test_what_the_halo_costs():
    assert Grid.cut((64, 64), (64, 64), Geometry(4, 16)).window_share == 1
    assert Grid.cut((64, 64), (32, 64), Geometry(4, 16)).window_share == pytest.approx(96 / 64)
