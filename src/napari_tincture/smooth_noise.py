"""Gaussians around knots: smooth random fields as products of two small matrices."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TAIL = 5
"""Knots beyond the edge: a Gaussian's tail in standard deviations."""


@lru_cache(16)
def gaussian_knots(size: int, sigma: float) -> NDArray[np.float32]:
    """What each knot contributes to each pixel along one axis.

    Parameters
    ----------
    size
        Pixels along the axis.
    sigma
        Standard deviation of the Gaussian in pixels; knots lie as far apart.

    Returns
    -------
    ndarray
        (size, knots) float32; read-only, for it is kept.
    """
    knots = np.arange(-TAIL, math.ceil((size - 1) / sigma) + TAIL + 1)
    distances = np.arange(size)[:, None] / sigma - knots
    kernel = np.exp(-0.5 * distances**2) / (sigma * math.sqrt(2 * math.pi))
    found = kernel.astype(np.float32)
    found.setflags(write=False)
    return found
