"""Drawing a canvas from top to bottom, with few of its rows in memory.

What is fused at a place at one step depends on the windows around it, and what these see on the
windows around them at the step before. So the rows at the top can be finished as soon as those
below them have begun, each a step less far than the one above: a front that moves down the canvas,
as many windows high as there are steps, whatever the canvas' height.

A sampler works on its rows as on an image of its own; whenever it asks the denoiser, it waits until
all windows that its rows lie in have what they see. The numbers are those of drawing all at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch
from torch import Tensor

from napari_tincture.diffusion.canvas import Line
from napari_tincture.diffusion.estimate import Predict

Work = Callable[[slice, Predict], Tensor]
"""Samples rows (1, c, y, x) of a canvas, asking for what the denoiser says of them."""
Row = Callable[[int, Tensor | None, float, int], Tensor | None]
"""What a row of windows adds (1, c', window, x), given its number, what it sees (1, c, window, x),
a step's index and how many steps were before; given None, what is known of it from an earlier run.
"""


@dataclass(frozen=True, slots=True)
class Strips:
    """Rows of pixels from where a row of windows begins to where the next one does.

    Attributes
    ----------
    line
        The windows along y.
    """

    line: Line

    @property
    def count(self) -> int:
        """How many there are: as many as rows of windows."""
        return len(self.line.starts)

    def rows(self, number: int) -> slice:
        """The rows of pixels of a strip."""
        starts = self.line.starts
        last = number + 1 == len(starts)
        return slice(starts[number], self.line.size if last else starts[number + 1])

    def seen_by(self, window: int) -> range:
        """The strips that a row of windows sees."""
        end = self.line.starts[window] + self.line.length
        return range(window, sum(start < end for start in self.line.starts))

    def first_on(self, number: int) -> int:
        """The first row of windows that lies on a strip; its own is the last."""
        start = self.line.starts[number]
        return sum(top + self.line.length <= start for top in self.line.starts)

    def first_below(self, number: int) -> int:
        """The first row of windows that reaches below a strip."""
        end = self.rows(number).stop
        return sum(top + self.line.length <= end for top in self.line.starts)


class Stopped(BaseException):
    """Nobody waits for the rest of a relay's work any more."""


class _Relay:
    """Work in a thread of its own that runs only while somebody waits for its next question."""

    def __init__(self, rows: slice, work: Work) -> None:
        self._rows, self._work = rows, work
        self._questions: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._answers: SimpleQueue[Tensor | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=f"tincture-strip-{rows.start}", daemon=True)
        self._thread.start()

    def hear(self) -> tuple[str, Any]:
        """Wait for "asks", a noisy image and a step's index; or for "gives", the result.

        What went wrong in the work is raised.
        """
        kind, what = self._questions.get()
        if kind == "fails":
            raise what
        return kind, what

    def answer(self, found: Tensor | None) -> None:
        """Let the work go on; None: let it end."""
        self._answers.put(found)

    def close(self) -> None:
        """End the work, whatever it waits for."""
        self.answer(None)
        self._thread.join()

    def _ask(self, x: Tensor, time: float) -> Tensor:
        self._questions.put(("asks", (x, time)))
        found = self._answers.get()
        if found is None:
            raise Stopped
        return found

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                self._questions.put(("gives", self._work(self._rows, self._ask)))
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._questions.put(("fails", error))


class _Front:
    """The strips that are under way.

    Rows of windows are answered from top to bottom at every step, so that sums at a place have the
    order of drawing all at once.
    """

    def __init__(self, strips: Strips, work: Work, row: Row, first: int) -> None:
        self._strips, self._work, self._row, self._first = strips, work, row, first
        self._relays: dict[int, _Relay] = {}
        self._at: dict[int, tuple[float, int]] = {}
        """Of each strip, step's index and number of the question that it waits with."""
        self._seen: dict[tuple[int, int], Tensor] = {}
        self._sums: dict[tuple[int, int], Tensor] = {}
        self._next: dict[int, int] = {}
        """At each step, the next row of windows to answer."""
        self._begun = first

    def step(self) -> tuple[int, Tensor] | None:
        """Let the topmost strip that can go on, or begin one; give one that is finished."""
        for number in sorted(self._relays):
            if self._can(number):
                return self._advance(number)
        rows = self._strips.rows(self._begun)
        self._relays[self._begun] = _Relay(rows, self._work)
        self._begun += 1
        return self._hear(self._begun - 1)

    def close(self) -> None:
        """End all work."""
        for relay in self._relays.values():
            relay.close()

    def _waiting(self, number: int) -> range:
        """Rows of windows that a strip's question waits for."""
        _, at = self._at[number]
        return range(self._next.get(at, self._strips.first_on(self._first)), number + 1)

    def _can(self, number: int) -> bool:
        _, at = self._at[number]
        return all(
            (strip, at) in self._seen
            for window in self._waiting(number)
            if window >= self._first
            for strip in self._strips.seen_by(window)
        )

    def _advance(self, number: int) -> tuple[int, Tensor] | None:
        time, at = self._at[number]
        for window in self._waiting(number):
            self._add(window, time, at)
        self._relays[number].answer(self._sums.pop((number, at)))
        return self._hear(number)

    def _hear(self, number: int) -> tuple[int, Tensor] | None:
        kind, what = self._relays[number].hear()
        if kind == "gives":
            del self._relays[number], self._at[number]
            return number, what
        x, time = what
        at = self._at[number][1] + 1 if number in self._at else 0
        self._at[number] = time, at
        self._seen[number, at] = x
        return None

    def _add(self, window: int, time: float, at: int) -> None:
        """Add what a row of windows says to the strips that it lies on."""
        strips = self._strips.seen_by(window)
        x = None
        if window >= self._first:
            x = torch.cat([self._seen[strip, at] for strip in strips], dim=2)
            x = x[:, :, : self._strips.line.length]
        found = self._row(window, x, time, at)
        assert found is not None
        top = self._strips.line.starts[window]
        for strip in strips:
            if strip >= self._first:
                self._add_to(strip, at, found, top)
        self._next[at] = window + 1
        # A strip's own row of windows is the last that sees it.
        self._seen.pop((window, at), None)

    def _add_to(self, strip: int, at: int, found: Tensor, top: int) -> None:
        rows = self._strips.rows(strip)
        if (strip, at) not in self._sums:
            shape = (*found.shape[:2], rows.stop - rows.start, found.shape[3])
            self._sums[strip, at] = torch.zeros(shape, device=found.device)
        stop = min(top + found.shape[2], rows.stop)
        part = found[:, :, rows.start - top : stop - top]
        self._sums[strip, at][:, :, : stop - rows.start] += part


def draw_strips(
    strips: Strips, work: Work, row: Row, finish: Callable[[int, Tensor], None], first: int = 0
) -> None:
    """Draw a canvas strip by strip.

    Parameters
    ----------
    finish
        Takes a strip's number and its image (1, c, y, x), from top to bottom.
    first
        The first strip to draw. Of rows of windows before its own, all answers must be known.
    """
    front = _Front(strips, work, row, first)
    try:
        done = first
        while done < strips.count:
            if (found := front.step()) is not None:
                finish(*found)
                done += 1
    finally:
        front.close()
