"""What the doctor finds, of this installation and of broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import napari_tincture as nt
from napari_tincture.io.tile_cache import VARIABLE as CACHE
from napari_tincture.models.shipped import VARIABLE as MODELS
from napari_tincture.tasks import doctor as module
from napari_tincture.tasks.doctor import Finding


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "WRITTEN", 2**20)
    monkeypatch.setattr(module, "SLOWEST_DISK", 0)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(MODELS, str(tmp_path / "models"))


def only(look: Callable[[], Iterator[Finding]], name: str) -> Finding:
    (found,) = (each for each in look() if each.name == name)
    return found


def test_an_installation_that_passes_its_tests_is_well(tmp_path: Path) -> None:
    found = nt.doctor()
    named = {each.name: each for each in found.findings}
    assert {"python", "torch", "Qt", "device cpu", "memory", "speed", "exactness"} <= named.keys()
    assert named["exactness"].well
    assert str(tmp_path / "cache") in named["live tiles"].found
    assert json.loads(json.dumps(found.to_json()))[0]["name"] == "python"
    text = str(found)
    assert all(each.name in text for each in found.findings)
    assert found.well == ("FAIL" not in text)


def test_what_is_missing_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_version", lambda name: "")
    assert only(module._versions, "dask").remedy == "pip install dask"
    assert "[pyqt6]" in only(module._qt, "Qt").remedy
    monkeypatch.setattr(module, "_driver", lambda: "550.1")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    build = only(module._devices, "torch build")
    assert not build.well
    assert "550.1" in build.found
    assert "pip install" in build.remedy
    monkeypatch.setattr(module, "LEAST_MEMORY", 2**60)
    assert not only(module._memory, "memory").well
    monkeypatch.setattr(module, "LARGEST_ERROR", -1)
    assert not only(module._one_tile, "exactness").well


def test_disks_that_are_slow_or_closed_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(MODELS, str(tmp_path / "file" / "models"))
    closed = only(module._disks, "own models")
    assert not closed.well
    assert closed.remedy == f"export {MODELS}=/another/folder"
    monkeypatch.setattr(module, "SLOWEST_DISK", 1e18)
    slow = only(module._disks, "live tiles")
    assert CACHE in slow.remedy
    monkeypatch.setenv(CACHE, "")
    assert "in memory alone" in only(module._disks, "live tiles").found
