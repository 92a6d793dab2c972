"""A screen for machines that have none, so that a real napari window can be drawn and seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from napari_tincture.errors import DeviceError


def has_display() -> bool:
    """Whether a window can be shown to a person here, or Qt was told to do without a screen."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


@contextmanager
def virtual_display(width: int = 1920, height: int = 1200) -> Iterator[None]:
    """Within the block, windows go to a virtual screen; does nothing where there is a display.

    Parameters
    ----------
    width, height
        Size of the screen in pixels.

    Raises
    ------
    DeviceError
        If there is neither a display nor Xvfb.
    """
    if has_display():
        yield
        return
    server, number = _start(width, height)
    os.environ["DISPLAY"] = f":{number}"
    try:
        yield
    finally:
        del os.environ["DISPLAY"]
        server.terminate()
        server.wait()


def _start(width: int, height: int) -> tuple[subprocess.Popen[bytes], int]:
    program = shutil.which("Xvfb")
    if program is None:
        raise DeviceError(
            "There is no display, and no Xvfb to stand in for one. "
            "Install it: sudo apt-get install xvfb libgl1-mesa-dri"
        )
    reader, writer = os.pipe()
    screen = ["-screen", "0", f"{width}x{height}x24"]
    # Without -noreset the server starts over, and drops its settings, when its last client leaves.
    options = ["-displayfd", str(writer), "-nolisten", "tcp", "-noreset", *screen]
    server = subprocess.Popen([program, *options], pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as answer:
        number = answer.readline().strip()
    if not number:
        raise DeviceError(f"Xvfb ended with code {server.wait()} before it had a screen.")
    return server, int(number)
