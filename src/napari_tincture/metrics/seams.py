"""Seams: jumps across the borders of tiles, against those elsewhere.

The state is as long as the plane is high and wide, too long for a row per region; so this is no
metric of the registry but a function of one image, `seam_score`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Block, State, Statistic, Undefined
from napari_tincture.metrics.stream import Survey, survey
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid

FloatArray = npt.NDArray[np.float64]
SEGMENT = 64
"""Pixels along a border that a jump is averaged over; a seam's jump keeps its sign that far."""
STEPS = (-48, -32, -16, 16, 32, 48)
"""Lines that a border is compared with: multiples of 16, so that the blocks of JPEG cancel."""
SMALLEST_FOUND, SMALLEST = 64, 24
"""Least tile sides, found and given: below, borders lie among the lines compared with."""
CLIP = 5.0
"""Standard deviations beyond which a single line says no more."""
CERTAIN = 5.0
"""Standard deviations from which a seam counts as found, among thousands of periods tried."""


@dataclass(frozen=True, slots=True)
class SeamScore:
    """How much a plane jumps across the borders of its tiles.

    Attributes
    ----------
    score
        Mean jump at borders over the mean jump at lines nearby; 1: no seam.
    significance
        By how many standard errors the borders jump more than other lines, each compared with lines
        nearby; the spread is that of all other lines (median absolute deviation).
    tile
        Side in pixels, given or the most likely one.
    offset
        Where the first borders lie along y and x.
    borders
        How many were compared.
    """

    score: float
    significance: float
    tile: int
    offset: tuple[int, int]
    borders: int

    @property
    def found(self) -> bool:
        """Whether the borders show."""
        return self.significance >= CERTAIN


class Profiles(NamedTuple):
    """Mean jump between each row, and each column, and the one before; NaN where there is none.

    Attributes
    ----------
    rows : (y,) float64
    columns : (x,) float64
    """

    rows: FloatArray
    columns: FloatArray


@dataclass(frozen=True)
class Jumps(Statistic):
    """Of all rows and all columns: the sum of jumps before them, and their number.

    A jump is half the third difference across a border, I(x-2) - 3 I(x-1) + 3 I(x) - I(x+1), so
    that slopes and curvature give none, averaged over a segment of the border before its size is
    taken.
    """

    margin = SEGMENT // 2
    alone = True

    def measure(self, block: Block) -> State:
        """Give the row; (regions, 2 · (height + width)), sums and numbers, all in region 0."""
        height, width = block.shape
        rows = np.zeros((block.count, 2 * (height + width)))
        sums, counts = rows[0].reshape(2, -1)
        used = None if block.regions is None else block.regions >= 0
        parts = sums[height:], counts[height:]
        _add(parts, block.image, used, block.core, block.place, block.shape)
        parts = sums[:height], counts[:height]
        turned = (None if used is None else used.T, block.core[::-1], block.place[::-1])
        _add(parts, block.image.T, *turned, block.shape[::-1])
        return rows


