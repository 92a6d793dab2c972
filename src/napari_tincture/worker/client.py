"""napari's side of the worker: a queue of jobs and the process that runs them.

1. `submit` puts a job into the queue; the process is started if there is none.
2. A session thread starts the process, connects, and receives until the connection ends.
3. When the process is ready and idle, the next job is sent to it.
4. The session thread fills the result and tells the job's listener; it never computes.
5. A second thread sends commands, a third reads windows for the worker: neither the GUI thread
   nor the session thread ever waits for the other process.
6. When the connection ends, the running job fails, and the next one starts a new process.

Nothing here knows Qt.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.errors import Cancelled, InputError, WorkerError
from napari_tincture.raster import Raster
from napari_tincture.worker.jobs import Job, State
from napari_tincture.worker.live_client import LiveLink
from napari_tincture.worker.process import COMMAND
from napari_tincture.worker.questions import Asked, Listener
from napari_tincture.worker.session import Session
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import expand
from napari_tincture.worker.wire import Message

GRACE = 2.0
"""Seconds that a process has to end, unless stated."""


def ignore(_: Job) -> None:
    """Listen to nothing."""


class WorkerClient:
    """Runs jobs in one warm process, one at a time, in the order in which they came.

    Parameters
    ----------
    command
        Starts the worker; its default runs `napari_tincture.worker`.
    on_ready
        Called whenever a process is ready or has warmed up a model, in the session's thread.
    grace
        Seconds that the process has to end before it is killed.
    first
        Number of its first job.

    Notes
    -----
    Any thread may call any method; none waits for the worker but `close`.
    """

    def __init__(
        self, command: Sequence[str] = COMMAND, on_ready: Callable[[], None] = lambda: None,
        grace: float = GRACE, first: int = 1,
    ) -> None:  # fmt: skip
        self._command, self._on_ready, self._grace = tuple(command), on_ready, grace
        self._lock = threading.RLock()
        self._numbers = itertools.count(first)
        self._queue: deque[Job] = deque()
        self._running: Job | None = None
        self._session: Session | None = None
        self._ending: list[Session] = []
        self._lives: dict[int, LiveLink] = {}
        self._asked = Asked()
        self.devices: dict[str, str] = {}
        self.warmed: str | None = None

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The running job, then those that wait."""
        with self._lock:
            return (*([self._running] if self._running else []), *self._queue)

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        with self._lock:
            return None if self._session is None else self._session.pid

    def submit(
        self,
        settings: JobSettings,
        sources: Sequence[Raster],
        listener: Callable[[Job], None] = ignore,
    ) -> Job:
        """Queue a job.

        Parameters
        ----------
        settings
            What to do.
        sources
            The image, then those that only some channels come from.
        listener
            Called after every change of the job, in the session's thread.

        Raises
        ------
        InputError
            If there is no source, nor a folder of images in the settings.
        """
        if not sources and settings.images is None:
            raise InputError("There is no image to work on; choose a layer.")
        name = sources[0].name if sources else Path(settings.images or "").name
        title = f"{settings.task.replace('_', ' ')} {name}".strip()
        job = Job(next(self._numbers), settings, expand(sources), listener, title)
        job.inputs = len(sources)
        self._enqueue(job)
        return job

    def _enqueue(self, job: Job) -> None:
        with self._lock:
            self._queue.append(job)
            self._start_session()
        job.listener(job)
        self._send_next()

    def open_live(
        self,
        settings: JobSettings,
        sources: Sequence[Raster],
        listener: Callable[[LiveLink], None],
    ) -> LiveLink:
        """Open a live layer, which is served beside the jobs.

        Parameters
        ----------
        settings, sources
            As of a job.
        listener
            Called when the layer is open or was refused, in the session's thread.
        """
        live = LiveLink(next(self._numbers), settings, sources, listener, self._forget)
        with self._lock:
            self._lives[live.number] = live
            live.open_in(self._start_session())
        return live

    @property
    def lives(self) -> tuple[LiveLink, ...]:
        """Live layers that are open."""
        with self._lock:
            return tuple(self._lives.values())

    def _forget(self, live: LiveLink) -> None:
        with self._lock:
            self._lives.pop(live.number, None)

    def cancel(self, job: Job) -> None:
        """Drop a waiting job, or stop a running one within one tile."""
        with self._lock:
            waiting = job in self._queue
            if waiting:
                self._queue.remove(job)
            elif job is self._running and self._session is not None:
                self._session.post("cancel", job=job.number)
        if waiting:
            job.end(State.CANCELLED, Cancelled("The job was cancelled before it began."))

    def _tell(self, job: Job, payload: np.ndarray | None = None, /, **fields: Any) -> None:
        """Steer a job that runs; nothing is heard of it by one that does not."""
        with self._lock:
            if job is self._running and self._session is not None:
                self._session.post("steer", payload, job=job.number, **fields)

    def warm(self, settings: JobSettings) -> None:
        """Start the process if there is none, and load and try the model in the background."""
        with self._lock:
            session = self._start_session()
            if self._running is None and not self._queue:
                session.post("warm", settings=settings.to_json())

    def ask(self, what: str, listener: Listener, **fields: Any) -> None:
        """Put a question, answered beside the jobs; the listener hears in the session's thread."""
        with self._lock:
            number = self._asked.add(listener)
            self._start_session().post("ask", number=number, what=what, fields=fields)

    def stop(self) -> None:
        """End the process soon, without waiting; cancel all jobs. A later job starts it again."""
        with self._lock:
            session, self._session = self._session, None
            ended, lives = self.jobs, self.lives
            self._queue.clear()
            self._running = None
            if session is not None:
                self._ending.append(session)
                session.stop(self._grace)
        for live in lives:
            live.close()
        self._asked.fail(WorkerError("napari was closed."))
        for job in ended:
            job.end(State.CANCELLED, Cancelled("napari was closed."))

    def close(self) -> None:
        """End the process and wait until it has ended: nothing is heard of it afterwards."""
        self.stop()
        with self._lock:
            ending = list(self._ending)
        for session in ending:
            session.join()

    def _start_session(self) -> Session:
        if self._session is None:
            self._session = Session(self._command, self._on_message, self._on_end)
            for live in self._lives.values():
                if live.hopeful and live.pyramid is not None:
                    live.open_in(self._session)
        return self._session

    def _send_next(self) -> None:
        with self._lock:
            session = self._session
            if session is None or not session.ready or self._running or not self._queue:
                return
            job = self._running = self._queue.popleft()
            job.state = State.RUNNING
            kind, fields = job.order()
            session.post(kind, job=job.number, **fields)
        job.listener(job)

    def _on_message(self, session: Session, message: Message) -> None:
        if session is not self._session:
            return  # it was stopped
        if message.kind == "ready":
            session.ready = True
            self.devices = message["devices"]
            self._on_ready()
        elif message.kind == "warm":
            self.warmed = message["model"]
            self._on_ready()
        elif message.kind == "answer":
            self._asked.receive(message)
            return
        elif message.kind.startswith("live_"):
            if (live := self._lives.get(message["live"])) is not None:
                live.receive(message)
            return
        elif message.kind == "read" and message["job"] < 0:
            live = self._lives.get(-message["job"])
            session.answer(message, live.sources[message["source"]] if live else None)
            return
        else:
            self._on_job_message(session, message)
        self._send_next()

    def _on_job_message(self, session: Session, message: Message) -> None:
        with self._lock:
            job = self._running
            if job is None or job.number != message["job"]:
                job = None
            elif message.kind in ("finished", "failed", "cancelled"):
                self._running = None
        if message.kind == "read":
            alive = job is not None and not job.state.final
            session.answer(message, job.sources[message["source"]] if job and alive else None)
        elif job is not None:
            job.receive(message)
            if job.state is State.FAILED and job is self._running:
                self.cancel(job)

    def _on_end(self, session: Session, reason: WorkerError | None) -> None:
        with self._lock:
            if session in self._ending:
                self._ending.remove(session)
                return  # its jobs have been told
            self._session, lost, self._running = None, self._running, None
            ended = [lost] if lost else []
            if reason is None or not session.ready:  # it would not come up for the others either
                ended += self._queue
                self._queue.clear()
            lives = self.lives
            for live in lives:
                live.lose("The worker process ended; it is started again.")
            hopeful = [live for live in lives if live.hopeful and live.pyramid is not None]
            if self._queue or (hopeful and reason is not None and session.ready):
                self._start_session()
        for live in lives:
            if live not in hopeful or not session.ready:
                live.refuse(reason or WorkerError("napari was closed."))
        self._asked.fail(reason or WorkerError("napari was closed."))
        for job in ended:
            if reason is None:
                job.end(State.CANCELLED, Cancelled("napari was closed."))
            else:
                job.fail(reason)
