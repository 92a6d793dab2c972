"""Jobs of all panels: a worker for the session, its news on the GUI thread, results as layers.

1. A panel starts a job here; the worker's client queues it and tells of it from its own thread.
2. A queued Qt signal carries the news to the GUI thread.
3. There the result becomes a layer, an error a notification, and panels hear `changed`.

When the window closes, its jobs are cancelled. The worker ends with the last panel and job. A
second worker trains, a third learns while somebody paints; they end with their last job.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from napari.utils.notifications import (
    show_error,
    show_warning,
)
from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QApplication, QWidget

from napari_tincture.raster import Raster
from napari_tincture.widgets._added import add_results
from napari_tincture.widgets._closing import UnderWay
from napari_tincture.widgets._drawing import Drawing
from napari_tincture.widgets._live import close_views
from napari_tincture.widgets._live_open import open_view
from napari_tincture.widgets._preferences import apply_cache
from napari_tincture.widgets._viewer import bare
from napari_tincture.widgets._windows import Windows
from napari_tincture.worker.client import WorkerClient
from napari_tincture.worker.jobs import Job, State
from napari_tincture.worker.live_client import LiveLink
from napari_tincture.worker.process import COMMAND
from napari_tincture.worker.questions import Answer, Listener
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.teach_settings import TeachSettings
from napari_tincture.worker.teaching_client import TeachingClient
from napari_tincture.worker.teaching_job import TeachingJob
from napari_tincture.worker.train_settings import TrainSettings
from napari_tincture.worker.training_client import TrainingClient
from napari_tincture.worker.training_job import TrainingJob

_LOGGER = logging.getLogger("napari_tincture")


Show = Callable[[Job], None]
"""Shows what came of a job."""


@dataclass(slots=True)
class _Order:
    """What to do with a job's news."""

    viewer: Any
    under_way: UnderWay
    told: int = 0
    show: Show | None = None
    drawing: Drawing | None = None


