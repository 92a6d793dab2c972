"""Drawing a plane of any size: from noise, from a smaller drawing of it, or anew in places."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.canvas import Canvas, Place
from napari_tincture.diffusion.canvas_sampling import CanvasSampling
from napari_tincture.diffusion.enlarging import enlarged
from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.keeping import Keeping
from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.diffusion.sampling import Callback, Sampler, silent
from napari_tincture.diffusion.steps import Times
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.errors import InputError
from napari_tincture.progress import Progress, unheard


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
        (c, y, x), as large as the plane; or so many times smaller than it.
    level
        Noise level, above 0 and up to 1, at which it begins: how much of the image is left.
    factor
        How many times smaller.
    """

    image: Tensor
    level: float
    factor: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.level <= 1:
            raise InputError(
                f"level={self.level!r}: expected above 0 (noise) and up to 1 (the image as it is)."
            )

    def part(self, bounds: Place) -> Tensor:
        """A rectangle of the plane."""
        if self.factor == 1:
            return self.image[(slice(None), *bounds)]
        return enlarged(self.image, self.factor, bounds)


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
    keeping
        Where what is to outlive memory, or a kill, is kept.
    preview
        Shown, after every step of the drawing and of smaller ones before it, the guess of the clean
        image.
    most
        Pixels that are drawn at once; larger canvases are drawn strip by strip, to the same
        numbers. None: any.
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
    keeping: Keeping = field(default_factory=Keeping)
    preview: Preview = unseen
    most: int | None = None

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
                start = Start(drawn.image, card.coarse_level, card.coarse)
            pen = self if stage is stages[-1] else replace(self, callback=silent)
            found = pen.sample(stage.subject, stage.canvas, stage.depth, start, count)
            drawn = Drawn(found, drawn)
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
        around: Callable[[Denoise], Denoise] | None = None,
    ) -> Tensor:
        """Draw a canvas, (c, y, x) on the CPU.

        Parameters
        ----------
        depth
            How many times the plane was made smaller.
        count
            Told how many windows were asked for.
        around
            What is done to the denoiser of the whole canvas, which is drawn at once then.
        """
        sampling = CanvasSampling(self, subject, canvas, depth, start, count, around)
        with self.asking.session():
            if around is None and self.in_strips(canvas):
                return sampling.by_strips()
            return sampling.at_once()

    def in_strips(self, canvas: Canvas) -> bool:
        """Whether a canvas is drawn strip by strip."""
        if self.most is None or math.prod(canvas.shape) <= self.most:
            return False
        return self.sampler.local and len(canvas.y.starts) > 1

    def blank(self, like: Tensor) -> Tensor:
        """An image to be filled, in memory if one like it is drawn at once."""
        if self.most is None or math.prod(like.shape[1:]) <= self.most:
            return torch.empty_like(like)
        return self.keeping.sheets.blank(tuple(like.shape))  # type: ignore[arg-type]

    def _stages(self, subject: Subject, start: Start | None) -> list[_Stage]:
        found = [_Stage(subject, self.whole(subject), 0)]
        if start is not None:
            if start.factor == 1 and tuple(start.image.shape[1:]) != found[0].canvas.shape:
                raise InputError(
                    f"A drawing of {found[0].canvas.shape} pixels cannot begin with an image of "
                    f"{tuple(start.image.shape[1:])}."
                )
            return found
        while (smaller := self.coarser(found[-1].subject)) is not None:
            found.append(_Stage(smaller, self.whole(smaller), len(found)))
        return found[::-1]


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
        # What another process has dropped is asked for again.
        self._done = min(self._done + windows, self._total)
        self._progress(self._done, self._total)
