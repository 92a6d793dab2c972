"""Preferences of napari, or of the environment, are what new panels begin with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from napari.settings import get_plugin_settings

from napari_tincture.errors import InputError
from napari_tincture.io.tile_cache import SIZE_VARIABLE, VARIABLE, cache_limit
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._memory import forget
from napari_tincture.widgets._preferences import USUAL, apply_cache, preferred
from napari_tincture.widgets.stain import StainPanel


@pytest.fixture
def preferences() -> Iterator[Any]:
    kept = get_plugin_settings("napari-tincture")
    before = kept.model_dump()
    forget()
    yield kept
    kept.update(before)
    forget()


def test_nobody_prefers_anything_at_first(preferences: Any) -> None:
    assert preferred() == USUAL


def test_a_panel_begins_as_preferred(viewer: Any, qtbot: Any, preferences: Any) -> None:
    preferences.running.precision = "bfloat16"
    preferences.running.output = "live"
    preferences.running.device = "cpu"
    panel = StainPanel(viewer)
    qtbot.addWidget(panel)
    assert panel.more.precision.value == "bfloat16"
    assert panel.output.live
    assert panel.more.device.value == "cpu"


def test_a_preferred_device_is_taken_once_the_worker_knows_it(
    viewer: Any, qtbot: Any, preferences: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    preferences.running.device = "cuda"
    panel = StainPanel(viewer)
    qtbot.addWidget(panel)
    assert panel.more.device.value == "auto"
    devices = {"cuda": "a card", "cpu": "this processor"}
    monkeypatch.setattr(panel._hub.client, "devices", devices)
    panel._offer_devices()
    assert panel.more.device.value == "cuda"
    panel.more.device.value = "cpu"
    panel._offer_devices()
    assert panel.more.device.value == "cpu"  # a person has chosen since


def test_a_panel_that_is_opened_again_has_the_device_that_was_chosen(
    viewer: Any, qtbot: Any, preferences: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (StainPanel(viewer) for _ in range(3))
    for panel in (first, second, third):
        qtbot.addWidget(panel)
    devices = {"cuda:0": "a card", "cuda:1": "another", "cpu": "this processor"}
    monkeypatch.setattr(first._hub.client, "devices", devices)
    first._offer_devices()
    first.more.device.value = "cuda:1"
    first.refresh()
    second._recall()
    assert second.more.device.value == "auto"
    second.refresh()  # and what is to come is remembered, too
    third._recall()
    for panel in (second, third):
        panel._offer_devices()
        assert panel.more.device.value == "cuda:1"


def test_the_environment_says_it_where_napari_does_not(
    preferences: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_TINCTURE_PRECISION", "float16")
    monkeypatch.setenv("NAPARI_TINCTURE_OUTPUT", "file")
    assert preferred() == {"device": "auto", "precision": "float16", "output": "file"}
    preferences.running.precision = "bfloat16"
    assert preferred()["precision"] == "bfloat16"
    import napari.settings

    monkeypatch.delattr(napari.settings, "get_plugin_settings")  # as before 0.9
    assert preferred() == {"device": "auto", "precision": "float16", "output": "file"}


def test_workers_keep_tiles_where_and_as_much_as_preferred(
    preferences: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv(SIZE_VARIABLE, "1")  # and take it away again after the test
    monkeypatch.delenv(SIZE_VARIABLE)
    preferences.cache.folder, preferences.cache.gigabytes = str(tmp_path), 2.5
    JobHub()
    assert os.environ[VARIABLE] == str(tmp_path)
    assert cache_limit() == int(2.5 * 2**30)
    monkeypatch.setenv(VARIABLE, "/elsewhere")
    apply_cache()
    assert os.environ[VARIABLE] == "/elsewhere"


@pytest.mark.parametrize("text", ["much", "-1", "0", "inf"])
def test_a_cache_of_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIZE_VARIABLE, text)
    with pytest.raises(InputError, match="expected a number of GiB"):
        cache_limit()
