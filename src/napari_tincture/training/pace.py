"""How long a training will still take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Pace:
    """The mean duration of the latest steps, with validation and saving, without pauses.

    Parameters
    ----------
    window
        How many steps are remembered: enough to hold one validation.
    clock
        Seconds that never go back.
    """

    def __init__(self, window: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._durations: deque[float] = deque(maxlen=window)
        self._clock, self._start = clock, 0.0

    def begin(self) -> None:
        """A step begins."""
        self._start = self._clock()

    def end(self) -> None:
        """It is done, with all that follows it."""
        self._durations.append(self._clock() - self._start)

    def seconds(self, steps: int) -> float | None:
        """Estimated duration of so many steps; None before the first is done."""
        if not self._durations:
            return None
        return steps * sum(self._durations) / len(self._durations)
