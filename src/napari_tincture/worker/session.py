"""One life of the worker process, seen from napari's process."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_tincture.errors import TinctureError, WorkerError
from napari_tincture.raster import Raster
from napari_tincture.worker.process import WorkerProcess
from napari_tincture.worker.sources import read_window
from napari_tincture.worker.wire import Link, Message

_LOOK_EVERY = 0.25
"""Seconds after which a silent session looks whether it should end."""


class Session:
    """Starts the worker process, receives from it, and ends with it.

    Parameters
    ----------
    command
        Starts the worker.
    on_message
        Called with this session and each message, in the session's thread.
    on_end
        Called once, last, in the session's thread, with this session and the reason: None after
        `stop`, otherwise why the process ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_message: Callable[[Session, Message], None],
        on_end: Callable[[Session, WorkerError | None], None],
    ) -> None:
        self._command, self._on_message, self._on_end = command, on_message, on_end
        self._commands = _Lane("tincture-commands", self._give_up)
        self._reads = _Lane("tincture-reads", self._give_up)
        self._fault: Exception | None = None
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._link: Link | None = None
        self._deadline: float | None = None
        self.ready = False
        # Not a daemon: the interpreter waits for it at exit, and it ends when the interpreter does.
        self._thread = threading.Thread(target=self._run, name="tincture-session")
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Process id of the worker, once there is one."""
        return None if self._process is None else self._process.pid

    def post(self, kind: str, payload: np.ndarray | None = None, /, **fields: Any) -> None:
        """Send a message soon, without waiting."""
        self._commands.put(lambda: self._send(Message(kind, fields, payload)))

    def answer(self, request: Message, source: Raster | None) -> None:
        """Read a window for the worker soon, without waiting; None: the job has ended."""
        self._reads.put(lambda: self._read(request, source))

    def stop(self, grace: float = 2.0) -> None:
        """Ask the process to end, and kill it if it has not after `grace` seconds."""
        with self._lock:
            if self._deadline is not None:
                return
            self._deadline = time.monotonic() + grace
            if self._link is None and self._process is not None:
                self._process.kill()
        self.post("quit")

    def join(self) -> None:
        """Wait until the process has ended."""
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        reason: WorkerError | None = None
        try:
            self._start()
            self._receive()
        except WorkerError as error:
            reason = error
        except (EOFError, OSError) as error:
            reason = self._why_it_ended(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, jobs must hear of the end
            self._give_up(error)
            reason = self._why_it_was_ended(error)
        finally:
            self._close()
        self._on_end(self, None if self._deadline is not None else reason)

    def _start(self) -> None:
        process = WorkerProcess(self._command)
        with self._lock:
            self._process = process
            if self._deadline is not None:
                process.kill()
        connection = process.connect()
        with self._lock:
            self._link = Link(connection)
        self._commands.start()
        self._reads.start()

    def _receive(self) -> None:
        assert self._link is not None
        assert self._process is not None
        while True:
            while not self._link.poll(_LOOK_EVERY):
                if not threading.main_thread().is_alive():
                    self.stop()
                if self._deadline is not None and time.monotonic() > self._deadline:
                    self._process.kill()
            self._on_message(self, self._link.receive())

    def _give_up(self, fault: Exception) -> None:
        """End a process with which nothing can be exchanged any more."""
        self._fault = fault
        if self._process is not None:
            self._process.kill()

    def _why_it_ended(self, cause: Exception) -> WorkerError:
        if self._fault is not None:
            return self._why_it_was_ended(self._fault)
        if self._process is None:
            return WorkerError(f"The worker process could not be started: {cause}")
        when = "in the middle of the job" if self.ready else "before it was ready"
        error = WorkerError(
            f"The worker process ended {when}: {self._process.ended()} The next Run starts it "
            "again, and continues a result on disk. If memory is short, choose a smaller region, "
            "or write the result to disk."
        )
        error.add_note(self._process.log_tail())
        return error

    def _why_it_was_ended(self, fault: Exception) -> WorkerError:
        error = WorkerError(
            "A message to or from the worker process could not be taken, and the process was "
            f"ended: {type(fault).__name__}: {fault}. The next Run starts it again. If memory is "
            "short, choose a smaller region, or write the result to disk."
        )
        error.add_note("".join(traceback.format_exception(fault)))
        return error

    def _close(self) -> None:
        for lane in (self._commands, self._reads):
            lane.close()
        if self._link is not None:
            self._link.close()
        if self._process is not None:
            self._process.close()

    def _send(self, message: Message) -> None:
        assert self._link is not None
        self._link.send(message)

    def _read(self, request: Message, source: Raster | None) -> None:
        fields = {"number": request["number"], "problem": "The job has ended."}
        window = None
        if source is not None:
            try:
                window = read_window(source, request["level"], request["window"])
            except TinctureError as error:
                fields["problem"] = str(error)
        self._send(Message("window", fields, window))


class _Lane:
    """A thread that does one thing after the other, until one goes wrong."""

    def __init__(self, name: str, on_fault: Callable[[Exception], None]) -> None:
        self._on_fault = on_fault
        self._actions: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    def put(self, action: Callable[[], None]) -> None:
        self._actions.put(action)

    def close(self) -> None:
        self._actions.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        for action in iter(self._actions.get, None):
            try:
                action()
            except OSError:
                return  # the worker is gone: the session's thread has noticed, too
            except Exception as error:  # noqa: BLE001 - otherwise the worker would wait for ever
                self._on_fault(error)
                return
