"""The worker's side: takes jobs from napari's process and runs them, one at a time.

1. The main thread connects, says hello, imports torch, then runs commands from a queue.
2. A reader thread receives: jobs, trainings and warm-ups go to the queue, windows to who waits for
   them, cancellations and what steers a training to their job at once, live layers and questions to
   their desks.
3. When napari's process says quit or is gone, the reader cancels what runs and ends the queue;
   a main thread that does not come to its end in time is not waited for.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Listener
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tincture.errors import Cancelled
from napari_tincture.progress import CancelToken
from napari_tincture.worker.errors import describe_error
from napari_tincture.worker.inbox import Inbox
from napari_tincture.worker.live import LiveDesk, PausingToken
from napari_tincture.worker.process import LISTENING
from napari_tincture.worker.questions import Desk
from napari_tincture.worker.remote import Windows
from napari_tincture.worker.steering import Steering
from napari_tincture.worker.wire import Link, Message

if TYPE_CHECKING:
    from napari_tincture.worker.work import Workbench

REST = 2.0
"""Seconds without a job after which memory is given back."""
GRACE = 10.0
"""Seconds that the running tile may take to end once nobody wants its result."""
TRAINING_GRACE = 60.0
"""Seconds that a step may take to end, and its checkpoint to be saved."""
NICENESS = 10
"""What is added to the process's: drawing gets about nine parts of a contested core, we one."""


def main() -> int:
    """Run the worker until napari's process says quit or is gone; give the exit code."""
    faulthandler.enable()
    # Ctrl-C in the terminal that started napari is for napari alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _volunteer_for_the_oom_killer()
    _let_napari_go_first()
    return Server(_listen()).run()


class Server:
    """Runs the commands that arrive over a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._commands: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._windows = Windows(link)
        self._cancels: dict[int, CancelToken | Steering | Inbox] = {}
        self._desk = LiveDesk(link)
        self._questions = Desk(link)
        self._ended = threading.Event()
        self._broken = False

    def run(self) -> int:
        """Run commands until the other side is gone, or something breaks; give the exit code."""
        from napari_tincture.worker.work import Workbench

        # A daemon: if the main thread breaks, nobody waits for what napari's process says next.
        reader = threading.Thread(target=self._receive, name="tincture-reader", daemon=True)
        reader.start()
        try:
            bench = Workbench(self._link, self._windows)
            self._desk.begin(bench)
            self._link.send(Message("ready", bench.abilities()))
            while (command := self._next(bench)) is not None:
                self._run_command(bench, command)
        except Exception:  # noqa: BLE001 - of which napari's process hears, unless it is gone
            self._break()
        finally:
            self._desk.close()
            self._desk.join()
            self._questions.close()
            self._ended.set()
        if not self._broken:
            reader.join()
        return int(self._broken)

    def _break(self) -> None:
        """Say in the log what is wrong; napari's process notices the end and starts another."""
        self._broken = True
        traceback.print_exc()

    def _next(self, bench: Workbench) -> Message | None:
        """Wait for a command; after a while without one, give memory back and go on waiting."""
        try:
            return self._commands.get(timeout=REST)
        except queue.Empty:
            bench.tidy()  # takes longer than a small job, so never between two
            return self._commands.get()

    def _run_command(self, bench: Workbench, command: Message) -> None:
        if command.kind == "warm":
            if self._commands.empty():  # otherwise what waits is the better warm-up
                self._warm(bench, command)
            return
        job = command["job"]
        cancel = self._cancels[job]
        try:
            cancel.check()
            if isinstance(cancel, Steering):
                bench.train(job, command.fields, cancel)
            elif isinstance(cancel, Inbox):
                bench.teach(job, command.fields, cancel)
            else:
                bench.run(job, command.fields, cancel)
        except Cancelled as error:
            if not self._broken:  # then nobody cancelled it: it fails with the process
                self._link.send(Message("cancelled", {"job": job, "message": str(error)}))
        except Exception as error:  # noqa: BLE001 - whatever a job raises is told in napari
            self._link.send(Message("failed", {"job": job, **describe_error(error)}))
        finally:
            del self._cancels[job]

    def _warm(self, bench: Workbench, command: Message) -> None:
        problem = ""
        try:
            bench.warm(command.fields)
        except Exception as error:  # noqa: BLE001 - the job that follows will tell it
            problem = str(error)
        model = command["settings"]["model"]
        self._link.send(Message("warm", {"model": model, "problem": problem}))

    def _receive(self) -> None:
        try:
            while self._take(self._link.receive()):
                pass
        except (EOFError, OSError):
            pass
        except Exception:  # noqa: BLE001 - otherwise the process would be deaf from now on
            self._break()
        ending = list(self._cancels.values())
        for cancel in ending:
            cancel.cancel()
        self._desk.close()
        self._windows.close()
        self._commands.put(None)
        training = any(isinstance(cancel, Steering) for cancel in ending)
        if not self._ended.wait(TRAINING_GRACE if training else GRACE):
            os._exit(1)

    def _take(self, message: Message) -> bool:
        if message.kind == "cancel":
            if cancel := self._cancels.get(message["job"]):
                cancel.cancel()
        elif message.kind == "window":
            self._windows.deliver(message)
        elif message.kind == "steer":
            steering = self._cancels.get(message["job"])
            if isinstance(steering, Steering | Inbox):
                steering.take(message)
        elif message.kind.startswith("live_"):
            self._desk.take(message)
        elif message.kind == "ask":
            self._questions.take(message)
        elif message.kind == "quit":
            return False
        else:
            if message.kind == "job":
                self._cancels[message["job"]] = PausingToken(self._desk)
            elif message.kind == "train":
                self._cancels[message["job"]] = Steering()
            elif message.kind == "teach":
                self._cancels[message["job"]] = Inbox()
            self._commands.put(message)
        return True


def _listen() -> Link:
    """Open the socket that napari's process chose and wait for it to connect."""
    hello = json.loads(sys.stdin.readline())
    with Listener(hello["address"], authkey=bytes.fromhex(hello["key"])) as listener:
        print(LISTENING.decode(), flush=True)
        # What libraries print goes to the log; nobody reads this pipe any more.
        os.dup2(2, 1)
        connection = listener.accept()
    connection.send_bytes(LISTENING)
    return Link(connection)


def _volunteer_for_the_oom_killer() -> None:
    """Be what Linux kills first when memory runs out: a job is lost then, not the session."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("500")


def _let_napari_go_first() -> None:
    """Take the processor that napari's window leaves; on Windows the process is started so."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
