"""Shards of all levels are written once each, whatever blocks come in whatever order."""

from __future__ import annotations

from contextlib import nullcontext

import dask.array as da
import numpy as np
import pytest

from napari_tincture.io import layout, shard_writer
from napari_tincture.io.layout import Layout
from napari_tincture.io.pyramid import downsample
from napari_tincture.io.pyramid_store import PyramidStore
from napari_tincture.io.shard_writer import ShardWriter
from napari_tincture.raster import Raster

RNG = np.random.default_rng(0)


class Done(dict):
    """Finished shards; none is finished twice."""

    def add(self, key, record):
        assert key not in self
        self[key] = record


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(layout, "SHARD", 32)
    monkeypatch.setattr(layout, "CHUNK", 16)


def blocks_of(shape, block):
    grid = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    starts = np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, len(shape))
    return [
        tuple(
            slice(int(s), int(min(s + b, n))) for s, b, n in zip(start, block, shape, strict=True)
        )
        for start in starts
    ]


def begin(folder, array, kind="image", version="0.5", done=None):
    chunks = (1,) * (array.ndim - 2) + (16, 16)
    raster = Raster.from_array(
        da.from_array(array, chunks=chunks), "tczyx"[-array.ndim :], kind=kind
    )
    store = PyramidStore.create(folder / "a.zarr", Layout.of(raster), raster, version)
    (folder / "scratch").mkdir(exist_ok=True)
    done = Done() if done is None else done
    return store, ShardWriter(store, done, folder / "scratch", nullcontext), done


def check(store, array, kind):
    for level in store.arrays:
        np.testing.assert_array_equal(level[:], array)
        array = downsample(array, kind)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("kind", ["image", "labels"])
@pytest.mark.parametrize(
    ("shape", "block"),
    [
        ((100, 90), (16, 16)),
        ((100, 90), (10, 7)),
        ((100, 90), (33, 100)),
        ((97, 161), (100, 190)),
        ((1, 1), (1, 1)),
        ((2, 3, 50, 40), (1, 3, 20, 20)),
        ((2, 3, 50, 40), (2, 1, 50, 13)),
    ],
)
def test_levels_are_those_of_the_whole_image(tmp_path, shape, block, kind, version):
    array = RNG.integers(0, 255, shape, dtype=np.uint8)
    store, writer, done = begin(tmp_path, array, kind, version)
    for index in blocks_of(shape, block):
        writer.write(index, array[index])
    writer.check_complete()
    check(store, array, kind)
    assert not list((tmp_path / "scratch").iterdir())
    assert all(store.holds(key, record) for key, record in done.items())


@pytest.mark.parametrize("order", [lambda n: range(n)[::-1], lambda n: RNG.permutation(n)])
@pytest.mark.parametrize("budget", [0, 9000, 10**9])
def test_any_order_and_any_memory_budget_give_the_same(tmp_path, monkeypatch, order, budget):
    monkeypatch.setattr(shard_writer, "BUDGET", budget)
    array = RNG.random((100, 90))
    store, writer, _ = begin(tmp_path, array)
    indices = blocks_of(array.shape, (13, 9))
    for i in order(len(indices)):
        writer.write(indices[i], array[indices[i]])
    writer.check_complete()
    check(store, array, "image")
    assert not list((tmp_path / "scratch").iterdir())


def test_memory_holds_a_row_of_shards_and_never_more_than_the_budget(tmp_path, monkeypatch):
    held = []
    original = shard_writer._Pending.put

    def put(self, *arguments):
        result = original(self, *arguments)
        held.append(sum(shard.nbytes for shard in self._memory.values()))
        return result

    monkeypatch.setattr(shard_writer._Pending, "put", put)
    for budget, most in ((10**9, 32 * 256), (3000, 3000)):
        monkeypatch.setattr(shard_writer, "BUDGET", budget)
        array = np.zeros((512, 256), np.uint8)
        _, writer, _ = begin(tmp_path / str(budget), array)
        for index in blocks_of(array.shape, (16, 16)):
            writer.write(index, array[index])
        assert 0 < max(held) <= most
        held.clear()


def test_finished_shards_are_left_alone_and_those_above_are_made_of_them(tmp_path):
    array = RNG.integers(1, 255, (64, 64), dtype=np.uint8)
    store, writer, done = begin(tmp_path, array)
    for index in blocks_of(array.shape, (16, 16))[:12]:
        writer.write(index, array[index])
    finished = dict(done)
    assert sorted(finished) == [(0, 0, 0), (0, 0, 1)]
    # Another run knows two shards, and is given everything again, of these something else.
    again = Done(finished)
    writer = ShardWriter(store, again, tmp_path / "scratch", nullcontext)
    writer.write((slice(0, 32), slice(0, 64)), array[:32] + 1)
    writer.write((slice(32, 64), slice(0, 64)), array[32:])
    writer.check_complete()
    check(store, array, "image")


def test_upper_shards_that_a_kill_prevented_are_caught_up(tmp_path):
    array = RNG.integers(1, 255, (64, 64), dtype=np.uint8)
    store, writer, done = begin(tmp_path, array)
    for index in blocks_of(array.shape, (64, 64)):
        writer.write(index, array[index])
    below = Done({key: record for key, record in done.items() if key[0] == 0})
    store.arrays[1][:] = 0
    writer = ShardWriter(store, below, tmp_path / "scratch", nullcontext)
    writer.catch_up()
    writer.check_complete()
    check(store, array, "image")


def test_missing_and_doubled_blocks_are_noticed(tmp_path):
    _, writer, _ = begin(tmp_path, np.zeros((32, 32), np.uint8))
    writer.write((slice(0, 16), slice(0, 8)), np.zeros((16, 8), np.uint8))
    with pytest.raises(RuntimeError, match="never written"):
        writer.check_complete()
    with pytest.raises(RuntimeError, match="twice"):
        writer.write((slice(0, 32), slice(0, 32 - 1)), np.zeros((32, 31), np.uint8))


def test_a_shard_that_was_lost_or_cut_is_noticed(tmp_path):
    array = RNG.integers(1, 255, (64, 64), dtype=np.uint8)
    store, writer, done = begin(tmp_path, array)
    writer.write((slice(0, 64), slice(0, 64)), array)
    cut, lost = (store.folder / "0/c" / name for name in ("0/0", "1/1"))
    cut.write_bytes(cut.read_bytes()[:-1])
    lost.unlink()
    held = {key for key, record in done.items() if store.holds(key, record)}
    assert set(done) - held == {(0, 0, 0), (0, 1, 1)}


def test_shards_of_zeros_have_no_file_and_are_finished_all_the_same(tmp_path):
    store, writer, done = begin(tmp_path, np.zeros((64, 64), np.uint8))
    writer.write((slice(0, 64), slice(0, 64)), np.zeros((64, 64), np.uint8))
    writer.check_complete()
    assert {record["bytes"] for record in done.values()} == {0}
    assert all(store.holds(key, record) for key, record in done.items())
