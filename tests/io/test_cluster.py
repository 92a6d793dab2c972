"""A cluster gives the same bytes as one process, whoever is lost on the way."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch
from files import tree
from models import image_of, model_of
from networks import EXACT, Fn

from napari_tincture import open_image, segment, stain
from napari_tincture.errors import Cancelled, OutputError
from napari_tincture.io import layout
from napari_tincture.io.identity import signature
from napari_tincture.models import Normalisation
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    # Workers do not see what tests know of networks unless they are told where it is.
    support = str(Path(__file__).parents[1] / "support")
    path = os.pathsep.join([support, os.environ.get("PYTHONPATH", "")])
    before = dict(os.environ)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", env={"PYTHONPATH": path}
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client
    # For its workers, dask limits threads and memory in the environment of this process, too.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(layout, "SHARD", 128)
    monkeypatch.setattr(layout, "CHUNK", 32)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def model(name):
    return model_of(EXACT[name]())


@cache
def as_it_is():
    return model_of(
        Fn(lambda _, x: x), 3, 3, task="segment", normalisation=Normalisation("none"),
        instances={"threshold": 0.5, "largest": 40},
    )  # fmt: skip


SPOTS = open_image(image_of((3, 150, 200), "float32"), axes="zyx")
STACK = open_image(image_of((2, 2, 150, 200)), axes="zcyx")
REGION = {"y": (20, 149), "x": (33, 199)}
RESULTS = {
    "plain": lambda: stain(STACK, model("unet"), tile=64),
    "normed": lambda: stain(STACK, model("resnet"), tile=64, context="exact"),
    "region": lambda: stain(STACK, model("unet"), tile=64, region=REGION),
    "labels": lambda: segment(SPOTS, as_it_is(), tile=64),
    "classes": lambda: segment(SPOTS, as_it_is(), tile=64, output="classes"),
    "probabilities": lambda: segment(SPOTS, as_it_is(), tile=64, output="probabilities"),
    "image": lambda: Raster.from_array(da.from_array(image_of((300, 400)), chunks=64), "yx"),
}


@pytest.mark.parametrize("kind", sorted(RESULTS))
def test_two_workers_give_the_bytes_of_one_process(tmp_path, client, kind):
    told = []
    RESULTS[kind]().save(
        tmp_path / "many" / "a.ome.zarr", client=client, progress=lambda *n: told.append(n)
    )
    RESULTS[kind]().save(tmp_path / "one" / "a.ome.zarr")
    many, one = tree(tmp_path / "many"), tree(tmp_path / "one")
    assert many.keys() == one.keys()
    assert [name for name in one if many[name] != one[name]] == []
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 3


@pytest.mark.parametrize("kind", ["plain", "normed", "labels"])
def test_what_a_cluster_began_one_process_continues(tmp_path, client, kind):
    token = CancelToken()
    lazy = RESULTS[kind]()
    with pytest.raises(Cancelled, match="same call continues"):
        lazy.save(
            tmp_path / "many" / "a.ome.zarr", client=client, cancel=token,
            progress=lambda done, _: done == 3 and token.cancel(),
        )  # fmt: skip
    told = []
    lazy.save(tmp_path / "many" / "a.ome.zarr", progress=lambda *n: told.append(n))
    assert told[0][0] > 0
    lazy.save(tmp_path / "one" / "a.ome.zarr")
    assert tree(tmp_path / "many") == tree(tmp_path / "one")


class DyingOnce:
    """An array whose first reader is killed."""

    def __init__(self, mark: Path):
        self.mark, self.shape, self.ndim, self.dtype = mark, (300, 400), 2, np.dtype(np.uint8)

    def __getitem__(self, index):
        window = np.ones(self.shape, np.uint8)[index]
        if window.size > 64 * 64 and not self.mark.exists():
            self.mark.touch()
            os._exit(9)
        return window


def test_what_a_lost_worker_had_begun_is_done_again(tmp_path, client):
    raster = Raster.from_array(DyingOnce(tmp_path / "mark"), "yx")
    raster.save(tmp_path / "a.ome.zarr", client=client)
    assert (tmp_path / "mark").exists()
    assert (open_image(tmp_path / "a.ome.zarr").compute() == 1).all()


def test_the_model_is_opened_once_per_worker(tmp_path, client):
    lazy = RESULTS["plain"]()
    lazy.save(tmp_path / "a.ome.zarr", client=client)
    counts = client.run(_engines)
    assert sorted(counts.values()) == [1, 1]


def _engines() -> int:
    from napari_tincture.io import cluster

    (work,) = cluster._OPENED.values()
    return int(work.raster.runner.job._engine is not None)


def test_an_error_on_a_worker_comes_out_as_it_is(tmp_path, client):
    values = image_of((2, 150, 200), "float32")
    values[0, 140, 180] = np.nan
    lazy = stain(open_image(values, axes="cyx"), model("unet"), tile=64)
    with pytest.raises(ValueError, match="NaN"):
        lazy.save(tmp_path / "a.ome.zarr", client=client)


def test_a_place_that_workers_cannot_see_is_named(tmp_path, client):
    from napari_tincture.io.cluster import _opened

    with pytest.raises(OutputError, match="all workers share"):
        client.submit(_opened, str(tmp_path / "no" / "work.pickle"), "0").result()


class StaysHere:
    """An array that no other process can read."""

    shape, ndim, dtype = (300, 400), 2, np.dtype(np.uint8)

    def __getitem__(self, index):
        return np.ones(self.shape, np.uint8)[index]

    def __reduce__(self):
        raise AssertionError("it was sent to the cluster")


def test_reading_is_no_work_for_an_active_cluster(client):
    with client.as_current():
        raster = Raster.from_array(StaysHere(), "yx")
        assert raster.read((slice(0, 5), slice(0, 7))).shape == (5, 7)
        assert raster.compute().sum() == 300 * 400
        signature(raster)


def test_an_active_client_is_used_without_being_named(tmp_path, client):
    with client.as_current():
        RESULTS["plain"]().save(tmp_path / "many" / "a.ome.zarr")
    assert not list(tmp_path.rglob("*.partial"))
    assert sorted(client.run(_engines).values()) == [1, 1]
