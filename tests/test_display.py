from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from napari_tincture.display import has_display, virtual_display
from napari_tincture.errors import DeviceError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others have a display")


@pytest.fixture
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


def test_a_display_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    with virtual_display():
        assert os.environ["DISPLAY"] == ":7"


@linux
@pytest.mark.usefixtures("_no_display")
def test_a_virtual_display_takes_windows_and_goes_away() -> None:
    program = (
        "from qtpy.QtWidgets import QApplication; application = QApplication([]);"
        "print(application.primaryScreen().size())"
    )
    assert not has_display()
    with virtual_display(640, 480):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        assert "640, 480" in done.stdout
    assert "DISPLAY" not in os.environ


@linux
@pytest.mark.usefixtures("_no_display")
def test_without_xvfb_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DeviceError, match="apt-get install xvfb"), virtual_display():
        pass
