"""Values of images as stored: what a model was trained on, and whether an image is like it.

No torch here: panels warn before anything is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster

PERCENTILES = {"p1": (1, "1st percentile"), "p50": (50, "median"), "p99": (99, "99th percentile")}
WHOLE = 2**20
"""Planes of up to so many pixels are read whole; of larger ones a lattice of blocks."""
BLOCKS, SIDE = 4, 256
SPREAD = 0.25
"""Least tolerance, as a share of the spread of values within the training images."""


def sampled(
    read: Callable[[slice, slice], NDArray[Any]], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Values (c, n) of evenly spaced blocks of a plane, all of a small one.

    Parameters
    ----------
    read
        Gives a window (c, y, x).
    shape
        Height and width of the plane.
    """
    if shape[0] * shape[1] <= WHOLE:
        windows = [(slice(0, shape[0]), slice(0, shape[1]))]
    else:
        windows = list(product(*map(_lattice, shape)))
    blocks = [np.asarray(read(*window)) for window in windows]
    flat = [block.reshape(len(block), -1).astype(np.float64) for block in blocks]
    return np.concatenate(flat, axis=1)


def measured(values: NDArray[Any]) -> NDArray[np.float64]:
    """Mean, standard deviation and percentiles 1, 50 and 99 of each channel of (c, …), (c, 5)."""
    return np.array([_of_channel(channel) for channel in values])


def summary(
    rows: Sequence[NDArray[np.float64]], images: int, pixel_size: float | None
) -> dict[str, Any]:
    """What is kept of the training images; JSON-serialisable.

    Parameters
    ----------
    rows
        What `measured` gave for each.
    images
        How many there were.
    pixel_size
        µm per pixel.

    Returns
    -------
    dict
        ``images``, ``pixel_size`` and ``channels``: for each its ``mean`` and ``std`` over all
        images, and ``p1``, ``p50``, ``p99``: least and greatest of that percentile.
    """
    table = np.stack(rows)
    channels = []
    for own in table.transpose(1, 0, 2):
        mean = own[:, 0].mean()
        spread = np.sqrt((own[:, 1] ** 2).mean() + own[:, 0].var())
        ranges = {
            key: [float(column.min()), float(column.max())]
            for key, column in zip(PERCENTILES, own[:, 2:].T, strict=True)
        }
        channels.append({"mean": float(mean), "std": float(spread), **ranges})
    return {"channels": channels, "images": images, "pixel_size": pixel_size}


def out_of_range(statistics: Mapping[str, Any], image: Raster | NDArray[Any]) -> str | None:
    """Say how an image's values differ from those that a model was trained on.

    A percentile may lie outside the range of the training images by half of that range's width,
    or by a quarter of the span of their values, whichever is more.

    Parameters
    ----------
    statistics
        What `summary` gave; nothing is said of an empty one.
    image
        A raster, of which the middle plane is sampled, or values (c, …) as stored.

    Returns
    -------
    str or None
        One sentence on the percentile that is farthest off; None if all is well.

    Raises
    ------
    InputError
        If the number of channels is another.
    """
    channels = statistics.get("channels", [])
    if not channels:
        return None
    values = _values(image) if isinstance(image, Raster) else image
    if len(values) != len(channels):
        raise InputError(
            f"The image has {len(values)} channels, the model was trained on {len(channels)}; "
            "choose its channels first."
        )
    pairs = zip(channels, measured(values)[:, 2:], strict=True)
    found = [_farthest(number, known, own) for number, (known, own) in enumerate(pairs)]
    excess, sentence = max(found)
    return sentence if excess > 1 else None


def _farthest(number: int, known: Mapping[str, Any], own: NDArray[np.float64]) -> tuple[float, str]:
    """How many tolerances the worst percentile of a channel is off, and the sentence on it."""
    span = known["p99"][1] - known["p1"][0]
    found = []
    for (key, (_, name)), value in zip(PERCENTILES.items(), own.tolist(), strict=True):
        low, high = known[key]
        tolerance = max((high - low) / 2, SPREAD * span, 1e-12)
        excess = max(low - value, value - high) / tolerance
        if not np.isfinite(value):
            excess = np.inf
        past = f"{name}s of {low:.4g} … {high:.4g}" if high > low else f"a {name} of {low:.4g}"
        found.append(
            (
                excess,
                f"Channel {number} has a {name} of {value:.4g}; the model was trained on {past}.",
            )
        )
    return max(found)


def _values(raster: Raster) -> NDArray[np.float64]:
    middle = {axis: raster.sizes[axis] // 2 for axis in raster.axes if axis in "tz"}
    plane = raster.plane(**middle) if middle else raster
    count = plane.sizes.get("c", 1)
    kept = slice(0, min(count, 3) if raster.rgb else count)

    def read(y: slice, x: slice) -> NDArray[Any]:
        return plane.read((kept, y, x)) if "c" in plane.axes else plane.read((y, x))[None]

    return sampled(read, (plane.sizes["y"], plane.sizes["x"]))


def _of_channel(channel: NDArray[Any]) -> list[float]:
    values = channel.ravel().astype(np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return [np.nan] * (2 + len(PERCENTILES))
    percentiles = np.percentile(finite, [at for at, _ in PERCENTILES.values()])
    return [float(finite.mean()), float(finite.std()), *percentiles.tolist()]


def _lattice(length: int) -> list[slice]:
    starts = np.linspace(0, max(length - SIDE, 0), BLOCKS).astype(int).tolist()
    return [slice(start, min(start + SIDE, length)) for start in dict.fromkeys(starts)]
