"""Running a sampler on a canvas: all of it at once, or strip by strip."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_tincture.diffusion.canvas import Canvas, Place
from napari_tincture.diffusion.estimate import Denoise, Predict, as_denoise, noised
from napari_tincture.diffusion.noise import STREAMS
from napari_tincture.diffusion.sampling import Callback, Moment, silent
from napari_tincture.diffusion.strips import Strips, draw_strips
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.models.layers.map_memory import MapMemory

if TYPE_CHECKING:
    from napari_tincture.diffusion.drawing import Pen, Start


class LostAnswer(Exception):
    """What an earlier run knew is no longer there."""


@dataclass
class CanvasSampling:
    """One canvas to be drawn; the parameters are those of `Pen.sample`."""

    pen: Pen
    subject: Subject
    canvas: Canvas
    depth: int
    start: Start | None
    count: Callable[[int], None]
    around: Callable[[Denoise], Denoise] | None
    maps: MapMemory = field(init=False)

    def __post_init__(self) -> None:
        self.maps = MapMemory(self.pen.asking.remembers)

    def at_once(self) -> Tensor:
        """Draw all of it, (c, y, x) on the CPU."""
        numbers = itertools.count()

        def predict(x: Tensor, time: float) -> Tensor:
            name = f"{self._name}-{next(numbers)}"
            if (known := self.pen.keeping.answers.find(name)) is not None:
                self.count(self.canvas.count)
                return known.to(self._device)
            part = partial(self._windows, x, 0, time)
            found = self.canvas.fuse(part, self._outputs, self._together, self._device)
            self.pen.keeping.answers.keep(name, found)
            return found

        whole = slice(0, self.canvas.shape[0])
        return self._run(whole, predict, self.pen.callback).cpu()[0]

    def by_strips(self) -> Tensor:
        """Draw it from top to bottom, (c, y, x) on the disk."""
        sheets = self.pen.keeping.sheets
        image = sheets.image(self.depth, (self.pen.channels, *self.canvas.shape))
        first = sheets.finished(self.depth, self._name)
        if first:
            evaluations = self.pen.sampler.evaluations(self._times)
            self.count(first * len(self.canvas.x.starts) * evaluations)
        while True:
            try:
                self._draw_strips(image, first)
            except LostAnswer:
                # Another process that draws the same is ahead, and has dropped what it was.
                ahead = sheets.finished(self.depth, self._name)
                first = ahead if ahead > first else 0
            else:
                return image

    def _draw_strips(self, image: Tensor, first: int) -> None:
        strips, keeping = Strips(self.canvas.y), self.pen.keeping

        def finish(number: int, found: Tensor) -> None:
            image[:, strips.rows(number)] = found.cpu()[0]
            keeping.sheets.finish(self.depth, self._name, number + 1)
            for window in range(strips.first_on(number), strips.first_below(number)):
                keeping.answers.drop(self._row_name(window))

        draw_strips(strips, partial(self._run, callback=silent), self._row, finish, first)

    def _row(self, window: int, x: Tensor | None, time: float, at: int) -> Tensor:
        """What a row of windows adds; of rows above those that are drawn, it is known."""
        name = f"{self._row_name(window)}{at}"
        if (known := self.pen.keeping.answers.find(name)) is not None:
            if x is not None:
                self.count(len(self.canvas.x.starts))
            return known.to(self._device)
        if x is None:
            raise LostAnswer(name)
        part = partial(self._windows, x, self.canvas.y.starts[window], time)
        ((_, found),) = self.canvas.rows(
            part, self._outputs, self._together, self._device, [window]
        )
        self.pen.keeping.answers.keep(name, found)
        return found

    def _run(self, rows: slice, predict: Predict, callback: Callback) -> Tensor:
        """Sample some rows of the canvas, (1, c, y, x)."""
        pen, schedule, times = self.pen, self.pen.asking.schedule, self._times
        y, left = self.canvas.bounds
        bounds = slice(y.start + rows.start, y.start + rows.stop), left

        def noise(stream: int) -> Tensor:
            drawn = pen.noise.draw(self.depth * STREAMS + stream, pen.channels, *bounds)
            return torch.from_numpy(drawn)[None].to(self._device)

        denoise = as_denoise(predict, schedule, pen.asking.denoising, pen.clip)
        if self.around is not None:
            denoise = self.around(denoise)
        x = noise(0)
        if self.start is not None:
            begun = self.start.part(bounds)[None].to(self._device)
            x = noised(begun, x, schedule.alpha_bar(times[0]))
        return pen.sampler(
            denoise, x, schedule, times,
            noise=lambda step: noise(1 + step),
            callback=partial(self._checked, bounds, callback),
        )  # fmt: skip

    def _windows(self, x: Tensor, top: int, time: float, places: Sequence[Place]) -> Tensor:
        """What the denoiser says of windows of noisy rows that begin at `top`."""
        asking = self.pen.asking
        windows = torch.cat([x[:, :, y.start - top : y.stop - top, left] for y, left in places])
        condition = torch.stack([self._condition(place) for place in places])
        key = tuple((y.start, left.start) for y, left in places)
        told = asking.told(asking.schedule, time)
        found = asking(windows, told, condition, self.maps, key)
        self.count(len(places))
        return found

    def _condition(self, place: Place) -> Tensor:
        y, x = (
            slice(own.start + s.start, own.start + s.stop)
            for own, s in zip(self.canvas.bounds, place, strict=True)
        )
        return self.subject.condition(y, x)

    def _checked(self, bounds: Place, callback: Callback, moment: Moment) -> None:
        pen = self.pen
        pen.asking.check()
        callback(moment)
        pen.preview(moment.image[0], bounds, pen.asking.denoising.coarse**self.depth)

    @property
    def _times(self) -> tuple[float, ...]:
        return self.pen.times(None if self.start is None else self.start.level)

    @property
    def _device(self) -> torch.device:
        return self.pen.asking.device

    @property
    def _outputs(self) -> int:
        return self.pen.channels * (2 if self.pen.asking.denoising.variance == "learned" else 1)

    @property
    def _together(self) -> int:
        return 1 if self._device.type == "cpu" else self.pen.together

    @property
    def _name(self) -> str:
        """Of the canvas' answers; windows of another size answer otherwise."""
        y, x = self.canvas.bounds
        lengths = f"{self.canvas.y.length}-{self.canvas.x.length}"
        return f"{self.depth}-{y.start}-{x.start}-{y.stop}-{x.stop}-{lengths}"

    def _row_name(self, window: int) -> str:
        return f"{self._name}-row-{window}-"
