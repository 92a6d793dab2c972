"""Planes that memory cannot hold while they are drawn: strip by strip, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from painters import denoiser, label_map

import napari_tincture as nt
from napari_tincture.diffusion.asking import Asking
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.progress import CancelToken
from napari_tincture.tasks import _artist, _drawing_memory
from napari_tincture.tasks._drawing_memory import DrawingMemory

SHAPE, STEPS = (400, 60), 3
LABELS = label_map(*SHAPE)
MODEL = denoiser(coarse=2)
DENOISING = MODEL.card.denoising
assert DENOISING is not None
NEEDED = DrawingMemory(*SHAPE, len(MODEL.card.outputs), DENOISING.window, STEPS + 1)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that holds a front of strips, and not the plane."""
    assert NEEDED.in_strips < NEEDED.at_once
    monkeypatch.setattr(_artist, "free_memory", lambda device: NEEDED.in_strips)


def drawn() -> nt.Raster:
    return nt.synthesize(LABELS, MODEL, steps=STEPS, sampler="ddim", dtype="float32")


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return drawn().compute()


def events(raster: nt.Raster) -> list[str]:
    found: list[str] = raster.runner.facts()["events"]
    return found


def test_the_image_is_the_same(little: None, expected: np.ndarray, tmp_path: Path) -> None:
    result = drawn()
    np.testing.assert_array_equal(result.compute(), expected)
    assert events(result) == ["larger than memory: plane [] in strips"]
    path = drawn().save(tmp_path / "made.ome.zarr")
    np.testing.assert_array_equal(np.asarray(nt.open_image(path)), expected)
    assert [each.name for each in tmp_path.iterdir()] == ["made.ome.zarr"]


@pytest.mark.slow
def test_it_goes_on_after_a_kill(little: None, expected: np.ndarray, tmp_path: Path) -> None:
    token, path = CancelToken(), tmp_path / "made.ome.zarr"

    def stop(done: int, total: int) -> None:
        if done > 0.6 * total:
            token.cancel()

    with pytest.raises(Cancelled):
        drawn().save(path, progress=stop, cancel=token)
    asked, run = list[int](), Asking._run

    def counting(self: Asking, x: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        return run(self, x, *more)

    with patch.object(Asking, "_run", counting):
        drawn().save(path)
        rest = len(asked)
        drawn().compute()
    # Windows of finished strips, and those that others still need, are not asked for again.
    assert rest < 0.55 * (len(asked) - rest)
    np.testing.assert_array_equal(np.asarray(nt.open_image(path)), expected)


def test_it_is_repainted(little: None, expected: np.ndarray) -> None:
    changed = LABELS.copy()
    changed[200:210, 20:30] = 4
    found = np.asarray(nt.repaint(drawn(), changed, margin=8))
    at_once = (found != expected).any(0) if found.ndim == 3 else found != expected
    assert at_once[200:210].any()
    assert not at_once[:190].any()
    assert not at_once[220:].any()


def test_neither_memory_nor_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_artist, "free_memory", lambda device: 1000)
    with pytest.raises(InputError, match=r"400 × 60 px takes .* GiB of memory"):
        drawn()
    monkeypatch.setattr(_artist, "free_memory", lambda device: NEEDED.in_strips)
    usage = _drawing_memory.shutil.disk_usage("/")
    monkeypatch.setattr(_drawing_memory.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(InputError, match="of the disk while it is drawn"):
        drawn()


def test_what_looks_at_the_whole_plane_needs_memory_for_it(tmp_path: Path) -> None:
    whole = replace(NEEDED, local=False)
    assert NEEDED.check(NEEDED.in_strips, tmp_path)
    assert not NEEDED.check(NEEDED.at_once, tmp_path)
    with pytest.raises(InputError, match="GiB of memory"):
        whole.check(NEEDED.in_strips, tmp_path)