def _add(
    parts: tuple[FloatArray, FloatArray],
    image: npt.NDArray[np.generic],
    used: npt.NDArray[np.bool_] | None,
    core: tuple[slice, slice],
    place: tuple[slice, slice],
    shape: tuple[int, int],
) -> None:
    """Add the jumps along x at segments whose middle lies in the core."""
    half = SEGMENT // 2
    first = -(-(place[0].start - half) // SEGMENT) * SEGMENT + half
    middles = np.arange(first, min(place[0].stop, shape[0] - half + 1), SEGMENT)
    x = slice(max(place[1].start, 2), min(place[1].stop, shape[1] - 1))
    if not len(middles) or x.stop <= x.start:
        return
    shift_y, shift_x = (c.start - p.start for c, p in zip(core, place, strict=True))
    top = first - half + shift_y
    strip = image[top : top + SEGMENT * len(middles), x.start - 2 + shift_x : x.stop + 1 + shift_x]
    means = strip.reshape(len(middles), SEGMENT, -1).mean(axis=1, dtype=np.float64)
    inner = means[:, 2:-1] - means[:, 1:-2]
    jumps = np.abs(1.5 * inner - 0.5 * (means[:, 3:] - means[:, :-3]))
    counted = np.ones(jumps.shape, np.bool_)
    if used is not None:
        counted = used[middles - place[0].start, x.start - place[1].start :][:, : jumps.shape[1]]
    parts[0][x] += (jumps * counted).sum(axis=0)
    parts[1][x] += counted.sum(axis=0)


def seam_profiles(
    image: Raster,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Profiles:
    """Stream once through a plane of any size for its mean jumps; of all channels together.

    Raises
    ------
    InputError
        If the image has t or z.
    Cancelled
        If `cancel` was raised.
    """
    if set(image.axes) - set("cyx"):
        raise InputError(
            f"Seams are looked for in planes, and image {image.name!r} has axes {image.axes!r}; "
            "take one plane, image.plane(t=…, z=…)."
        )
    height, width = image.shape[-2:]
    channels = range(min(image.sizes.get("c", 1), 3) if image.rgb else image.sizes.get("c", 1))
    plan = Survey(
        shape=(height, width), images=[OnGrid(image, np.eye(3), (height, width))], reference=None,
        channels=channels, statistics=[Jumps()], data_range=1.0,
        chunks=(image.data.chunks[-2], image.data.chunks[-1]),
    )  # fmt: skip
    tally = survey(plan, as_callback(progress), cancel or CancelToken())
    total = sum(tally.rows[key][0] for key in plan.keys)
    sums, counts = np.asarray(total).reshape(2, -1)
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return Profiles(means[:height], means[height:])


def seam_score(
    image: Raster,
    tile: int | None = None,
    *,
    offset: tuple[int, int] = (0, 0),
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> SeamScore:
    """Compare the jumps across tile borders with those everywhere else.

    Parameters
    ----------
    image : Raster
        (y, x) or (c, y, x), of any size; it is read once.
    tile : int, optional
        Side of the tiles in pixels, 24 or more; None: the most likely one is found.
    offset : (y, x)
        Pixels from the image's corner to the first borders.
    progress, cancel
        As everywhere.

    Raises
    ------
    InputError
        If the image has t or z, or the tile is too small.
    Undefined
        If no border lies in the image, or the image is constant, or too small to find a period.
    Cancelled
        If `cancel` was raised.
    """
    if tile is not None and tile < SMALLEST:
        raise InputError(f"Tiles of {tile} pixels are too small; give at least {SMALLEST}.")
    profiles = seam_profiles(image, progress, cancel)
    return score(profiles, find_period(profiles, offset) if tile is None else tile, offset)


def score(profiles: Profiles, tile: int, offset: tuple[int, int] = (0, 0)) -> SeamScore:
    """Read the score of a tile size off profiles.

    Raises
    ------
    Undefined
        If no border lies in the image, or it is constant.
    """
    _check(profiles)
    near = [s for s in STEPS if min(s % tile, -s % tile) > 1]
    excess, jumps = [], []
    for profile, start in zip(profiles, offset, strict=True):
        usual = _usual(profile, near)
        borders = np.zeros(len(profile), np.bool_)
        borders[start % tile :: tile] = True
        borders &= np.isfinite(profile) & np.isfinite(usual)
        excess.append((_excess(profile, usual, profiles), borders))
        jumps.append((profile[borders].sum(), usual[borders].sum(), borders.sum()))
    at, nearby, count = np.sum(jumps, axis=0)
    if not count:
        raise Undefined(f"no border of tiles of {tile} pixels lies in the image")
    values = np.concatenate([e for e, _ in excess])
    borders = np.concatenate([b for _, b in excess])
    others = values[~borders & np.isfinite(values)]
    sure = _sure(_clipped(values, others)[borders])
    ratio = at / nearby if nearby else math.inf
    return SeamScore(float(ratio), sure, tile, offset, int(count))


def find_period(profiles: Profiles, offset: tuple[int, int] = (0, 0)) -> int:
    """Find the tile side, 64 pixels or more, whose borders jump most significantly.

    There always is one; `score` tells whether its borders show. At least three borders must lie in
    the image.

    Raises
    ------
    Undefined
        If the image is constant, or too small.
    """
    _check(profiles)
    excess = []
    for profile, start in zip(profiles, offset, strict=True):
        usual = _usual(profile, STEPS)
        excess.append((_excess(profile, usual, profiles), start))
    values = np.concatenate([e for e, _ in excess])
    spread = values[np.isfinite(values)]
    lines = [(_clipped(e, spread), start) for e, start in excess]
    best, found = -math.inf, 0
    for tile in range(SMALLEST_FOUND, max(len(e) for e, _ in lines)):
        at = np.concatenate([e[start % tile :: tile] for e, start in lines])
        at = at[np.isfinite(at)]
        if len(at) >= 3 and (sure := _sure(at)) > best:
            best, found = sure, tile
    if not found:
        raise Undefined(f"fewer than three borders of tiles of {SMALLEST_FOUND} pixels fit")
    return found


def _check(profiles: Profiles) -> None:
    if not any(np.nansum(profile) > 0 for profile in profiles):
        raise Undefined("the image has no jumps at all: it is constant, flat or too small")


def _usual(profile: FloatArray, steps: tuple[int, ...] | list[int]) -> FloatArray:
    """Median of lines at these distances; NaN where there is none."""
    reach = max(map(abs, STEPS))
    wide = np.pad(profile, reach, constant_values=np.nan)
    near = np.stack([wide[reach + s : reach + s + len(profile)] for s in steps])
    result = np.full(len(profile), np.nan)
    some = np.isfinite(near).any(axis=0)
    result[some] = np.nanmedian(near[:, some], axis=0)
    return result


def _excess(profile: FloatArray, usual: FloatArray, profiles: Profiles) -> FloatArray:
    """Logarithm of a line's jump over the usual; a floor keeps empty margins from counting."""
    floor = 0.01 * np.nanmean(np.concatenate(profiles))
    result: FloatArray = np.log((profile + floor) / (usual + floor))
    return result


def _clipped(excess: FloatArray, others: FloatArray) -> FloatArray:
    """The excess above the others' median in their standard deviations."""
    middle = np.median(others) if len(others) else 0.0
    spread = 1.4826 * np.median(np.abs(others - middle)) if len(others) else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = (excess - middle) / spread
    # Where the others do not differ at all, any difference is certain, and none is none.
    scaled = np.where((excess == middle) & (spread == 0), 0.0, scaled)
    result: FloatArray = np.clip(scaled, -CLIP, CLIP)
    return result


def _sure(values: FloatArray) -> float:
    return float(values.mean() * math.sqrt(len(values)))
