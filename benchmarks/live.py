"""Panning over a slide: how long the window is held up, and how soon tiles come.

A napari window, with the worker that panels use, over a virtual slide of 65,536 × 65,536 pixels.
The same panning with as many layers of constant arrays tells what drawing alone costs: without a
GPU, most of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.verdict import print_verdict
from napari_tincture.device import allocator_environment
from napari_tincture.display import virtual_display

SIDE = 65_536
MODEL = "phase-to-dapi"

_PAN = '''
import gc
import json
import time
from itertools import pairwise

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.widgets import _jobs
from napari_tincture.tiling.levels import LiveWindow
from napari_tincture.tiling.live import LivePyramid
from napari_tincture.widgets._live import _VIEWS, LiveView
from napari_tincture.worker.settings import JobSettings

SIDE, MODEL, LIVE = {side}, {model!r}, {live}
SIZE = (1000, 700)
slide = samples.mosaic(SIDE)
viewer = napari.Viewer(show=True)
viewer.window.resize(*SIZE)
slide.add_to(viewer)
hub = _jobs.job_hub()
app = QApplication.instance()
held = []
own = []
collecting = []
spent = 0.0
collected = 0.0
began_collecting = 0.0


def note_collection(phase, _):
    """Count the time of Python's garbage collector, which stops everything."""
    global collected, began_collecting
    now = time.perf_counter()
    if phase == "start":
        began_collecting = now
    else:
        collected += now - began_collecting


gc.callbacks.append(note_collection)


def timed(owner, name):
    """Count the time of one of our own methods, on the GUI thread."""
    method = getattr(owner, name)

    def measured(self, *arguments):
        global spent
        outermost = not timed.inside
        timed.inside = True
        start = time.perf_counter()
        try:
            return method(self, *arguments)
        finally:
            if outermost:
                spent += time.perf_counter() - start
                timed.inside = False

    setattr(owner, name, measured)


timed.inside = False
timed(LiveWindow, "__getitem__")
for name in ("_show", "_tell", "_on_move", "_on_heard"):
    timed(LiveView, name)


def spin(until, seconds=600.0):
    """Process events until something holds; note how long each turn of the loop took."""
    end = time.perf_counter() + seconds
    while not until():
        assert time.perf_counter() < end, view.status
        start = time.perf_counter()
        before, before_collecting = spent, collected
        app.processEvents()
        own.append(spent - before)
        collecting.append(collected - before_collecting)
        held.append(time.perf_counter() - start)
        time.sleep(0.001)


seen = set()


def note_looks(method):
    def look(self, *arguments):
        method(self, *arguments)
        seen.update(self._on_screen)

    return look


LivePyramid.look = note_looks(LivePyramid.look)


camera = getattr(viewer, "scene", viewer).camera
camera.center, camera.zoom = (20_500, 20_500), 1.0
view = None
if LIVE:
    hub.start_live(viewer, JobSettings(task="stain", model=MODEL), [slide])
    spin(lambda: bool(_VIEWS))
    view = _VIEWS[0]
    spin(lambda: view.status.done >= 1)
else:
    for number in range(3):
        sides = [SIDE >> level for level in range(8)]
        levels = [np.broadcast_to(np.float32(np.nan), (side, side)) for side in sides]
        levels[-1] = levels[-1].copy()
        blending = "additive" if number else "translucent"
        viewer.add_image(levels, multiscale=True, contrast_limits=(0, 1), blending=blending)
    spin(lambda: True)
# Pan: a step of 40 pixels every 30 ms, with new tiles arriving meanwhile.
def pan(steps, step):
    timer = QTimer()
    timer.setInterval(30)
    count = 0

    def move():
        nonlocal count
        count += 1
        y, x = camera.center[-2:]
        camera.center = (y + step[0], x + step[1])

    timer.timeout.connect(move)
    timer.start()
    spin(lambda: count >= steps)
    timer.stop()


pan(20, (25, 40))  # shaders are compiled, buffers made
for measured in (held, own, collecting):
    measured.clear()
pan(300, (25, 40))
if LIVE:
    first = view.status.done
    spin(lambda: view.status.done > first)
panning = list(held)
found = dict(held=max(panning), median=float(np.median(panning)),
             p99=float(np.quantile(panning, 0.99)), own=max(own),
             calm=max(h - c for h, c in zip(held, collecting)))
if LIVE:
    spin(lambda: not view.status.queued)
    waits = []
    for place in ((40_500, 9_500), (9_500, 50_500), (30_500, 30_500)):
        arrived = []
        before = view.status.done
        start = time.perf_counter()
        camera.center = place
        spin(lambda: view.status.done > before and not view._frame.isActive())
        waits.append(time.perf_counter() - start)
        spin(lambda: not view.status.queued)
    found["waits"] = waits
    found["pace"] = view.pyramid._pace
    done = set(view.pyramid._done)
    found.update(done=len(done), never_seen=len(done - seen))
    viewer.screenshot({picture!r}, canvas_only=False, flash=False)
print(json.dumps(found), flush=True)
viewer.close()
hub.client.close()
import os
os._exit(0)
'''

_FORWARD = """
import json
import statistics
import time

import napari_tincture as nt
from napari_tincture import samples

job = nt.stain(samples.mosaic({side}), {model!r}).runner.job
job.values_of(())
seconds = []
for j in range(4):
    item = ((), job.grid[20, 20 + j])
    start = time.perf_counter()
    job.compute([(item, job.read(item))], keep=False)
    seconds.append(time.perf_counter() - start)
print(json.dumps(statistics.median(seconds[1:])))
"""


def print_live(picture: str = "live.png") -> None:
    """Print what panning costs with a live layer, and without any, in the same run."""
    print(f"## Live: panning over {SIDE:,} × {SIDE:,} pixels with {MODEL}\n")
    forward = _run(_FORWARD.format(side=SIDE, model=MODEL))
    with virtual_display():
        plain = _run(_PAN.format(side=SIDE, model=MODEL, live=False, picture=picture))
        live = _run(_PAN.format(side=SIDE, model=MODEL, live=True, picture=picture))
    print("| event loop | longest hold | without garbage collection | 99 % | median |")
    print("|---|---|---|---|---|")
    for name, found in (("three layers of constant arrays", plain), ("three live layers", live)):
        times = (found[key] * 1e3 for key in ("held", "calm", "p99", "median"))
        print(f"| {name} | " + " | ".join(f"{ms:.1f} ms" for ms in times) + " |")
    print(f"\n{live['done']} tiles computed, forward pass of one {forward:.2f} s\n")
    waits = sorted(live["waits"])
    print_verdict(
        "live",
        {
            "longest hold of the event loop, drawing included, ms": live["held"] * 1e3,
            "of a turn, what the live layers themselves take at most, ms": live["own"] * 1e3,
            "first new tile / its forward pass": waits[len(waits) // 2] / forward,
            "tiles computed that were never on screen": live["never_seen"],
        },
    )


def _run(code: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **allocator_environment(), "NAPARI_TINCTURE_CACHE": folder}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"The live benchmark failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
