"""Drawing a plane of any size: from noise, from a smaller drawing of it, or anew in places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.canvas import Canvas, Place
from napari_tincture.diffusion.estimate import Denoise, as_denoise, noised
from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.diffusion.sampling import Callback, Moment, Sampler, silent
from napari_tincture.diffusion.steps import Times
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.errors import InputError
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
        Noise level, from 0 to 1, at which it begins: how much of the image is left.
    """

    image: Tensor
    level: float


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
        How many windows the device is given at once; it changes no pixel.
    clip
        Largest magnitude of the image's values; None: any.
    progress
        Called with windows that were asked for, and all of a drawing.
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

    def draw(self, subject: Subject, start: Start | None = None) -> Drawn:
        """Draw a whole plane.

        A plane of more than one window begins, where the card says so, with a smaller drawing of
        it, so that all its windows agree about what is larger than they are.
        """
        stages = self._stages(subject, start)
        total = sum(stage.work(self) for stage in stages)
        count = Count(self.progress, total)
        drawn: Drawn | None = None
        for stage in stages:
            first = stage.start
            if drawn is not None:
                card = self.asking.denoising
                first = Start(
                    enlarged(drawn.image, card.coarse, stage.canvas.bounds), card.coarse_level
                )
            last = stage is stages[-1]
            pen = replace(self, callback=self.callback if last else silent)
            image = pen.sample(stage.subject, stage.canvas, stage.depth, first, count)
            drawn = Drawn(image.cpu()[0], drawn)
        assert drawn is not None
        return drawn

    def times(self, start: Start | None) -> Times:
        """Indices that are visited from where a drawing starts."""
        schedule = self.asking.schedule
        every = self.sampler.times(schedule, self.steps)
        if start is None:
            return every
        latest = schedule.time_of_level(start.level)
        # A multi-step solver needs an interval.
        return tuple(t for t in every if t <= latest) or every[-2:]

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
        device, bounds = asking.device, canvas.bounds

        def noise(stream: int) -> Tensor:
            drawn = self.noise.draw(depth * STREAMS + stream, self.channels, *bounds)
            return torch.from_numpy(drawn)[None].to(device)

        def predict(x: Tensor, time: float) -> Tensor:
            told = asking.told(schedule, time)

            def part(places: Sequence[Place]) -> Tensor:
                windows = torch.cat([x[:, :, y, left] for y, left in places])
                condition = torch.stack([self._condition(subject, canvas, p) for p in places])
                found = asking(windows, told, condition)
                count(len(places))
                return found

            outputs = self.channels * (2 if asking.denoising.variance == "learned" else 1)
            return canvas.fuse(part, outputs, self.together, device)

        denoise = around(as_denoise(predict, schedule, asking.denoising, self.clip))
        times = self.times(start)
        x = noise(0)
        if start is not None:
            x = noised(start.image[None].to(device), x, schedule.alpha_bar(times[0]))
        with asking.session():
            return self.sampler(
                denoise, x, schedule, times,
                noise=lambda step: noise(1 + step), callback=self._checked,
            )  # fmt: skip

    def _checked(self, moment: Moment) -> None:
        self.asking.check()
        self.callback(moment)

    def _condition(self, subject: Subject, canvas: Canvas, place: Place) -> Tensor:
        y, x = (
            slice(own.start + s.start, own.start + s.stop)
            for own, s in zip(canvas.bounds, place, strict=True)
        )
        return subject.condition(y, x)

    def _stages(self, subject: Subject, start: Start | None) -> list[_Stage]:
        found = [_Stage(subject, self.whole(subject), 0, start)]
        if start is not None:
            if tuple(start.image.shape[1:]) != found[0].canvas.shape:
                raise InputError(
                    f"A drawing of {found[0].canvas.shape} pixels cannot begin with an image of "
                    f"{tuple(start.image.shape[1:])}."
                )
            return found
        while (smaller := self.coarser(found[-1].subject)) is not None:
            found.append(_Stage(smaller, self.whole(smaller), len(found), None))
        return found[::-1]


@dataclass(frozen=True)
class _Stage:
    """One of the drawings that lead to a plane."""

    subject: Subject
    canvas: Canvas
    depth: int
    start: Start | None

    def work(self, pen: Pen) -> int:
        """How many windows are asked for."""
        begun = self.start
        if pen.coarser(self.subject) is not None:
            begun = Start(torch.empty(0), pen.asking.denoising.coarse_level)
        return len(pen.times(begun)) * self.canvas.count


class Count:
    """Adds up windows, and tells of them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        progress(0, total)

    def __call__(self, windows: int) -> None:
        """So many more were asked for."""
        self._done += windows
        # Some samplers look more than once at an image, which their times do not tell.
        self._progress(min(self._done, self._total), self._total)


def enlarged(image: Tensor, factor: int, bounds: Place) -> Tensor:
    """A rectangle of an image (c, y, x) that many times larger; pixels become squares."""
    found = functional.interpolate(
        image[None], scale_factor=factor, mode="bicubic", align_corners=False
    )
    return found[(0, slice(None), *bounds)]
