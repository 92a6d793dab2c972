"""SSIM by torch, where numba is not: a few rows at once, which stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from napari_tincture.metrics.windows import Window

ROWS = 64
"""Rows that are gone through at once."""
_Reduce = Callable[[torch.Tensor], torch.Tensor]


def strips(
    image: npt.NDArray[np.generic],
    reference: npt.NDArray[np.generic],
    window: Window,
    c1: float,
    c2: float,
    parts: int,
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Similarity by torch, a few rows at once; first row and (parts, rows, x)."""
    edge = 2 * window.radius
    height = image.shape[0] - edge
    for top in range(0, height, ROWS):
        rows = slice(top, min(top + ROWS, height) + edge)
        yield top, _by_torch(image[rows], reference[rows], window, c1, c2, parts)


def _by_torch(
    image: npt.NDArray[np.generic],
    reference: npt.NDArray[np.generic],
    window: Window,
    c1: float,
    c2: float,
    parts: int,
) -> npt.NDArray[np.float64]:
    # Sums of 49 products of bytes fit into 32 bits, which are added twice as fast.
    small = window.kind == "uniform" and image.dtype == reference.dtype == np.uint8
    dtype = np.int32 if small else np.float64
    a, b = (torch.from_numpy(v.astype(dtype)) for v in (image, reference))
    found = batch_similarity(a[None], b[None], window, c1, c2, parts)
    result: npt.NDArray[np.float64] = found[:, 0].numpy()
    return result


def batch_similarity(
    a: torch.Tensor, b: torch.Tensor, window: Window, c1: float, c2: float, parts: int = 1
) -> torch.Tensor:
    """As `similarity`, of batches (b, y, x) on any device; in their type, of int32 in float64."""
    reduce = _box if window.kind == "uniform" else _gaussian(window.weights)
    # Sums over 49 pixels, not means: differences of equal sums are then exactly zero.
    n = 49.0 if window.kind == "uniform" else 1.0
    k1, k2 = c1 * n * n, c2 * n * n / window.correction
    stack = a.new_empty((5, *a.shape))
    stack[0], stack[1] = a, b
    for product, one, other in zip(stack[2:], (a, b, a), (a, b, b), strict=True):
        torch.mul(one, other, out=product)
    sums = reduce(stack)
    sa, sb, va, vb, vab = sums if sums.is_floating_point() else sums.double()
    # In place: memory that is fetched anew each time costs more than the sums.
    both, saa, sbb = sa * sb, sa.square_(), sb.square_()
    for spread, product in ((va, saa), (vb, sbb), (vab, both)):
        spread.mul_(n).sub_(product)
    light = both.mul_(2).add_(k1).div_(saa.add_(sbb).add_(k1))
    out: torch.Tensor = light.new_empty((parts, *light.shape))
    torch.div((2 * vab).add_(k2), (va + vb).add_(k2), out=out[0])
    out[0].mul_(light)
    if parts == 1:
        return out
    out[1] = light
    spread = (va.clamp_(min=0) * vb.clamp_(min=0)).sqrt_()
    torch.div((2 * spread).add_(k2), va.add_(vb).add_(k2), out=out[2])
    # Rounding apart no covariance is larger than the product of the deviations; so the structure of
    # equal images is exactly 1 where they are constant, too.
    vab = torch.maximum(torch.minimum(vab, spread), -spread)
    torch.div(vab.add_(k2 / 2), spread.add_(k2 / 2), out=out[3])
    return out


def _box(x: torch.Tensor) -> torch.Tensor:
    for axis in (-1, -2):
        n = x.shape[axis]
        two = x.narrow(axis, 0, n - 1) + x.narrow(axis, 1, n - 1)
        four = two.narrow(axis, 0, n - 3) + two.narrow(axis, 2, n - 3)
        x = four.narrow(axis, 0, n - 6) + two.narrow(axis, 4, n - 6) + x.narrow(axis, 6, n - 6)
    return x


def _gaussian(weights: npt.NDArray[np.float64]) -> _Reduce:
    def reduce(x: torch.Tensor) -> torch.Tensor:
        for axis in (-1, -2):
            n = x.shape[axis] - len(weights) + 1
            total = weights[0] * x.narrow(axis, 0, n)
            for i in range(1, len(weights)):
                total.add_(x.narrow(axis, i, n), alpha=float(weights[i]))
            x = total
        return x

    return reduce
