"""How a running job tells what it has done, and how it is told to stop."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from napari_tincture.errors import Cancelled

Progress = Callable[[int, int], None]
"""Called with the number of finished and of all tiles."""


class CancelToken:
    """A flag that any thread may raise and that a job checks between tiles."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop; it does within one tile."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if the job was asked to stop."""
        if self._event.is_set():
            raise Cancelled("The job was cancelled.")


def as_callback(progress: bool | Progress | None, unit: str = "tiles", each: int = 1) -> Progress:
    """Turn the `progress=` argument of a public call into a callback.

    Parameters
    ----------
    unit
        What a bar counts.
    each
        How many of what is reported make one of them.
    """
    if progress is True:
        return _Bar(unit, each)
    if not progress:
        return unheard
    return progress


def unheard(done: int, total: int) -> None:
    """Tell nobody."""


class _Bar:
    """A bar on standard error: what is done, all, seconds left."""

    width = 32

    def __init__(self, unit: str, each: int) -> None:
        self._unit, self._each = unit, each
        self._start = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        elapsed = time.monotonic() - self._start
        left = elapsed / done * (total - done) if done else 0.0
        filled = self.width * done // max(total, 1)
        bar = "█" * filled + "·" * (self.width - filled)
        end = "\n" if done == total else ""
        count = f"{done // self._each}/{total // self._each} {self._unit}"
        print(f"\r{bar} {count}, {left:4.0f} s left ", end=end, file=sys.stderr)


def share(progress: Progress, part: int, parts: int) -> Progress:
    """Report one of several equal parts of some work as a part of all of it."""

    def report(done: int, total: int) -> None:
        progress(part * total + done, parts * total)

    return report
