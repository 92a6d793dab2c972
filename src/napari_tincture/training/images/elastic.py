"""Smooth random displacements of a crop's pixels, as products of two small matrices.

Both kinds are sums over knots of a random vector times a kernel along y and one along x. So a
field is (rows × knots) · (knots × columns), which takes a fraction of a convolution's time.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_tincture.smooth_noise import gaussian_knots


def grid_bend(
    size: int, knots: int, spread: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Random vectors on a coarse grid, with bicubic interpolation between them.

    Ronneberger et al. 2015, section 3.1, have 3 knots along each axis and a spread of 10 px.

    Parameters
    ----------
    size
        Side of the crop in pixels.
    knots
        Along each axis; the first and the last lie on the crop's outermost pixels.
    spread
        Standard deviation of both components in pixels.

    Returns
    -------
    rows (size, knots), columns (knots, size, 2)
        float32; their product over the knots is the displacement (y, x, 2), x then y, in pixels.
    """
    vectors = torch.tensor(rng.normal(size=(1, 2, knots, knots)) * spread).float()[0]
    return _factors(vectors, _bicubic(size, knots))


def gaussian_bend(
    size: int, alpha: float, sigma: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """α times random numbers in −1 … 1 on every pixel, smoothed by a Gaussian.

    Simard, Steinkraus and Platt, ICDAR 2003, section 2. The field goes on beyond the crop, so
    that its edges move as much as its middle: by a standard deviation of α / (√12 · √π · σ) px.
    For σ of some pixels the sum over so many numbers is normal; the same is drawn with knots σ
    apart, whose covariance is that of the smoothed numbers within 2.1e-4 of the variance.

    Parameters
    ----------
    size
        Side of the crop in pixels.
    alpha
        Factor α in pixels.
    sigma
        Standard deviation σ of the Gaussian in pixels, at least 1.

    Returns
    -------
    rows (size, knots), columns (knots, size, 2)
        As `grid_bend` gives them.
    """
    kernel = torch.tensor(gaussian_knots(size, sigma))
    knots = kernel.shape[1]
    # A knot stands for σ² numbers of variance 1/3.
    spread = alpha * sigma / math.sqrt(3)
    vectors = torch.from_numpy(rng.standard_normal((2, knots, knots), np.float32)) * spread
    return _factors(vectors, kernel)


def _factors(vectors: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    return kernel, (vectors @ kernel.T).permute(1, 2, 0)


@lru_cache(16)
def _bicubic(size: int, knots: int) -> Tensor:
    """(size, knots): what each knot contributes to each pixel."""
    return functional.interpolate(
        torch.eye(knots)[None, None], size=(size, knots), mode="bicubic", align_corners=True
    )[0, 0]
