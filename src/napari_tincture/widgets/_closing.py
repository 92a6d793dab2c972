"""Telling napari of jobs under way, so that it asks before a window with one is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_tincture.widgets._viewer import bare
from napari_tincture.worker.jobs import Job, State

PROVIDER = "napari-tincture"
_ENDS = {
    State.FINISHED: "COMPLETED",
    State.CANCELLED: "CANCELLED",
    State.FAILED: "FAILED",
}


class UnderWay:
    """A job that a window's closing ends.

    napari asks before it closes a window with tasks that it was told of; its plugins' own threads
    are such tasks, and there is no public name yet for others. Where it knows none, or there is no
    window, nothing is told.

    Parameters
    ----------
    viewer : napari.Viewer
        In whose window the job was started.
    job
        What is done.
    cancel
        Called when the window is closed all the same.
    """

    def __init__(self, viewer: Any, job: Job, cancel: Callable[[], Any]) -> None:
        self._window = getattr(bare(viewer), "window", None)
        self._number: Any = None
        register = getattr(self._window, "_register_task_status", None)
        if register is None:
            return
        self._cancel = cancel
        from napari.utils.task_status import Status

        self._number = register(PROVIDER, Status.BUSY, described(job), self._stop)

    def end(self, job: Job) -> None:
        """Tell that it has ended."""
        update = getattr(self._window, "_update_task_status", None)
        if self._number is None or update is None:
            return
        from napari.utils.task_status import Status

        update(self._number, Status[_ENDS.get(job.state, "COMPLETED")], described(job))
        self._number = self._window = None

    def _stop(self) -> bool:
        self._cancel()
        return True


def described(job: Job) -> str:
    """What a person reads of a job when napari asks."""
    kept = " (the file goes on where it stopped when it is run again)"
    return f"{job.title}{kept if getattr(job.settings, 'save_to', None) else ''}"
