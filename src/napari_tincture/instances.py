"""From a network's maps to numbered objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed

from napari_tincture.errors import InputError


def label_instances(
    outputs: ArrayLike,
    *,
    threshold: float = 0.5,
    seed_threshold: float = 0.5,
    border_weight: float = 0.5,
    smooth: float = 1.0,
    min_size: int = 20,
    max_size: int | None = None,
) -> NDArray[np.int32]:
    """Separate touching objects by a watershed from one seed per object.

    Every decision looks at an object and what touches it only: a window that holds an object
    and its neighbours whole gives the same object as the whole image.

    Parameters
    ----------
    outputs
        (3, y, x) in [0, 1]: probability of object, of border between objects, and depth in the
        object (0 at its edge, 1 at its centre). Or (2, y, x): of object, and of background, which
        lies between objects, too; each connected part is an object.
    threshold
        Pixels with a higher probability belong to objects.
    seed_threshold
        Seeds are the connected parts where depth, less `border_weight` times the border's
        probability, is above this.
    smooth
        Standard deviation in pixels of the Gaussian over the depth, before seeds are taken.
    min_size, max_size
        Smaller and larger objects, in pixels, are dropped. Objects without a seed are kept whole.

    Returns
    -------
    ndarray
        (y, x) int32, 0 is background, objects numbered from 1 without gaps in scan order.

    Raises
    ------
    InputError
        If `outputs` has neither two nor three channels (c, y, x).
    """
    maps = np.asarray(outputs, dtype=np.float32)
    if maps.ndim != 3 or maps.shape[0] not in (2, 3):
        raise InputError(
            "Expected maps of object, border and depth, (3, y, x), or of object and background, "
            f"(2, y, x), got shape {maps.shape}."
        )
    inside = maps[0] > threshold
    if len(maps) == 2:
        return _renumber(label(inside, connectivity=1), min_size, max_size)
    relief = maps[2] - border_weight * maps[1]
    if smooth > 0:
        relief = ndimage.gaussian_filter(relief, smooth, mode="nearest")
    seeds = label((relief > seed_threshold) & inside, connectivity=1)
    seeds = _seed_the_rest(seeds, inside)
    objects = watershed(-relief, seeds, mask=inside)
    return _renumber(objects, min_size, max_size)


def _seed_the_rest(seeds: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    parts = label(inside, connectivity=1)
    seeded = np.zeros(int(parts.max(initial=0)) + 1, bool)
    seeded[parts[seeds > 0]] = True
    lonely = inside & ~seeded[parts]
    result: NDArray[np.int64] = np.where(lonely, parts + int(seeds.max(initial=0)), seeds)
    return result


def _renumber(objects: NDArray[np.int32], min_size: int, max_size: int | None) -> NDArray[np.int32]:
    sizes = np.bincount(objects.ravel())
    sizes[0] = 0
    kept = sizes >= max(min_size, 1)
    if max_size is not None:
        kept &= sizes <= max_size
    # Numbers by first pixel in scan order, so that they do not depend on the watershed's.
    numbers, first = np.unique(objects, return_index=True)
    order = [n for _, n in sorted(zip(first, numbers, strict=True)) if n and kept[n]]
    table = np.zeros(len(sizes), np.int32)
    table[order] = np.arange(1, len(order) + 1, dtype=np.int32)
    result: NDArray[np.int32] = table[objects]
    return result
