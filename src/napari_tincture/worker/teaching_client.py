"""The third worker, which learns while somebody paints; the others stain and train meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from napari_tincture.raster import Raster
from napari_tincture.worker.client import WorkerClient, ignore
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.process import COMMAND
from napari_tincture.worker.sources import expand
from napari_tincture.worker.teach_settings import TeachSettings
from napari_tincture.worker.teaching_job import TeachingJob

FIRST = 2_000_000_001
"""Number of the first session: no job of the other workers has the same."""
Plane = tuple[int, ...]
"""Place along t and z, as far as the image has them."""


class TeachingClient(WorkerClient):
    """Runs sessions in a process of their own, one at a time; see `WorkerClient`.

    A session lasts until it is cancelled; what it has learned is lost unless it was kept.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        super().__init__(command, first=FIRST)
        self._awake: set[int] = set()

    @property
    def awake(self) -> bool:
        """Whether somebody may begin a session soon."""
        return bool(self._awake)

    def wake(self, panel: int) -> None:
        """Start the process, so that a session of this panel need not wait for it."""
        self._awake.add(panel)
        with self._lock:
            self._start_session()

    def rest(self, panel: int) -> None:
        """Let the process go with the last panel and session."""
        self._awake.discard(panel)
        if not self._awake and not self.jobs:
            self.stop()

    def teach(
        self, settings: TeachSettings, image: Raster, listener: Callable[[Job], None] = ignore
    ) -> TeachingJob:
        """Begin a session; strokes are taken as soon as the job says that it has begun."""
        job = TeachingJob(
            next(self._numbers), settings, expand([image]), listener, f"teach {image.name}"  # type: ignore[arg-type]
        )  # fmt: skip
        self._enqueue(job)
        return job

    def paint(self, job: TeachingJob, y: int, x: int, labels: np.ndarray, plane: Plane) -> int:
        """Send strokes, in the place of those that were there.

        Parameters
        ----------
        y, x
            First pixel, of the image.
        labels
            (y, x) integers: values of classes; others erase.

        Returns
        -------
        int
            Number of this stroke, which what is learned of it has.
        """
        number = next(self._numbers)
        place = {"y": y, "x": x, "plane": list(plane)}
        self._tell(job, labels, what="paint", number=number, **place)
        return number

    def look(self, job: TeachingJob, plane: Plane, y: tuple[int, int], x: tuple[int, int]) -> int:
        """Have a window predicted after each update; gives the number of this view."""
        number = next(self._numbers)
        view = {"number": number, "plane": list(plane), "y": list(y), "x": list(x)}
        self._tell(job, what="look", view=view)
        return number

    def learn(self, job: TeachingJob, *, on: bool) -> None:
        """Pause the session, or let it go on."""
        self._tell(job, what="learn", on=on)

    def keep(self, job: TeachingJob, name: str, classes: Sequence[Mapping[str, Any]]) -> None:
        """Save the model to the user's library, with classes as they are called now."""
        self._tell(job, what="keep", name=name, classes=[dict(each) for each in classes])
