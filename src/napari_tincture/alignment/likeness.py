"""How alike patches are, before and after."""

from __future__ import annotations

import numpy as np

from napari_tincture.alignment.gray import FloatPlane
from napari_tincture.alignment.misalignment import Likeness
from napari_tincture.alignment.patches import Look
from napari_tincture.regrid import FloatArray

MOST = 16
"""Patches that are compared."""


def likeness(
    look: Look, places: FloatArray, matrix: FloatArray
) -> tuple[Likeness | None, Likeness | None]:
    """Compare patches as the images lie, and where a map takes them.

    Only patches that can be read both ways count; None, None if there are none.
    """
    rows = []
    every = np.unique(np.linspace(0, len(places) - 1, min(MOST, len(places))).astype(int))
    for place in places[every]:
        reference = look.patch(place, 0)
        here, there = (look.window(place, guess, 0) for guess in (np.eye(3), matrix))
        if reference is None or here is None or there is None:
            continue
        rows.append((reference, here, there))
    if not rows:
        return None, None
    span = max(float(r.max()) for r, _, _ in rows) - min(float(r.min()) for r, _, _ in rows)
    before = [_alike(reference, image, span) for reference, image, _ in rows]
    after = [_alike(reference, image, span) for reference, _, image in rows]
    return _mean(before), _mean(after)


def _mean(values: list[Likeness]) -> Likeness:
    pearson, ssim = np.mean(values, axis=0)
    return Likeness(float(pearson), float(ssim))


def _alike(reference: FloatPlane, image: FloatPlane, span: float) -> Likeness:
    from skimage.metrics import structural_similarity

    a, b = reference.astype(np.float64), image.astype(np.float64)
    spread = a.std() * b.std()
    pearson = ((a - a.mean()) * (b - b.mean())).mean() / spread if spread > 0 else 0.0
    ssim = structural_similarity(a, b, data_range=span) if span > 0 else 1.0
    return Likeness(float(pearson), float(ssim))
