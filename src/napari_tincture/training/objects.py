"""How many objects were found: F1 at intersection-over-union thresholds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Intersections over union, 0.5 … 0.95, as in the Data Science Bowl 2018."""

Labels = NDArray[np.int32]


def iou_matrix(found: Labels, truth: Labels) -> NDArray[np.float64]:
    """Intersection over union of every found (rows) with every true object (columns)."""
    a, b = _consecutive(found), _consecutive(truth)
    rows, columns = int(a.max(initial=0)) + 1, int(b.max(initial=0)) + 1
    counts = np.bincount(a.ravel() * columns + b.ravel(), minlength=rows * columns)
    overlap = counts.reshape(rows, columns).astype(np.float64)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    matrix: NDArray[np.float64] = overlap[1:, 1:] / np.maximum(union[1:, 1:], 1)
    return matrix


def mean_f1(pairs: list[tuple[Labels, Labels]]) -> dict[str, float]:
    """Mean over images of F1 at IoU 0.5 (``f1_50``) and over 0.5 … 0.95 (``f1``).

    `pairs` holds found and true labels (y, x), 0 is background. The same figures as ``ap_50``
    and ``ap`` with TP / (TP + FP + FN) in the place of F1 (Caicedo et al., Nature Methods 2019).
    """
    scores = np.array([[_score(iou_matrix(*pair), t) for t in THRESHOLDS] for pair in pairs])
    f1, precision = scores[..., 0], scores[..., 1]
    return {
        "f1_50": float(f1[:, 0].mean()),
        "f1": float(f1.mean()),
        "ap_50": float(precision[:, 0].mean()),
        "ap": float(precision.mean()),
    }


def _score(ious: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    # At IoU > 0.5 an object has one partner at most; at exactly 0.5 there could be two.
    hits = ious >= threshold if threshold > 0.5 else ious > 0.5
    true_positive = int(hits.sum())
    wrong = sum(ious.shape) - 2 * true_positive
    if true_positive + wrong == 0:
        return 1.0, 1.0
    return (
        2 * true_positive / (2 * true_positive + wrong),
        true_positive / (true_positive + wrong),
    )


def _consecutive(labels: Labels) -> NDArray[np.int64]:
    values, flat = np.unique(labels, return_inverse=True)
    flat = flat.reshape(labels.shape).astype(np.int64)
    return flat if values[0] == 0 else flat + 1
