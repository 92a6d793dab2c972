"""What every test relies on: a screen, settings of its own, and no windows left behind."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from napari_tincture.display import has_display, virtual_display
from napari_tincture.errors import DeviceError

OWN_SCREEN = "NAPARI_TINCTURE_TEST_SCREEN"
"""Set where the tests started a screen, and no person sees their windows."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Let test processes side by side share the cores; libraries look when they are imported."""
    os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    stack = ExitStack()
    config.add_cleanup(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    # For napari in child processes; this process may have read the variable already.
    os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
    os.environ["NAPARI_TINCTURE_CACHE"] = str(Path(folder) / "tiles")
    os.environ["NAPARI_TINCTURE_MODELS"] = str(Path(folder) / "models")
    # A screen for each process: the clipboard is the screen's.
    if "PYTEST_XDIST_WORKER" in os.environ and OWN_SCREEN in os.environ:
        os.environ.pop("DISPLAY", None)
    elif not has_display():
        os.environ[OWN_SCREEN] = "1"
    try:
        stack.enter_context(virtual_display())
    except DeviceError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with long tests, lest one process is left alone with them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    _freeze()


def _freeze() -> None:
    """Let garbage be collected fast: what was imported and collected by now stays."""
    global _frozen
    gc.collect()
    gc.freeze()
    _frozen = len(sys.modules)


_frozen = 0
"""How many modules were imported when garbage was last told from what stays."""


@pytest.fixture(autouse=True, scope="session")
def _own_napari_settings() -> None:
    from napari.settings import get_settings

    # Every dock would write them again.
    get_settings(os.environ["NAPARI_CONFIG"])._save_on_change = False


@pytest.fixture(autouse=True)
def _no_windows_left(request: pytest.FixtureRequest):
    """Fail a test that leaves a window open or a dialogue alive."""
    from qtpy.QtWidgets import QApplication

    if len(sys.modules) > _frozen + 200:  # napari, say
        _freeze()
    before = set(QApplication.topLevelWidgets()) if QApplication.instance() else set()
    yield
    if QApplication.instance() is None:
        return
    QApplication.processEvents()
    # Collecting garbage takes longer than most tests; without new windows none can survive it.
    left = [f"{type(w).__name__} {w.objectName()!r}" for w in _survivors(before)]
    # A failed test's traceback keeps its widgets alive.
    call = getattr(request.node, "rep_call", None)
    if left and call is not None and call.passed:
        pytest.fail(f"The test left {len(left)} top-level widget(s): {', '.join(left)}")


@pytest.fixture(params=[True], ids=["units"])
def bfloat16_units(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let torch say that the processor has units for bfloat16, or none, whatever it has."""
    import torch

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return request.param


@pytest.fixture(scope="module")
def plain():
    """A small model of a U-Net, which takes nothing from the whole image."""
    from models import model_of
    from networks import EXACT

    return model_of(EXACT["unet"]())


@pytest.fixture(scope="module")
def normed():
    """A small model of a network with instance norm, which does."""
    from models import model_of
    from networks import EXACT

    return model_of(EXACT["resnet"]())


def _survivors(before: set[object]) -> list:
    from qtpy.QtCore import QCoreApplication, QEvent
    from qtpy.QtWidgets import QApplication

    def left() -> list:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        return [w for w in QApplication.topLevelWidgets() if w not in before]

    if not left():
        return []
    gc.collect()
    return left()
