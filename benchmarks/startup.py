"""How long a user waits before anything runs."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.limits import LIMITS

ROUNDS = 5

_IMPORT = """
import time
start = time.perf_counter()
import napari_tincture
print(time.perf_counter() - start)
"""

# napari itself is open already, as it is for a user who opens a panel.
_WIDGET = """
import time
import napari
viewer = napari.Viewer(show=False)
from napari._qt.qt_event_loop import get_qapp
start = time.perf_counter()
from napari_tincture.widgets.stain import StainPanel
panel = StainPanel(viewer)
viewer.window.add_dock_widget(panel)
get_qapp().processEvents()
print(time.perf_counter() - start)
import os; os._exit(0)
"""


def print_startup() -> None:
    """Print the table of start-up times; each is the median of processes of their own."""
    print("## Start-up\n")
    print("| | seconds | limit |")
    print("|---|---|---|")
    for name, code in (("import napari_tincture", _IMPORT), ("open a widget", _WIDGET)):
        print(f"| {name} | {_median(code):.3f} | {LIMITS['startup'][name][1]} |", flush=True)
    print()


def _median(code: str) -> float:
    return statistics.median(_run(code) for _ in range(ROUNDS))


def _run(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])
