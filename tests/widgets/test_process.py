"""napari in a process of its own: what it imports, and how it and its worker end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

pytestmark = pytest.mark.slow

PATIENCE = 120
FAKE = Path(__file__).parents[1] / "worker" / "fake_worker.py"

# Opens napari with a panel whose worker runs a fake task without end; says the worker's number.
RUNNING = """
import sys
import numpy as np
import napari
from napari_tincture.widgets import _jobs
from napari_tincture.widgets.stain import StainPanel

_jobs._HUBS.append(_jobs.JobHub((sys.executable, {fake!r})))
viewer = napari.Viewer()
viewer.add_image(np.zeros((100_000, 8), np.uint8))
panel = StainPanel(viewer)
panel.model.choose({model!r})
viewer.window.add_dock_widget(panel)
panel.task = {task!r}
panel.refresh()
panel.run()

def on_change(job):
    if job.done >= 1:
        hub.changed.disconnect(on_change)
        print(hub.client.pid, flush=True)
        {then}

hub = _jobs.job_hub()
hub.changed.connect(on_change)
napari.run()
"""
FINISHING = """
import sys
import numpy as np
import napari
from napari_tincture.widgets import _jobs
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.widgets.stain import StainPanel

viewer = napari.Viewer()
viewer.add_image(np.random.default_rng(0).integers(0, 255, (90, 80), np.uint8), name="cells")
SegmentPanel(viewer)
panel = StainPanel(viewer)
panel.model.choose({model!r})
viewer.window.add_dock_widget(panel)
panel.refresh()
panel.run()

def on_end(job):
    print(job.state.value, "torch" in sys.modules, flush=True)
    np.save({result!r}, viewer.layers[-1].data)
    viewer.close()

_jobs.job_hub().ended.connect(on_end)
napari.run()
"""


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_runs_without_torch_in_naparis_process(
    model_paths: dict[str, Path], tmp_path: Path
) -> None:
    result = tmp_path / "result.npy"
    napari = start(FINISHING.format(model=str(model_paths["stain"]), result=str(result)))
    output, errors = napari.communicate(timeout=PATIENCE)
    assert output.split() == ["finished", "False"], output + errors
    assert napari.returncode == 0, errors
    import napari_tincture as nt

    image = np.random.default_rng(0).integers(0, 255, (90, 80), np.uint8)
    expected = np.asarray(nt.stain(image, model_paths["stain"]))
    np.testing.assert_allclose(np.load(result), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("task", "way"), [("endless", "QApplication.instance().quit()"), ("hang", "viewer.close()")]
)
def test_napari_exits_cleanly_with_a_job_running(
    model_paths: dict[str, Path], task: str, way: str
) -> None:
    then = f"from qtpy.QtWidgets import QApplication; {way}"
    script = RUNNING.format(fake=str(FAKE), model=str(model_paths["stain"]), task=task, then=then)
    napari = start(script)
    output, errors = napari.communicate(timeout=PATIENCE)
    assert napari.returncode == 0, errors
    assert "Traceback" not in errors
    assert "QThread" not in errors
    assert not psutil.pid_exists(int(output))


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_the_worker_ends_when_napari_is_killed(model_paths: dict[str, Path]) -> None:
    script = RUNNING.format(
        fake=str(FAKE), model=str(model_paths["stain"]), task="endless", then="pass"
    )
    napari = start(script)
    assert napari.stdout is not None
    worker = psutil.Process(int(napari.stdout.readline()))
    napari.kill()
    napari.communicate(timeout=PATIENCE)
    psutil.wait_procs([worker], timeout=PATIENCE)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
