"""The workers of a cluster sum the same figures, each over some rows of the plane."""

from __future__ import annotations

import os

import numpy as np
import pytest
from models import image_of

from napari_tincture import CancelToken, Raster, compare, list_metrics, open_image
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.metrics.registry import find_metric

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed")
METRICS = [
    name for name in list_metrics()
    if not find_metric(name).needs and not find_metric(name).statistic.colour
]  # fmt: skip


@pytest.fixture(scope="module")
def client():
    before = dict(os.environ)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client
    # For its workers, dask limits threads and memory in the environment of this process, too.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    images = []
    for seed, name in enumerate(("scan", "real")):
        values = image_of((2600, 700), "u1", seed)
        path = Raster.from_array(values, "yx", name=name).save(folder / f"{name}.ome.zarr")
        images.append(open_image(path))
    return images


@pytest.mark.parametrize("regions", [None, "grid:600"])
def test_workers_give_the_same_figures(client, pair, regions) -> None:
    told = []
    found = compare(
        *pair, metrics=METRICS, regions=regions, client=client,
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    here = compare(*pair, metrics=METRICS, regions=regions)
    assert found.columns == here.columns
    for row, other in zip(found.table, here.table, strict=True):
        for column in here.figures:
            assert row.get(column, 0) == pytest.approx(other.get(column, 0), rel=1e-9)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 1


def test_cancel_ends_it(client, pair) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        compare(*pair, client=client, cancel=token)


def test_images_that_workers_cannot_read_are_refused(pair, tmp_path) -> None:
    with pytest.raises(InputError, match="in memory or still to be computed"):
        compare(np.asarray(pair[0]), pair[1], client=object())
    with pytest.raises(InputError, match="resume= goes without client="):
        compare(*pair, client=object(), resume=tmp_path / "sums.json")
