"""Levels of a pyramid: their shapes, and each made of the one below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[Any]


def level_shapes(shape: Sequence[int], smallest: int) -> list[tuple[int, ...]]:
    """Give the shapes of the levels; y and x are halved (rounded up) down to `smallest` pixels."""
    shapes = [tuple(shape)]
    while max(shapes[-1][-2:]) > smallest:
        *rest, y, x = shapes[-1]
        shapes.append((*rest, math.ceil(y / 2), math.ceil(x / 2)))
    return shapes


def downsample(block: Block, kind: Literal["image", "labels"]) -> Block:
    """Halve y and x: the mean of 2 × 2 pixels of an image, the upper left one of labels.

    Parameters
    ----------
    block : ndarray, (..., y, x)
        Odd sides are extended by their last row or column. Integer means are rounded to the
        nearest, halves up.
    kind : {"image", "labels"}

    Returns
    -------
    ndarray, (..., ceil(y / 2), ceil(x / 2))
        Of the same dtype.
    """
    if kind == "labels":
        return np.ascontiguousarray(block[..., ::2, ::2])
    odd = [(0, 0)] * (block.ndim - 2) + [(0, n % 2) for n in block.shape[-2:]]
    if any(after for _, after in odd):
        block = np.pad(block, odd, mode="edge")
    quarters = [block[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    return _mean(quarters).astype(block.dtype, copy=False)


def _mean(parts: Sequence[Block]) -> Block:
    """Average four arrays without overflow."""
    dtype = parts[0].dtype
    if dtype.kind == "f":
        total = np.zeros(parts[0].shape, np.result_type(dtype, np.float32))
        for part in parts:
            total += part * total.dtype.type(0.25)
        return total
    if dtype.itemsize == 8:
        # Quotients and remainders by four are summed apart: four values may not fit in 64 bits.
        quotient, rest = np.zeros_like(parts[0]), np.full_like(parts[0], 2)
        for part in parts:
            quotient += part >> 2
            rest += part & 3
        return np.asarray(quotient + (rest >> 2))
    kind = "i" if dtype.kind == "i" else "u"
    total = np.full(parts[0].shape, 2, f"{kind}{2 * dtype.itemsize}")
    for part in parts:
        total += part
    return np.asarray(total >> 2)
