"""From a network's maps to numbered objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed

from napari_tincture.errors import InputError

ROLES = ("object", "border", "depth")
"""What maps can be of."""


def label_instances(
    outputs: ArrayLike,
    *,
    roles: Sequence[str] | None = None,
    threshold: float = 0.5,
    seed_threshold: float = 0.5,
    border_weight: float | None = None,
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
        lies between objects, too; each connected part is an object. Or (c, y, x) with `roles`.
    roles
        What each map is: "object", "border", "depth", or anything else for those that do not
        count. Without depth the probability of object is in its place; without border, too, each
        connected part is an object.
    threshold
        Pixels with a higher probability belong to objects.
    seed_threshold
        Seeds are the connected parts where depth, less `border_weight` times the border's
        probability, is above this. A `border_weight` of None is 0.5, and 1 without depth.
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
        If `outputs` has neither two nor three channels (c, y, x), or none that is of objects.
    """
    maps = _by_role(np.asarray(outputs, dtype=np.float32), roles)
    inside = maps["object"] > threshold
    if len(maps) == 1:
        return _renumber(label(inside, connectivity=1), min_size, max_size)
    depth, border = maps.get("depth"), maps.get("border")
    relief = maps["object"] if depth is None else depth
    if border is not None:
        weight = (0.5 if depth is not None else 1.0) if border_weight is None else border_weight
        relief = relief - weight * border
    if smooth > 0:
        relief = ndimage.gaussian_filter(relief, smooth, mode="nearest")
    seeds = label((relief > seed_threshold) & inside, connectivity=1)
    seeds = _seed_the_rest(seeds, inside)
    objects = watershed(-relief, seeds, mask=inside)
    return _renumber(objects, min_size, max_size)


def arguments_of(step: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of `label_instances` that a card's instance step holds.

    The size of the largest object is none: it is for those who segment in tiles.
    """
    return {key: value for key, value in (step or {}).items() if key != "largest"}


def _by_role(maps: NDArray[np.float32], roles: Sequence[str] | None) -> dict[str, Any]:
    """Maps (y, x) that count, by what they are."""
    if roles is None and maps.ndim == 3:
        roles = {2: ("object", "background"), 3: ROLES}.get(len(maps))
    if roles is None or maps.ndim != 3 or len(roles) != len(maps) or "object" not in roles:
        raise InputError(
            "Expected maps of object, border and depth, (3, y, x), or of object and background, "
            f"(2, y, x), or roles of all maps, 'object' among them; got shape {maps.shape} and "
            f"roles={roles!r}."
        )
    return {role: each for role, each in zip(roles, maps, strict=True) if role in ROLES}


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
