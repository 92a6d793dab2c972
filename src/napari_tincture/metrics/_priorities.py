"""Random samples that do not depend on the order or the parts in which a whole is gone through."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def priorities(indices: npt.NDArray[Any], seed: int) -> npt.NDArray[np.uint64]:
    """Random numbers, one per index, by SplitMix64 (Steele, Lea, Flood 2014).

    The n elements with the smallest ones are a uniform sample of n without replacement.

    Parameters
    ----------
    indices
        Not negative integers.
    seed
        Another one gives another sample.
    """
    start = np.random.default_rng(seed).integers(2**64, dtype=np.uint64)
    z: npt.NDArray[np.uint64] = start + (indices.astype(np.uint64) + np.uint64(1)) * _STEP
    for shift, factor in zip((30, 27), _FACTORS, strict=True):
        z = (z ^ (z >> np.uint64(shift))) * factor
    return z ^ (z >> np.uint64(31))


def smallest(keys: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.intp]:
    """Where the smallest `count` of the keys are, sorted by key."""
    if len(keys) > count:
        chosen = np.argpartition(keys, count - 1)[:count] if count else np.zeros(0, np.intp)
    else:
        chosen = np.arange(len(keys))
    order: npt.NDArray[np.intp] = chosen[np.argsort(keys[chosen], kind="stable")]
    return order
