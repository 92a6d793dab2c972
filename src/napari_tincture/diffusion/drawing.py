"""Drawing a plane of any size: from noise, from a smaller drawing of it, or anew in places."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from napari_tincture.diffusion.answers import FORGOTTEN, Answers
from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.canvas import Canvas, Place
from napari_tincture.diffusion.enlarging import enlarged
from napari_tincture.diffusion.estimate import Denoise, as_denoise, noised
from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.diffusion.sampling import Callback, Moment, Sampler, silent
from napari_tincture.diffusion.steps import Times
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.errors import InputError
from napari_tincture.models.layers.map_memory import MapMemory
from napari_tincture.progress import Progress, unheard

STREAMS = 2**20
"""Draws of noise at a place that each level of smaller drawings has for itself."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished plane.

    Attributes
    ----------
    image
        (c, y, x) float32 as the network gives it, on the CPU; sides are those of the subject,
        rounded up to multiples of the stride.
    coarse
        The smaller drawing that it began with; None: it began with noise.
    """

    image: Tensor
    coarse: Drawn | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """An image that a drawing begins with instead of noise.

    Attributes
    ----------
    image
        (c, y, x), as large as the plane.
    level
        Noise level, above 0 and up to 1, at which it begins: how much of the image is left.
    """

    image: Tensor
    level: float

    def __post_init__(self) -> None:
        if not 0 < self.level <= 1:
            raise InputError(
                f"level={self.level!r}: expected above 0 (noise) and up to 1 (the image as it is)."
            )


Preview = Callable[[Tensor, Place, int], None]
"""Takes a rectangle (c, y, x), where it lies, and how many times smaller its image is."""


def unseen(image: Tensor, bounds: Place, factor: int) -> None:
    """Show nobody."""


@dataclass(frozen=True)
class Pen:
    """How planes are drawn, apart from what they show.

    Attributes
    ----------
    channels
        Of the image.
    stride
        That sides are multiples of.
    together
        How many windows an accelerator is given at once, which changes pixels by no more than
        rounding. A CPU is given one: more take as long there, and round otherwise.
    clip
        Largest magnitude of the image's values; None: any.
    callback
        Told of the steps of the drawing itself.
    progress
        Called with windows that were asked for, and all of a drawing.
    answers
        Keeps what the denoiser answered, for a run after a kill.
    preview
        Shown, after every step of the drawing and of smaller ones before it, the guess of the clean
        image.
    """

    asking: Asking
    sampler: Sampler
    steps: int
    noise: NoiseField
    channels: int
    stride: int
    together: int = 1
    clip: float | None = 1.0
    callback: Callback = silent
    progress: Progress = unheard
    answers: Answers = FORGOTTEN
    preview: Preview = unseen

    def draw(self, subject: Subject, start: Start | None = None) -> Drawn:
        """Draw a whole plane.

        A plane of more than one window begins, where the card says so, with a smaller drawing of
        it, so that all its windows agree about what is larger than they are.
        """
        card, stages = self.asking.denoising, self._stages(subject, start)
        levels = [
            start.level if start else None,
            *[card.coarse_level for _ in stages[1:]],
        ]
        count = Count(
            self.progress,
            sum(self.work(s.canvas, level) for s, level in zip(stages, levels, strict=True)),
        )
        drawn: Drawn | None = None
        for stage in stages:
            if drawn is not None:
                image = enlarged(drawn.image, card.coarse, stage.canvas.bounds)
                start = Start(image, card.coarse_level)
            pen = self if stage is stages[-1] else replace(self, callback=silent)
            found = pen.sample(stage.subject, stage.canvas, stage.depth, start, count)
            drawn = Drawn(found.cpu()[0], drawn)
        assert drawn is not None
        return drawn

    def times(self, level: float | None) -> Times:
        """Indices that are visited from a noise level on; None: from noise."""
        schedule = self.asking.schedule
        every = self.sampler.times(schedule, self.steps)
        if level is None:
            return every
        latest = schedule.time_of_level(level)
        return tuple(t for t in every if t <= latest) or every[-1:]

    def work(self, canvas: Canvas, level: float | None) -> int:
        """How many windows a canvas asks for that begins at a noise level."""
        return canvas.count * self.sampler.evaluations(self.times(level))

    def canvas(self, bounds: Place) -> Canvas:
        """A rectangle of a plane, cut as the card says."""
        card = self.asking.denoising
        return Canvas.of(bounds, card.window, card.overlap, self.stride)

    def whole(self, subject: Subject) -> Canvas:
        """The canvas of a whole plane."""
        height, width = (-(-n // self.stride) * self.stride for n in subject.shape)
        return self.canvas((slice(0, height), slice(0, width)))

    def coarser(self, subject: Subject) -> Subject | None:
        """The smaller plane that a drawing begins with, if it does."""
        factor = self.asking.denoising.coarse
        if factor == 1 or self.whole(subject).count == 1:
            return None
        return subject.coarser(factor)

    def sample(
        self,
        subject: Subject,
        canvas: Canvas,
        depth: int,
        start: Start | None,
        count: Callable[[int], None],
        around: Callable[[Denoise], Denoise] = lambda denoise: denoise,
    ) -> Tensor:
        """Draw a canvas, (1, c, y, x).

        Parameters
        ----------
        depth
            How many times the plane was made smaller.
        count
            Told how many windows were asked for.
        around
            What is done to the denoiser of the whole canvas.
        """
        asking, schedule = self.asking, self.asking.schedule
        device, bounds, maps = asking.device, canvas.bounds, MapMemory(asking.remembers)
        numbers = itertools.count()

        def noise(stream: int) -> Tensor:
            drawn = self.noise.draw(depth * STREAMS + stream, self.channels, *bounds)
            return torch.from_numpy(drawn)[None].to(device)

        def predict(x: Tensor, time: float) -> Tensor:
            told = asking.told(schedule, time)

            name = _name(depth, canvas, next(numbers))
            if (known := self.answers.find(name)) is not None:
                count(canvas.count)
                return known.to(device)

            def part(places: Sequence[Place]) -> Tensor:
                windows = torch.cat([x[:, :, y, left] for y, left in places])
                condition = torch.stack([self._condition(subject, canvas, p) for p in places])
                found = asking(windows, told, condition, maps, _key(places))
                count(len(places))
                return found

            outputs = self.channels * (2 if asking.denoising.variance == "learned" else 1)
            together = 1 if device.type == "cpu" else self.together
            found = canvas.fuse(part, outputs, together, device)
            self.answers.keep(name, found)
            return found

        denoise = around(as_denoise(predict, schedule, asking.denoising, self.clip))
        times = self.times(None if start is None else start.level)
        x = noise(0)
        if start is not None:
            x = noised(start.image[None].to(device), x, schedule.alpha_bar(times[0]))
        with asking.session():
            return self.sampler(
                denoise, x, schedule, times,
                noise=lambda step: noise(1 + step),
                callback=partial(self._checked, canvas.bounds, depth),
            )  # fmt: skip

    def _checked(self, bounds: Place, depth: int, moment: Moment) -> None:
        self.asking.check()
        self.callback(moment)
        self.preview(moment.image[0], bounds, self.asking.denoising.coarse**depth)

    def _condition(self, subject: Subject, canvas: Canvas, place: Place) -> Tensor:
        y, x = (
            slice(own.start + s.start, own.start + s.stop)
            for own, s in zip(canvas.bounds, place, strict=True)
        )
        return subject.condition(y, x)

    def _stages(self, subject: Subject, start: Start | None) -> list[_Stage]:
        found = [_Stage(subject, self.whole(subject), 0)]
        if start is not None:
            if tuple(start.image.shape[1:]) != found[0].canvas.shape:
                raise InputError(
                    f"A drawing of {found[0].canvas.shape} pixels cannot begin with an image of "
                    f"{tuple(start.image.shape[1:])}."
                )
            return found
        while (smaller := self.coarser(found[-1].subject)) is not None:
            found.append(_Stage(smaller, self.whole(smaller), len(found)))
        return found[::-1]


def _name(depth: int, canvas: Canvas, number: int) -> str:
    """Of an answer; windows of another size answer otherwise."""
    y, x = canvas.bounds
    sides = f"{y.start}-{x.start}-{y.stop}-{x.stop}-{canvas.y.length}-{canvas.x.length}"
    return f"{depth}-{sides}-{number}"


def _key(places: Sequence[Place]) -> tuple[tuple[int, int], ...]:
    return tuple((y.start, x.start) for y, x in places)


@dataclass(frozen=True)
class _Stage:
    """One of the drawings that lead to a plane."""

    subject: Subject
    canvas: Canvas
    depth: int


class Count:
    """Adds up windows, and tells of them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        if total:
            progress(0, total)

    def __call__(self, windows: int) -> None:
        """So many more were asked for."""
        self._done += windows
        self._progress(self._done, self._total)
