"""Trainings in a process of their own: steered, questioned, and ended in the middle."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import dask.array as da
import numpy as np
import psutil
import pytest

from napari_tincture.errors import Cancelled
from napari_tincture.raster import Raster
from napari_tincture.training.begun import list_begun
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.questions import Answer
from napari_tincture.worker.sources import describe_all
from napari_tincture.worker.train_settings import Side, TrainSettings
from napari_tincture.worker.training_client import TrainingClient
from napari_tincture.worker.training_job import TrainingJob

pytestmark = pytest.mark.slow

PATIENCE = 60.0
SETTINGS = {
    "name": "mine", "family": "regression", "size": "tiny", "preview_every": 2,
    "sides": {"pair_a": Side(images=(0,)), "pair_b": Side(images=(1,))},
    "changes": {"steps": 100_000, "crop": 32, "save_every": 100_000, "validate_every": 2},
}  # fmt: skip

# Trains from an array in its own memory until it is killed; says the worker's number.
KILLED = """
import sys, threading
sys.path.insert(0, {tests!r})
from test_training_client import SETTINGS, TrainSettings, TrainingClient, sources

client = TrainingClient()
begun = threading.Event()
client.train(TrainSettings(**SETTINGS), sources(), lambda job: job.done > 2 and begun.set())
begun.wait()
print(client.pid, flush=True)
"""


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_TINCTURE_MODELS", str(tmp_path / "models"))


def sources() -> list[Raster]:
    """Two images that only this process can read."""
    rng = np.random.default_rng(0)
    return [
        Raster.from_array(
            da.from_array(rng.integers(0, 255, (160, 150), np.uint8)), "yx", name=name
        )
        for name in "ab"
    ]


class Following:
    """Waits in the test's thread for something that is told in another."""

    def __init__(self) -> None:
        self._told: SimpleQueue[None] = SimpleQueue()

    def __call__(self, _: Job) -> None:
        self._told.put(None)

    def until(self, true: Callable[[], Any]) -> None:
        while not true():
            self._told.get(timeout=PATIENCE)


def test_from_the_first_question_to_closing_in_the_middle() -> None:
    client, told = TrainingClient(), Following()
    answers: SimpleQueue[Answer] = SimpleQueue()
    settings, rasters = TrainSettings(**SETTINGS), sources()
    client.ask("families", answers.put)
    described = describe_all(rasters)
    client.ask("recipe", answers.put, settings=settings.to_json(), sources=described)
    families = answers.get(timeout=PATIENCE).values["families"]
    assert {family["title"] for family in families} >= {"CycleGAN", "U-GAT-IT", "pix2pix"}
    recipe = answers.get(timeout=PATIENCE).values
    assert (recipe["family"], recipe["sampling"]["crop"]) == ("regression", 32)
    assert recipe["networks"]["forward"]["options"]["in_channels"] == 1

    job = client.train(settings, rasters, told)
    told.until(lambda: job.done)
    number = client.look(job, rasters[0], {"y": (10, 50), "x": (20, 80)})
    told.until(lambda: job.shown)
    assert job.shown is not None
    assert (job.shown.view, job.shown.image.shape) == (number, (1, 40, 60))
    client.steer(job, "pause")
    told.until(lambda: job.paused)
    client.steer(job, "resume")
    told.until(lambda: not job.paused and job.figures)
    assert {"ssim", "psnr"} <= set(job.figures)
    assert job.seconds is not None

    pid = client.pid
    assert pid is not None
    client.close()
    with pytest.raises(Cancelled, match="closed"):
        job.model(0)
    assert not psutil.pid_exists(pid)
    (begun,) = list_begun()
    assert begun.step >= job.done


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_killed_napari_leaves_a_checkpoint() -> None:
    script = KILLED.format(tests=str(Path(__file__).parent))
    napari = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert napari.stdout is not None
    worker = psutil.Process(int(napari.stdout.readline()))
    napari.kill()
    napari.communicate()
    psutil.wait_procs([worker], timeout=PATIENCE)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    (begun,) = list_begun()
    assert begun.step > 2


def test_a_job_ends_as_it_is_told() -> None:
    job = TrainingJob(1, TrainSettings(**SETTINGS), (), lambda _: None, "train mine")  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        job.model(0)
