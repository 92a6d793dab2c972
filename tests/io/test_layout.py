"""A pyramid is divided so that every pixel is in one shard, and shards above cover those below."""

from __future__ import annotations

import tracemalloc

import dask.array as da
import numpy as np
import pytest

from napari_tincture.io.layout import Layout
from napari_tincture.io.pyramid import level_shapes
from napari_tincture.raster import Raster


def layout(shape, blocks, axes="yx", **options):
    return Layout.of(Raster.from_array(da.zeros(shape, chunks=blocks), axes, **options))


@pytest.mark.parametrize(
    ("shape", "blocks", "chunk", "shard"),
    [
        ((9000, 9000), 1024, (512, 512), (2048, 2048)),
        ((9000, 9000), 1008, (504, 504), (2016, 2016)),
        ((9000, 9000), 256, (256, 256), (2048, 2048)),
        ((9000, 9000), 333, (512, 512), (2048, 2048)),
        ((9000, 9000), 9000, (512, 512), (2048, 2048)),
        ((9000, 9000), 3072, (512, 512), (3072, 3072)),
        ((4000, 300), (256, 300), (256, 300), (2048, 300)),
        ((101, 50), 600, (102, 50), (102, 50)),
        ((1, 1), 1, (2, 2), (2, 2)),
    ],
)
def test_shards_are_whole_blocks_where_these_suit(shape, blocks, chunk, shard):
    found = layout(shape, blocks)
    assert found.chunk == chunk
    assert found.shard == shard


def test_channels_are_shards_of_their_own_and_colours_are_not():
    many = layout((3, 5, 4000, 4000), (1, 1, 1000, 1000), "czyx")
    assert many.shard == (1, 1, 2000, 2000)
    assert many.area == (3, 1, 2000, 2000)
    colour = layout((3, 4000, 4000), (3, 1000, 1000), "cyx", rgb=True)
    assert colour.shard == (3, 2000, 2000)


@pytest.mark.parametrize("shape", [(2, 3, 5000, 3001), (1, 1, 700, 9000)])
def test_areas_cover_level_0_once_and_are_made_of_shards(shape):
    found = layout(shape, (1, 1, 512, 512), "tcyx")
    count = np.zeros(shape, np.uint8)
    for area in found.areas:
        for key in found.keys_in(area):
            count[found.place(key)] += 1
    assert (count == 1).all()


def test_children_are_those_whose_parent_one_is():
    found = layout((2, 20_000, 9000), (1, 512, 512), "zyx")
    for level in range(1, len(found.shapes)):
        for key in found.keys(level):
            children = found.children(key)
            assert all(found.parent(child) == key for child in children)
            covered = np.stack([[s.start for s in found.place(c)] for c in children]).min(axis=0)
            assert (covered[1:] // 2 == [s.start for s in found.place(key)[1:]]).all()
    assert found.parent((len(found.shapes) - 1, 0, 0, 0)) is None


def test_a_parent_is_complete_after_as_few_areas_as_possible():
    found = layout((16_384, 16_384), 1024)
    first = [found.keys_in(area)[0] for area in found.areas[:4]]
    assert {found.parent(key) for key in first} == {(1, 0, 0)}


def test_it_survives_json():
    found = layout((2, 3, 5000, 3001), (1, 1, 512, 512), "tcyx")
    again = Layout.from_json(found.to_json())
    assert again == found
    assert again.shapes == tuple(level_shapes((2, 3, 5000, 3001), 512))


def test_little_is_needed_to_plan_a_slide_of_any_size():
    raster = Raster.from_array(da.zeros((100_000, 100_000), chunks=1024), "yx")
    tracemalloc.start()
    assert len(Layout.of(raster).areas) == 49**2
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < 20e6
