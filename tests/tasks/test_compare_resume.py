"""Sums are kept while they are taken; going on from them gives the very same figures."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from models import image_of

from napari_tincture import CancelToken, Raster, compare
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.metrics import stream

METRICS = ("ssim", "psnr", "pearson", "mutual_information", "noise")


@pytest.fixture(autouse=True)
def small_areas(monkeypatch) -> None:
    monkeypatch.setattr(stream, "AREA", 64)


def images(name: str = "scan") -> tuple[Raster, Raster]:
    made = (image_of((300, 200), "u1", seed) for seed in (0, 1))
    return tuple(Raster.from_array(values, "yx", name=name) for values in made)


def interrupted(path, after: int, **options) -> None:
    token = CancelToken()

    def progress(done: int, total: int) -> None:
        if done >= after:
            token.cancel()

    with pytest.raises(Cancelled):
        compare(*images(), metrics=METRICS, resume=path, progress=progress, cancel=token, **options)


@pytest.mark.parametrize("regions", [None, "grid:90"])
def test_going_on_gives_the_same_figures(tmp_path, regions) -> None:
    path = tmp_path / "sums.json"
    interrupted(path, 9, regions=regions)
    assert path.exists()
    found = compare(*images(), metrics=METRICS, resume=path, regions=regions)
    assert found.table == compare(*images(), metrics=METRICS, regions=regions).table
    assert not path.exists()


def test_what_was_summed_is_not_read_again(tmp_path) -> None:
    path = tmp_path / "sums.json"
    interrupted(path, 9)
    seen = []
    compare(*images(), metrics=METRICS, resume=path, progress=lambda *told: seen.append(told))
    assert seen[0][0] >= seen[0][1] // 2


def test_planes_that_are_done_stay_done(tmp_path) -> None:
    stack = np.stack([image_of((130, 70), "u1", seed) for seed in range(3)])
    pair = [Raster.from_array(v, "zyx") for v in (stack, np.roll(stack, 1, -1))]
    path, token = tmp_path / "sums.json", CancelToken()

    def progress(done: int, total: int) -> None:
        if done > total // 2:
            token.cancel()

    with pytest.raises(Cancelled):
        compare(*pair, resume=path, progress=progress, cancel=token)
    assert compare(*pair, resume=path).table == compare(*pair).table


def test_sums_of_something_else_are_refused_and_kept(tmp_path) -> None:
    path = tmp_path / "sums.json"
    interrupted(path, 9)
    before = path.read_bytes()
    masks = [np.eye(300, 200, k, dtype=bool) for k in range(2)]
    for change in (
        {"data_range": 300}, {"regions": "grid:50"}, {"metrics": ["psnr"]}, {"mask": masks[0]},
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"another comparison: .*Give another path"):
            compare(*images(), **{"metrics": METRICS, "resume": path} | change)
    other = Raster.from_array(image_of((300, 200), "u1", 7), "yx", name="scan")
    with pytest.raises(InputError, match=r"images"):
        compare(other, images()[1], metrics=METRICS, resume=path)
    assert path.read_bytes() == before
    path.write_text("{}")
    with pytest.raises(InputError, match="holds no sums"):
        compare(*images(), metrics=METRICS, resume=path)
    assert path.read_text() == "{}"


def test_labels_are_not_resumed(tmp_path) -> None:
    labels = Raster.from_array(da.zeros((9, 9), dtype="u1"), "yx", kind="labels")
    with pytest.raises(InputError, match="resume="):
        compare(labels, labels, resume=tmp_path / "sums.json")
