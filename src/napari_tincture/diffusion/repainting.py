"""Drawing a plane anew where its subject changed, and nowhere else.

Outside of what is drawn, the image as it is known takes the place of the sampler's at every step
(Lugmayr et al., RePaint, CVPR 2022, equation 8), with the noise that the drawing began with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_tincture.diffusion.canvas import Canvas, Place
from napari_tincture.diffusion.drawing import Count, Drawn, Pen, Start
from napari_tincture.diffusion.estimate import Denoise, Estimate, noise_in, noised
from napari_tincture.diffusion.noise import STREAMS
from napari_tincture.diffusion.sampling import silent
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.errors import InputError
from napari_tincture.grid import mirror_index

FEATHER = 4
"""The outermost of so many parts of the margin fades from the new image to the known one."""

LEAST_AROUND = 3
"""What is seen around may be so many times narrower than usual, if one window then suffices."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a plane that is drawn anew in part.

    Attributes
    ----------
    canvas
        The rectangle: what changes, and as much around it as the denoiser should see.
    weight
        (y, x) of it: how much of the new image counts, 0 where nothing changes.
    """

    canvas: Canvas
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class _Level:
    """A drawing or a smaller one that it began with, and what of it is drawn anew."""

    known: Drawn
    subject: Subject
    depth: int
    areas: list[Area]


def repaint(
    pen: Pen, known: Drawn, before: Subject, after: Subject, margin: int,
    start: Start | None = None,
) -> tuple[Drawn, list[Place]]:  # fmt: skip
    """Draw what depends on a change, in a drawing and in the smaller ones that it began with.

    Parameters
    ----------
    pen
        As `known` was drawn with; another field of noise gives another variant of what changed.
    before, after
        What the drawing showed, and what it should show; of one size.
    margin
        Pixels around a change within which the image may change, too.
    start
        What the drawing began with instead of noise or a smaller drawing.

    Returns
    -------
    Drawn, list of places
        The drawing; beyond `margin` pixels from any change it is the known one, to the bit. And
        the rectangles of it that were looked at.
    """
    levels = list(_levels(pen, known, before, after, margin))
    started = pen.asking.denoising.coarse_level
    noisy = start.level if start else None
    work = sum(
        pen.work(area.canvas, started if level.known.coarse else noisy)
        for level in levels
        for area in level.areas
    )
    count = Count(pen.progress, work)
    drawn: Drawn | None = None
    for level in reversed(levels):
        quiet = pen if level is levels[0] else replace(pen, callback=silent)
        if drawn is not None:
            start = Start(drawn.image, started, pen.asking.denoising.coarse)
        drawn = Drawn(_redrawn(quiet, level, start, count), drawn)
    assert drawn is not None
    return drawn, [area.canvas.bounds for area in levels[0].areas]


def _levels(
    pen: Pen, known: Drawn, before: Subject, after: Subject, margin: int
) -> Iterator[_Level]:
    if before.shape != after.shape:
        raise InputError(
            f"What changed has {after.shape} pixels and was {before.shape}: expected one size. "
            "Draw the whole image instead."
        )
    depth, factor = 0, pen.asking.denoising.coarse
    while True:
        yield _Level(known, after, depth, areas(pen, before, after, margin))
        if known.coarse is None:
            return
        known, before, after = known.coarse, before.coarser(factor), after.coarser(factor)
        margin = -(-margin // factor)
        depth += 1


def areas(pen: Pen, before: Subject, after: Subject, margin: int) -> list[Area]:
    """What has to be drawn anew; places whose surroundings overlap are drawn together."""
    canvas = pen.whole(after)
    changed = before.changed(after)
    # Beyond the edges, what the denoiser is told is mirrored, too.
    sides = zip(canvas.shape, changed.shape, strict=True)
    changed = changed[np.ix_(*(mirror_index(0, n, m) for n, m in sides))]
    reached = ndimage.maximum_filter(changed, size=2 * margin + 1)
    places = ndimage.find_objects(ndimage.label(reached)[0])
    found = []
    for bounds in _joined([_surrounded(pen, canvas, place) for place in places]):
        distance = ndimage.distance_transform_edt(~changed[bounds])
        weight = np.clip((margin - distance) / max(margin / FEATHER, 1), 0, 1)
        weight[changed[bounds]] = 1
        found.append(Area(pen.canvas(bounds), weight.astype(np.float32)))
    return found


def _surrounded(pen: Pen, canvas: Canvas, place: Place) -> Place:
    """The place with what the denoiser should see around it: a whole window, if there is one."""
    card = pen.asking.denoising
    y, x = (
        _widened(s, size, card.window, card.overlap, pen.stride)
        for s, size in zip(place, canvas.shape, strict=True)
    )
    return y, x


def _widened(span: slice, size: int, window: int, around: int, stride: int) -> slice:
    # Four windows cost four times as much as one, and none of them sees the whole change.
    room = (window - (span.stop - span.start)) // 2 - stride
    if around // LEAST_AROUND <= room < around:
        around = room
    length = span.stop - span.start + 2 * around
    length = min(max(-(-length // stride) * stride, window), size)
    middle = (span.start + span.stop) // 2
    start = min(max(middle - length // 2, 0), size - length) // stride * stride
    # Moved to a multiple of the stride it may end too early.
    if start + length < min(span.stop + around, size):
        length = min(length + stride, size - start)
    return slice(start, start + length)


def _joined(places: list[Place]) -> list[Place]:
    """Rectangles, of which those that overlap became one."""
    found: list[Place] = []
    for place in places:
        while touching := [other for other in found if _overlap(place, other)]:
            found = [other for other in found if other not in touching]
            y, x = (
                slice(min(s.start for s in spans), max(s.stop for s in spans))
                for spans in zip(place, *touching, strict=True)
            )
            place = y, x
        found.append(place)
    return found


def _overlap(place: Place, other: Place) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(place, other, strict=True))


def _redrawn(pen: Pen, level: _Level, start: Start | None, count: Count) -> Tensor:
    """The image of a level with its areas drawn anew."""
    image = pen.blank(level.known.image).copy_(level.known.image)
    for area in level.areas:
        bounds = area.canvas.bounds
        old = level.known.image[(slice(None), *bounds)]
        weight = torch.from_numpy(area.weight)
        around = _Known(pen, area, level.depth, old, weight > 0)
        new = pen.sample(level.subject, area.canvas, level.depth, start, count, around)
        mixed = old + weight * (new - old)
        image[(slice(None), *bounds)] = torch.where(weight > 0, mixed, old)
    return image


class _Known:
    """Replaces what a sampler has outside of a mask by the known image, as noisy as it is there."""

    def __init__(self, pen: Pen, area: Area, depth: int, image: Tensor, mask: Tensor) -> None:
        device = pen.asking.device
        drawn = pen.noise.draw(depth * STREAMS, pen.channels, *area.canvas.bounds)
        self._noise = torch.from_numpy(drawn)[None].to(device)
        self._image, self._mask = image[None].to(device), mask.to(device)
        self._schedule = pen.asking.schedule

    def __call__(self, denoise: Denoise) -> Denoise:
        def known(x: Tensor, time: float) -> Estimate:
            share = self._schedule.alpha_bar(time)
            x = torch.where(self._mask, x, noised(self._image, self._noise, share))
            found = denoise(x, time)
            image = torch.where(self._mask, found.image, self._image)
            return Estimate(image, noise_in(x, image, share), found.between)

        return known
