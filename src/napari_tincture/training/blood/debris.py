"""Dust and debris: dark objects that are no cells and take no stain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Random = np.random.Generator
VISIBLE = 0.25
"""Absorbance from which debris counts as such in masks."""


def debris_density(
    free: NDArray[np.bool_], seed: int, *, diameter: float, count: tuple[int, int] = (1, 5)
) -> Floats:
    """Absorbance of random specks, fibres, grainy clumps and out-of-focus dust.

    Parameters
    ----------
    free
        Where nothing lies yet, (y, x); of 24 random places for each object, the freest is taken.
    seed
        Of kinds, sizes and places.
    diameter
        Of a red cell, pixels: specks are 0.1 to 0.3 of it, clumps 1 to 2, fibres 1 to 3 long.
    count
        Fewest and most objects.

    Returns
    -------
    ndarray
        (y, x), natural logarithm, the same for all colours.
    """
    draw = np.random.default_rng((seed, 2))
    total = np.zeros(free.shape)
    # Clumps twice: they are what the real field has most of.
    kinds: tuple[Callable[[Random, float], Floats], ...] = (_speck, _fibre, _clump, _clump, _dust)
    for _ in range(int(draw.integers(count[0], count[1] + 1))):
        patch = kinds[int(draw.integers(len(kinds)))](draw, diameter)
        top, left = _freest(patch, free & (total < 0.1), draw)
        _add(total, patch, top, left)
    return total


def shaded(image: Floats, density: Floats) -> NDArray[np.uint8]:
    """The image (y, x) or (y, x, c), 0 to 255, behind an absorbance (y, x), in 8 bits."""
    dim = np.exp(-density)
    dimmed = np.asarray(image) * (dim if np.ndim(image) == 2 else dim[..., None])
    return np.clip(np.rint(dimmed), 0, 255).astype(np.uint8)


def _noise(draw: Random, size: int, grain: float) -> Floats:
    """Smooth noise of mean 0 and standard deviation 1."""
    field = ndi.gaussian_filter(draw.normal(size=(size, size)), max(grain, 0.6), mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


def _grid(size: int) -> tuple[Floats, Floats]:
    line = np.arange(size) - size // 2
    return line[:, None].astype(float), line[None, :].astype(float)


def _ellipse(draw: Random, size: int, long: float, short: float) -> Floats:
    """Distance from the centre, 1 on the ellipse."""
    y, x = _grid(size)
    angle = draw.uniform(0, np.pi)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return np.asarray(np.hypot(along / long, across / short))


def _speck(draw: Random, diameter: float) -> Floats:
    radius = diameter * draw.uniform(0.06, 0.17)
    size = 2 * int(3 * radius + 2) + 1
    shape = _ellipse(draw, size, radius, radius * draw.uniform(0.6, 1.0))
    shape = shape + 0.25 * _noise(draw, size, 0.6 * radius)
    soft = ndi.gaussian_filter((shape < 1).astype(float), diameter * draw.uniform(0.015, 0.045))
    return np.asarray(soft * draw.uniform(0.9, 2.2))


def _fibre(draw: Random, diameter: float) -> Floats:
    length, width = diameter * draw.uniform(1.0, 3.0), diameter * draw.uniform(0.025, 0.06)
    steps = max(8, int(2 * length))
    turns = np.cumsum(draw.normal(0, 0.6 / np.sqrt(diameter), steps)) + draw.uniform(0, 2 * np.pi)
    path = np.cumsum(np.stack([np.sin(turns), np.cos(turns)]) * length / steps, axis=1)
    path -= path.mean(axis=1, keepdims=True)
    half = int(np.abs(path).max() + 4 * width + 3)
    drawn = np.ones((2 * half + 1,) * 2, bool)
    drawn[tuple(np.rint(path).astype(int) + half)] = False
    away = ndi.distance_transform_edt(drawn)
    line = np.clip(width + 0.5 - away, 0, 1)
    return np.asarray(ndi.gaussian_filter(line, 0.02 * diameter) * draw.uniform(0.6, 1.6))


def _clump(draw: Random, diameter: float) -> Floats:
    long = diameter * draw.uniform(0.4, 1.0)
    size = 2 * int(1.7 * long + 2) + 1
    edge = _ellipse(draw, size, long, long * draw.uniform(0.45, 0.9))
    edge = edge + 0.22 * _noise(draw, size, 0.35 * long)
    body = 1 / (1 + np.exp((edge - 0.85) / draw.uniform(0.06, 0.18)))
    y, x = _grid(size)
    body = body * (np.maximum(np.abs(y), np.abs(x)) < size // 2)
    grain = np.exp(
        draw.uniform(0.12, 0.3) * _noise(draw, size, diameter * draw.uniform(0.03, 0.06))
    )
    return np.asarray(body * grain * draw.uniform(0.5, 1.2))


def _dust(draw: Random, diameter: float) -> Floats:
    radius = diameter * draw.uniform(0.15, 0.45)
    blur = radius * draw.uniform(0.2, 0.5)
    size = 2 * int(radius + 4 * blur + 2) + 1
    disc = _ellipse(draw, size, radius, radius * draw.uniform(0.7, 1.0)) < 1
    return np.asarray(ndi.gaussian_filter(disc.astype(float), blur) * draw.uniform(0.4, 1.0))


def _freest(patch: Floats, free: NDArray[np.bool_], draw: Random) -> tuple[int, int]:
    taken = 1 - free.astype(float)
    best, place = np.inf, (0, 0)
    for _ in range(24):
        centre = draw.integers(0, free.shape)
        top, left = (int(c) - side // 2 for c, side in zip(centre, patch.shape, strict=True))
        ours, theirs = _overlap(patch.shape, free.shape, top, left)
        cost = float((patch[ours] * taken[theirs]).sum())
        if cost < best:
            best, place = cost, (top, left)
    return place


def _overlap(
    patch: tuple[int, ...], image: tuple[int, ...], top: int, left: int
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    ours, theirs = [], []
    for side, whole, start in zip(patch, image, (top, left), strict=True):
        low, high = max(0, start), min(whole, start + side)
        ours.append(slice(low - start, high - start))
        theirs.append(slice(low, high))
    return tuple(ours), tuple(theirs)


def _add(total: Floats, patch: Floats, top: int, left: int) -> None:
    ours, theirs = _overlap(patch.shape, total.shape, top, left)
    total[theirs] += patch[ours]
