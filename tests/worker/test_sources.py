"""A raster of another process reads like the raster itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.worker.sources import describe, read_window, rebuild


def remote(raster: Raster, asked: list[list[list[int]]] | None = None) -> Raster:
    """What the worker would see, without a process between."""

    def fetch(level: int, window: list[list[int]]) -> np.ndarray:
        if asked is not None:
            asked.append(window)
        return read_window(raster, level, window)

    return rebuild(json.loads(json.dumps(describe(raster))), fetch, "test")


@pytest.fixture
def raster() -> Raster:
    values = np.random.default_rng(1).normal(size=(3, 50, 40)).astype(np.float32)
    placement = Placement.build("cyx", scale=(1, 0.5, 0.25), translate=(0, 3, 4), units="um")
    levels = [values, values[:, ::2, ::2]]
    return Raster.from_array(
        levels, "cyx", placement=placement, name="field", channels=("a", "b", "c"),
        display={"colours": ["red", "green", "blue"]}, provenance={"by": "hand"},
    )  # fmt: skip


def test_everything_but_the_origin_is_kept(raster: Raster) -> None:
    copy = remote(raster)
    for name in ("axes", "kind", "placement", "name", "rgb", "channels", "display", "order"):
        assert getattr(copy, name) == getattr(raster, name)
    assert dict(copy.provenance) == {"by": "hand"}
    assert len(copy.levels) == 2
    for own, other in zip(copy.levels, raster.levels, strict=True):
        assert own.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(own), np.asarray(other))


KEYS = [
    np.s_[0],
    np.s_[:, 3:9, 5],
    np.s_[..., ::3],
    np.s_[:, ::-1],
    np.s_[:, -4:, 39],
    np.s_[:, 7:7],
    np.s_[:, [5, 1, 1]],
    np.s_[:, :, np.arange(40) % 3 == 0],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_every_key_gives_what_numpy_gives(raster: Raster, key: object) -> None:
    np.testing.assert_array_equal(np.asarray(remote(raster).data[key]), np.asarray(raster)[key])


def test_a_slice_asks_for_nothing_but_itself(raster: Raster) -> None:
    asked: list[list[list[int]]] = []
    np.asarray(remote(raster, asked).data[1, 10:20, 30:])
    assert asked == [[[1, 2], [10, 20], [30, 40]]]


def test_a_path_is_opened_again_not_asked_for(tmp_path: Path, raster: Raster) -> None:
    np.save(tmp_path / "image.npy", np.asarray(raster)[0])
    from napari_tincture.io.open import open_image

    asked: list[list[list[int]]] = []
    copy = remote(open_image(tmp_path / "image.npy"), asked)
    np.testing.assert_array_equal(np.asarray(copy), np.asarray(raster)[0])
    assert asked == []


def test_a_failed_read_names_the_image(raster: Raster) -> None:
    def broken(block: np.ndarray) -> np.ndarray:
        raise OSError("no such drive")

    levels = [raster.data.map_blocks(broken, dtype=np.float32)]
    bad = Raster.from_array(levels, "cyx", name="far away")
    with pytest.raises(InputError, match=r"'far away'.*no such drive"):
        read_window(bad, 0, [[0, 1], [0, 5], [0, 5]])
