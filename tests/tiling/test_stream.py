"""Reading, computing and writing side by side end together, whatever goes wrong in one of them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from models import image_of, job_of, model_of
from networks import EXACT

from napari_tincture.errors import Cancelled
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.stream import stream

IMAGE = image_of((2, 2, 80, 70))


@pytest.fixture(params=["unet", "resnet"])
def job(request):
    return job_of(model_of(EXACT[request.param]()), IMAGE, "zcyx", core=24, context="exact")


@pytest.fixture(autouse=True)
def no_thread_outlives_the_call():
    before = set(threading.enumerate())
    yield
    assert [t for t in threading.enumerate() if t not in before] == []


def test_every_block_is_written_once_and_progress_counts_them(job):
    written, told = [], []
    stream(job, lambda item, block: written.append((item, block)), lambda *n: told.append(n))
    assert len(written) == len(job)
    assert {key for key, _ in written} == set(job.items())
    assert told == [(n, len(job)) for n in range(len(job) + 1)]
    for (_, tile), block in written:
        assert block.shape == (1, tile.y.size, tile.x.size)


def test_cached_blocks_are_written_too(job):
    job.block((1,), (1, 1))
    written = []
    stream(job, lambda item, _: written.append((item[0], item[1].index)))
    assert sorted(written) == sorted((p, t.index) for p, t in job.items())


class Boom(Exception):
    """Something that goes wrong."""


@pytest.mark.parametrize("after", [0, 1, 7, 23])
def test_an_error_in_writing_comes_out_and_nothing_is_written_after_it(job, after):
    calls = []

    def write(item, block):
        calls.append(item)
        if len(calls) > after:
            raise Boom("disk full")

    with pytest.raises(Boom, match="disk full"):
        stream(job, write)
    assert len(calls) == after + 1


@pytest.mark.parametrize("after", [0, 1, 5, 20])
def test_an_error_in_reading_comes_out(job, after, monkeypatch):
    read, calls = type(job).read, []

    def failing(self, item):
        calls.append(item)
        if len(calls) > after:
            raise Boom("file gone")
        return read(self, item)

    monkeypatch.setattr(type(job), "read", failing)
    with pytest.raises(Boom, match="file gone"):
        stream(job, lambda *_: None)
    monkeypatch.undo()
    # The job is as good as new.
    written = []
    stream(job, lambda item, _: written.append(item))
    assert len(written) == len(job)


@pytest.mark.parametrize("after", [0, 3])
def test_an_error_in_computing_comes_out(job, after, monkeypatch):
    network, calls = job.engine._network, []

    def failing(batch):
        calls.append(1)
        if len(calls) > after:
            raise Boom
        return network(batch)

    monkeypatch.setattr(job.engine, "_network", failing)
    with pytest.raises(Boom):
        stream(job, lambda *_: None)


def test_an_error_in_progress_comes_out(job):
    def progress(done, total):
        if done == 2:
            raise Boom

    with pytest.raises(Boom):
        stream(job, lambda *_: None, progress)


@pytest.mark.parametrize("after", [0, 1, 6])
def test_cancelling_stops_within_one_tile(job, after):
    token, done = CancelToken(), []

    def progress(count, total):
        done.append(count)
        if count >= after:
            token.cancel()

    with pytest.raises(Cancelled):
        stream(job, lambda *_: None, progress, token)
    # Lock-step finishes no tile before it has begun all.
    assert done[-1] <= after + 1


def test_a_result_larger_than_the_cache_leaves_it_as_it_was(job):
    job.cache.limit = 1000
    stream(job, lambda *_: None)
    assert job.cache.get(((0,), (0, 0))) is None


def test_blocks_are_written_in_one_thread_that_is_not_ours(job):
    names = set()
    stream(job, lambda *_: names.add(threading.current_thread()))
    assert len(names) == 1
    assert threading.current_thread() not in names


def test_reading_goes_ahead_but_not_far(job, monkeypatch):
    read, ahead, written = type(job).read, [], []

    def counting(self, item):
        ahead.append(len(ahead) + 1 - len(written))
        return read(self, item)

    monkeypatch.setattr(type(job), "read", counting)
    stream(job, lambda item, _: written.append(item))
    if not job.reach.sites:
        # Two wait to be computed, four to be written, one is in every hand.
        assert max(ahead) <= 2 + 4 + 3


def test_the_last_block_is_written_before_the_call_returns(job):
    result = np.full((2, 80, 70), np.nan)

    def write(item, block):
        (z,), tile = item
        result[(z, *job.grid.place(tile))] = block[0]

    stream(job, write)
    assert np.isfinite(result).all()
