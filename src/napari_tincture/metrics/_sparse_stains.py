"""Two stains by sparse non-negative factorisation: Vahadane et al. (2016)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
SPARSENESS = 0.02
"""λ: weight of the sum of amounts beside half the squared error of natural densities.

0.1, as is often taken, draws the vectors of clean mixtures a degree nearer to each other; without
any, noise spreads them by several.
"""
ROUNDS = 500
CHANGE = 1e-7
"""Of any part of a vector in one round, below which it is done."""


def sparse_stains(
    densities: FloatArray, start: FloatArray, sparseness: float = SPARSENESS
) -> FloatArray:
    """Minimise ½ |V - WH|² + λ Σ H over W, H ≥ 0 with columns of W of length 1.

    Amounts are found exactly for given vectors, then the vectors one after the other for given
    amounts (Mairal et al. 2010, Online learning for matrix factorization and sparse coding,
    algorithm 2), in turns until nothing changes.

    Parameters
    ----------
    densities : (3, n)
        log₁₀ of white / value.
    start : (2, 3)
        Vectors to begin with.
    sparseness
        λ.

    Returns
    -------
    (2, 3)
    """
    v = densities * np.log(10)
    w = np.maximum(start, 0).T
    w /= np.linalg.norm(w, axis=0)
    for _ in range(ROUNDS):
        before = w.copy()
        h = amounts(v, w, sparseness)
        products, targets = h @ h.T, v @ h.T
        for j in range(2):
            if products[j, j] > 0:
                w[:, j] += (targets[:, j] - w @ products[:, j]) / products[j, j]
                np.maximum(w[:, j], 0, out=w[:, j])
                w[:, j] /= np.linalg.norm(w[:, j])
        if np.abs(w - before).max() < CHANGE:
            break
    return w.T


def amounts(v: FloatArray, w: FloatArray, sparseness: float) -> FloatArray:
    """The H (2, n) ≥ 0 with the least ½ |V - WH|² + λ Σ H, for V (3, n) and unit W (3, 2)."""
    b = w.T @ v - sparseness
    c = float(w[:, 0] @ w[:, 1])
    both = np.stack([b[0] - c * b[1], b[1] - c * b[0]]) / max(1 - c * c, 1e-12)
    # Where one would be negative, one stain alone is best: that which is nearer.
    single = np.where((b[0] >= b[1]) == np.array([[True], [False]]), np.maximum(b, 0), 0)
    return np.where((both >= 0).all(axis=0), both, single)
