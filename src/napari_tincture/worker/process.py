"""Starting the worker process and saying how it ended."""

from __future__ import annotations

import json
import os
import secrets
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import IO

import napari_tincture
from napari_tincture.device import allocator_environment
from napari_tincture.errors import WorkerError

COMMAND = (sys.executable, "-P", "-m", "napari_tincture.worker")
"""Without the working directory in its path, whose files might shadow modules."""
LISTENING = b"napari-tincture listens"
_LOG_BYTES = 4000
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
    subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0
)
"""No console; and napari's window goes first."""


class WorkerProcess:
    """A running worker and the connection to it.

    The worker opens a private socket (a pipe on Windows) in a directory of its own, guarded by
    a key that it reads from its standard input, and says on its standard output that it listens.

    Parameters
    ----------
    command
        Starts the worker; `COMMAND` unless a test runs its own.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=_environment(),
                creationflags=_WINDOWS_FLAGS,
            )
        except OSError:
            self._log.close()
            raise
        self.pid = self._process.pid

    def connect(self) -> Connection:
        """Connect to the process as soon as it listens.

        Raises
        ------
        WorkerError
            If it ends before it does.
        """
        try:
            return self._shake_hands()
        except (OSError, EOFError) as error:
            raise WorkerError(
                f"The worker process could not be started: {self.ended()} Its last words: "
                f"{self.log_tail() or 'none'}"
            ) from error

    def _shake_hands(self) -> Connection:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        key = secrets.token_bytes(32)
        with (
            tempfile.TemporaryDirectory(prefix="tincture-") as folder,
            self._process.stdout as said,
        ):
            address = _address(folder)
            with self._process.stdin as told:
                told.write(json.dumps({"address": address, "key": key.hex()}).encode() + b"\n")
            if LISTENING not in (line.strip() for line in said):
                raise EOFError("the process ended before it listened")
            connection = Client(address, authkey=key)
            connection.recv_bytes()  # the worker has left the folder, which can go
            return connection

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the process, and give back what was held for it."""
        self.ended()
        self._log.close()

    def ended(self, grace: float = 5.0) -> str:
        """Wait until the process has ended, killing it after `grace` seconds; say how it ended."""
        try:
            code = self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "it did not stop and was killed."
        if code == -getattr(signal, "SIGKILL", 9):
            return "it ended with signal 9, probably because memory ran out."
        if code < 0:
            return f"it ended with signal {-code} ({_signal_name(-code)})."
        return f"it ended with exit code {code}."

    def log_tail(self) -> str:
        """Return the last lines that the process wrote to its standard error."""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - _LOG_BYTES))
        return self._log.read().decode(errors="replace").strip()


def _environment() -> dict[str, str]:
    """Let the worker find this very package, with an allocator made for large arrays."""
    environment = {**os.environ, **allocator_environment()}
    root = str(Path(napari_tincture.__file__).parents[1])
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        path = [root, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    return environment


def _address(folder: str) -> str:
    if sys.platform == "win32":
        return rf"\\.\pipe\tincture-{secrets.token_hex(8)}"
    return str(Path(folder) / "worker")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
