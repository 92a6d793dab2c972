"""How many objects were found in several images: means that a recipe selects models by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_tincture.metrics.labels.matches import THRESHOLDS, match
from napari_tincture.metrics.labels.overlap import measure

Labels = NDArray[np.int32]


def mean_f1(pairs: list[tuple[Labels, Labels]]) -> dict[str, float]:
    """Mean over images of F1 at IoU 0.5 (``f1_50``) and over 0.5 … 0.95 (``f1``).

    `pairs` holds found and true labels (y, x), 0 is background. The same figures as ``ap_50``
    and ``ap`` with TP / (TP + FP + FN) in the place of F1 (Caicedo et al., Nature Methods 2019).
    Nothing found where nothing is counts as 1.
    """
    scores = np.array([_scores(*pair) for pair in pairs])
    f1, precision = scores[..., 0], scores[..., 1]
    return {
        "f1_50": float(f1[:, 0].mean()),
        "f1": float(f1.mean()),
        "ap_50": float(precision[:, 0].mean()),
        "ap": float(precision.mean()),
    }


def _scores(found: Labels, truth: Labels) -> list[tuple[float, float]]:
    (overlap,) = measure(found, truth)
    if not (len(overlap.found_objects.ids) or len(overlap.expected_objects.ids)):
        return [(1.0, 1.0)] * len(THRESHOLDS)
    several = [match(overlap, threshold) for threshold in THRESHOLDS]
    return [(matches.f1, matches.average_precision) for matches in several]
