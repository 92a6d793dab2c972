"""The second worker, which trains while the first goes on staining."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari_tincture.raster import Raster
from napari_tincture.worker.client import WorkerClient, ignore
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.process import COMMAND
from napari_tincture.worker.sources import describe, expand
from napari_tincture.worker.train_settings import TrainSettings
from napari_tincture.worker.training_job import TrainingJob

GRACE = 30.0
"""Seconds that a step may take to end, and its checkpoint to be saved, once napari is closed."""
FIRST = 1_000_000_001
"""Number of the first training: no job of the other worker has the same."""
Region = Mapping[str, tuple[int, int]]
"""Axis letter → first pixel and the one after the last."""


class TrainingClient(WorkerClient):
    """Runs trainings in a process of their own, one at a time; see `WorkerClient`.

    Cancelled, or closed with napari, a training ends after its step with a checkpoint.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        super().__init__(command, grace=GRACE, first=FIRST)

    def train(
        self,
        settings: TrainSettings,
        sources: Sequence[Raster],
        listener: Callable[[Job], None] = ignore,
    ) -> TrainingJob:
        """Queue a training; `sources` are the layers by the numbers that the settings have."""
        job = TrainingJob(
            next(self._numbers), settings, expand(sources), listener, f"train {settings.name}"  # type: ignore[arg-type]
        )  # fmt: skip
        self._enqueue(job)
        return job

    def steer(self, job: TrainingJob, what: str) -> None:
        """Let a running training "pause", "resume", or "stop" and keep what it has learned."""
        self._tell(job, what=what)

    def look(self, job: TrainingJob, raster: Raster | None, region: Region) -> int:
        """Let a running training show what it makes of a part of an image.

        Returns
        -------
        int
            Number of this view, which its previews have.
        """
        number = next(self._numbers)
        view: dict[str, Any] | None = None
        if raster is not None:
            source = job.source_number(raster)
            view = {"number": number, "source": source, "of": describe(raster)}
            view["region"] = {axis: list(bounds) for axis, bounds in region.items()}
        self._tell(job, what="look", view=view)
        return number
