"""Lazy arrays compute what is asked for, once, and carry no weights."""

from __future__ import annotations

import pickle

import dask
import dask.array as da
import numpy as np
import pytest
from models import SmallMemory, image_of, job_of, model_of, result_of
from networks import EXACT

from napari_tincture.errors import TinctureError
from napari_tincture.tiling.lazy import lazy, result_axes, to_axes

IMAGE = image_of((3, 2, 90, 70))


@pytest.fixture
def model():
    return model_of(EXACT["nearest"]())


def test_nothing_is_computed_before_it_is_asked_for(model):
    engine = SmallMemory(model, 10**9)
    job = job_of(model, IMAGE, "tcyx", core=20, engine=engine)
    array = lazy(job, job.plan.dtype, None, "stain")
    assert array.shape == (3, 90, 70)
    assert array.dtype == np.float32
    assert engine.sizes == []
    array[1, 25:35, 25:35].compute()
    assert len(engine.sizes) == 1
    array[1, 25:35, 25:35].compute()
    assert len(engine.sizes) == 1


def test_chunks_are_tiles(model):
    job = job_of(model, IMAGE, "tcyx", core=20)
    array = lazy(job, job.plan.dtype, 1, "stain")
    assert array.chunks == ((1, 1, 1), (1,), *job.grid.chunks)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_lazy_is_streamed(model, scheduler):
    job = job_of(model, IMAGE, "tcyx", core=20)
    with dask.config.set(scheduler=scheduler):
        found = np.asarray(lazy(job, job.plan.dtype, None, "stain"))
    again = job_of(model, IMAGE, "tcyx", core=20)
    for t in range(3):
        np.testing.assert_array_equal(found[t], result_of(again, (t,))[0])


def test_slices_are_the_slices_of_the_whole(model):
    job = job_of(model, IMAGE, "tcyx", core=20)
    array = lazy(job, job.plan.dtype, None, "stain")
    whole = array.compute()
    for index in ((0,), (slice(None), 5), (..., 3), (2, slice(80, None), slice(None, None, 7))):
        np.testing.assert_array_equal(array[index].compute(), whole[index])
    np.testing.assert_array_equal(da.flip(array, 2).compute(), whole[..., ::-1])


def test_weights_are_not_in_the_graph(model):
    job = job_of(model, IMAGE, "tcyx", core=20)
    array = lazy(job, job.plan.dtype, None, "stain")
    with pytest.raises(TinctureError, match="belongs to the process that made it"):
        pickle.dumps(array)
    with pytest.raises(TinctureError, match="Save it, on a cluster"):
        array.compute(scheduler="processes")


def test_a_huge_image_makes_a_small_graph(model):
    image = da.zeros((2, 65_536, 65_536), dtype="u1", chunks=(2, 4096, 4096))
    job = job_of(model, image, core=256)
    array = lazy(job, job.plan.dtype, None, "stain")
    assert array.npartitions == 256 * 256
    layers = array.__dask_graph__().layers
    assert len(layers) == 1
    assert not next(iter(layers.values())).is_materialized()


def test_names_differ_between_jobs_on_one_image(model):
    job = job_of(model, IMAGE, "tcyx", core=20)
    names = {lazy(job, job.plan.dtype, None, "stain").name for _ in range(3)}
    assert len(names) == 3


@pytest.mark.parametrize("leading", ["", "t", "z", "tz"])
@pytest.mark.parametrize("channels", [False, True])
def test_axes_of_a_block(leading, channels):
    block = np.zeros((2, 5, 7))
    axes = result_axes(leading, channels)
    assert axes == "".join(a for a in "tczyx" if a in leading + "yx" + "c" * channels)
    expected = {"t": 1, "z": 1, "c": 2, "y": 5, "x": 7}
    assert to_axes(block, leading, channels).shape == tuple(expected[a] for a in axes)


def test_an_error_in_a_block_is_the_readers(model):
    image = IMAGE.astype("f4")
    image[1, 0, 50, 50] = np.inf
    job = job_of(model, image, "tcyx", core=20)
    array = lazy(job, job.plan.dtype, None, "stain")
    assert np.isfinite(array[0].compute()).all()
    with pytest.raises(TinctureError, match="1 of"):
        array[1].compute()