class JobHub(QObject):
    """Lives on the GUI thread; use `job_hub`.

    Parameters
    ----------
    command
        Starts the worker.
    """

    changed = Signal(object)
    """A job has changed, on the GUI thread."""
    ended = Signal(object)
    """A job has ended, and its result, if any, has become a layer."""
    ready = Signal()
    """The worker is ready, and its devices are known."""
    models_changed = Signal()
    """A model has come into the user's library."""
    live_opened = Signal(object, object)
    """A live layer is in its viewer: the link to the worker, and the view."""
    _heard = Signal(object)
    _live_heard = Signal(object)
    _woken = Signal()
    _answered = Signal(object, object)

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        super().__init__()
        self._heard.connect(self._on_news, Qt.ConnectionType.QueuedConnection)
        self._live_heard.connect(self._on_live, Qt.ConnectionType.QueuedConnection)
        self._answered.connect(self._on_answer, Qt.ConnectionType.QueuedConnection)
        self._woken.connect(self.ready, Qt.ConnectionType.QueuedConnection)
        apply_cache()
        self.client = WorkerClient(command, on_ready=self._woken.emit)
        self.trainer = TrainingClient(command)
        self.teacher = TeachingClient(command)
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._orders: dict[int, _Order] = {}
        self._live_viewers: dict[int, Any] = {}
        self._panels: set[int] = set()
        self._resting = False
        self._windows = Windows(self._on_window_gone)
        application = QApplication.instance()
        if application is not None:
            for client in (self.client, self.trainer, self.teacher):
                application.aboutToQuit.connect(client.stop)

    def start(
        self, viewer: Any, settings: JobSettings, sources: Sequence[Raster],
        show: Show | None = None, drawing: Drawing | None = None,
    ) -> Job:  # fmt: skip
        """Queue a job whose result becomes a layer of the viewer, or is shown as told.

        A drawing shows it coming, too, whatever becomes of the panel that began it.
        """
        job = self.client.submit(settings, sources, self._hear)
        self._take(self.client, viewer, job, drawing.finish if drawing else show, drawing)
        return job

    def under_way(self, viewer: Any, tasks: Collection[str]) -> list[Job]:
        """A viewer's jobs of these tasks: the running one, then those that wait."""
        return [
            job
            for job in self.client.jobs
            if job.settings.task in tasks
            and (order := self._orders.get(job.number)) is not None
            and bare(order.viewer) is bare(viewer)
        ]

    def train(self, viewer: Any, settings: TrainSettings, sources: Sequence[Raster]) -> TrainingJob:
        """Queue a training, in a process of its own."""
        job = self.trainer.train(settings, sources, self._hear)
        self._take(self.trainer, viewer, job)
        return job

    def teach(self, viewer: Any, settings: TeachSettings, image: Raster) -> TeachingJob:
        """Begin to learn while somebody paints, in a process of its own."""
        job = self.teacher.teach(settings, image, self._hear)
        self._take(self.teacher, viewer, job)
        return job

    def start_live(self, viewer: Any, settings: JobSettings, sources: Sequence[Raster]) -> LiveLink:
        """Open a live layer in the viewer, computed where someone looks."""
        live = self.client.open_live(settings, sources, self._live_heard.emit)
        self._live_viewers[live.number] = viewer
        return live

    def ask(self, what: str, listener: Listener, **fields: Any) -> None:
        """Put a question to the worker; the listener is called on the GUI thread."""
        self.client.ask(what, partial(self._answered.emit, listener), **fields)

    def open_panel(self, panel: int) -> None:
        """Keep the worker until `close_panel` is called with the same number."""
        self._panels.add(panel)
        self._resting = False

    def close_panel(self, panel: int, *_: Any) -> None:
        """Let the worker go with the last panel and job."""
        self._panels.discard(panel)
        self._resting = not self._panels
        self._rest()

    def follow(self, window: QWidget, viewer: Any) -> None:
        """Cancel the viewer's jobs when its window is gone."""
        self._windows.follow(window, viewer)

    def _take(
        self, client: Any, viewer: Any, job: Job, show: Show | None = None,
        drawing: Drawing | None = None,
    ) -> None:  # fmt: skip
        under_way = UnderWay(viewer, job, partial(client.cancel, job))
        self._orders[job.number] = _Order(viewer, under_way, show=show, drawing=drawing)

    def _on_answer(self, listener: Listener, answer: Answer) -> None:
        listener(answer)

    def _hear(self, job: Job) -> None:
        """Pass on news from the worker's thread; what is waiting already will tell it, too."""
        with self._lock:
            waiting = job.number in self._waiting
            self._waiting.add(job.number)
        if not waiting:
            self._heard.emit(job)

    def _on_news(self, job: Job) -> None:
        with self._lock:
            self._waiting.discard(job.number)
        order = self._orders.get(job.number)
        if order is None:
            return  # the job's end has been told
        for text in job.warnings[order.told :]:
            show_warning(text)
        order.told = len(job.warnings)
        if job.state.final:
            self._end(job, order)
            return
        if order.drawing is not None and order.viewer is not None:
            order.drawing.follow(job)
        self.changed.emit(job)

    def _end(self, job: Job, order: _Order) -> None:
        del self._orders[job.number]
        order.under_way.end(job)
        try:
            self._conclude(job, order)
        finally:  # panels do not wait for ever for a result that cannot be shown
            self._rest()
            if order.drawing is not None and order.viewer is not None:
                order.drawing.end(job)
            self.ended.emit(job)
            self.changed.emit(job)

    def _on_live(self, live: LiveLink) -> None:
        viewer = self._live_viewers.pop(live.number, None)
        if live.error is not None:
            _LOGGER.error("Live layer failed: %s\n%s", live.error, _notes(live.error))
            show_error(str(live.error))
            if viewer is not None:
                live.close()
        elif viewer is None:
            live.close()  # its window is gone
        else:
            view = open_view(viewer, live)
            view.closed.connect(self._rest)
            self.live_opened.emit(live, view)
        self._rest()

    def _conclude(self, job: Job, order: _Order) -> None:
        viewer = order.viewer
        if job.state is State.FAILED:
            _tell_error(job)
        elif isinstance(job, TrainingJob) and job.path:
            self.models_changed.emit()
        elif viewer is not None and order.show is not None:
            order.show(job)
        elif viewer is not None:
            add_results(viewer, job.results, getattr(job, "tables", {}))

    def _on_window_gone(self, viewer: Any) -> None:
        for order in self._orders.values():
            if bare(order.viewer) is bare(viewer):
                order.viewer = None
        for number, other in list(self._live_viewers.items()):
            if bare(other) is bare(viewer):
                del self._live_viewers[number]
        close_views(bare(viewer))
        for client in (self.client, self.trainer, self.teacher):
            for job in client.jobs:
                order_of_job = self._orders.get(job.number)
                if order_of_job is not None and order_of_job.viewer is None:
                    client.cancel(job)
        self._rest()

    def _rest(self) -> None:
        """Give back the workers' memory when nobody needs it."""
        if not self.trainer.jobs:
            self.trainer.stop()
        if not self.teacher.jobs and not self.teacher.awake:
            self.teacher.stop()
        if self._resting and not self.client.jobs and not self.client.lives:
            self.client.stop()


_HUBS: list[JobHub] = []


def job_hub() -> JobHub:
    """Give the hub of this napari session; made on first use, on the GUI thread."""
    if not _HUBS:
        _HUBS.append(JobHub())
    return _HUBS[0]


def _tell_error(job: Job) -> None:
    details = _notes(job.error)
    _LOGGER.error("Job %d (%s) failed: %s\n%s", job.number, job.settings.task, job.error, details)
    show_error(str(job.error))


def _notes(error: Exception | None) -> str:
    return "\n".join(getattr(error, "__notes__", ()))
