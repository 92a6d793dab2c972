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

# The panel has told the worker which model is chosen; then the user presses Run for the first time.
_FIRST_JOB = """
import threading
import time
import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.worker.client import WorkerClient
from napari_tincture.worker.settings import JobSettings

MODEL = "phase-to-dapi"
image = samples.neuron_phase().crop({"y": slice(0, 256), "x": slice(0, 256)})
image = nt.Raster.from_array(image.compute(), image.axes)
settings = JobSettings(task="stain", model=MODEL)
warm = threading.Event()
client = WorkerClient(on_ready=lambda: warm.set() if client.warmed else None)
client.warm(settings)
warm.wait()
start = time.perf_counter()
client.submit(settings, [image]).wait()
answered = time.perf_counter() - start
client.close()

import torch
model = nt.load_model(MODEL)
batch = torch.from_numpy(image.compute()[None].astype("float32"))
for _ in range(2):  # the second is warm
    start = time.perf_counter()
    model.predict(batch)
    forward = time.perf_counter() - start
print(answered - forward)
"""


def print_startup() -> None:
    """Print the table of start-up times; each is the median of processes of their own."""
    print("## Start-up\n")
    print("| | seconds | limit | |")
    print("|---|---|---|---|")
    for name, code in zip(LIMITS["startup"], (_IMPORT, _WIDGET, _FIRST_JOB), strict=True):
        seconds, (side, bound) = _median(code), LIMITS["startup"][name]
        kept = "kept" if seconds <= bound else "MISSED"
        print(f"| {name} | {seconds:.3f} | {side} {bound} | {kept} |", flush=True)
    print()


def _median(code: str) -> float:
    return statistics.median(_run(code) for _ in range(ROUNDS))


def _run(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])
