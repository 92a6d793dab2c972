"""Probabilities of membrane against expected cells: errors at several thresholds, as ISBI 2012."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.averages import Average, average
from napari_tincture.metrics.labels.overlap import measure
from napari_tincture.metrics.labels.partitions import foreground_rand
from napari_tincture.metrics.labels.simple_points import Mask
from napari_tincture.metrics.labels.thinned_rand import thinned
from napari_tincture.metrics.labels.topology import warping
from napari_tincture.metrics.labels.warping import parted
from napari_tincture.metrics.metric import Undefined

THRESHOLDS = tuple(step / 10 for step in range(10))
"""0.0 … 0.9, as in the challenge."""
_Floats = npt.NDArray[np.float64]


class MembraneScore(NamedTuple):
    """An error at a threshold.

    Attributes
    ----------
    threshold
        Pixels with a higher probability are membrane.
    error
        Mean and standard deviation over slices.
    """

    threshold: float
    error: Average


@dataclass(frozen=True, eq=False)
class MembraneScores:
    """Errors by threshold and slice.

    Attributes
    ----------
    thresholds : tuple of float
        Pixels with a higher probability are membrane.
    errors : mapping of str to float64 (thresholds, slices)
        ``pixel_error``, ``rand_error``, ``thinned_rand_error``, ``warping_error`` and
        ``split_merge_error``; NaN for a slice that has none.
    """

    thresholds: tuple[float, ...]
    errors: Mapping[str, _Floats]

    def at(self, name: str, threshold: float) -> MembraneScore:
        """An error at one of the thresholds, such as one fixed on other images.

        Raises
        ------
        InputError
            If there is no such error or threshold; the message lists those there are.
        """
        rows = self._rows(name)
        for known, row in zip(self.thresholds, rows, strict=True):
            if math.isclose(known, threshold, abs_tol=1e-9):
                return MembraneScore(known, average(row.tolist()))
        known_ones = ", ".join(f"{t:g}" for t in self.thresholds)
        raise InputError(f"No errors at threshold {threshold}; there are those at {known_ones}.")

    def best(self, name: str) -> MembraneScore:
        """The least mean error, at the lowest of equal thresholds.

        Raises
        ------
        InputError
            If there is no such error.
        Undefined
            If no slice has it.
        """
        scores = [
            MembraneScore(threshold, average(row.tolist()))
            for threshold, row in zip(self.thresholds, self._rows(name), strict=True)
        ]
        some = [score for score in scores if score.error.images]
        if not some:
            raise Undefined(f"no slice has a {name}")
        return min(some, key=lambda score: score.error.mean)

    def _rows(self, name: str) -> _Floats:
        if name not in self.errors:
            raise InputError(f"Unknown error {name!r}; known are {', '.join(self.errors)}.")
        return self.errors[name]


def membrane_scores(
    probability: npt.ArrayLike,
    expected: npt.ArrayLike,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    allowed: npt.ArrayLike | None = None,
) -> MembraneScores:
    """Judge probabilities of membrane at several thresholds.

    Cells are what hangs together without membrane, by four neighbours. ``pixel_error`` is the
    share of wrong pixels; ``rand_error`` 1 less the foreground-restricted Rand F-score, of cells
    as they are, and ``thinned_rand_error`` with membranes thinned away (see `foreground_rand`,
    `thinned`); ``warping_error`` and ``split_merge_error`` all that no deformation explains, and
    what of it parts or joins cells (see `warping`).

    Parameters
    ----------
    probability : float, (y, x) or (slices, y, x)
        Of membrane, 0 … 1. The challenge's own files hold that of cells, 1 less this.
    expected : integers or bool, of the same shape
        0 or False is membrane, anything else is cell; labels of objects are parted where they
        touch, by a line one pixel wide.
    thresholds
        Pixels with a higher probability are membrane.
    allowed : bool, of the same shape, optional
        Where expected cells may be deformed for the warping errors. None: everywhere.

    Raises
    ------
    InputError
        If shapes differ, probabilities are none, or there are no thresholds.
    """
    chances, labels, free = _slices(probability, expected, allowed)
    levels = tuple(float(threshold) for threshold in thresholds)
    if not levels:
        raise InputError("Got no thresholds; give one or more, between 0 and 1.")
    wanted = [parted(plane) for plane in labels]
    rows = [
        [
            _errors(~(chance > level), cells, mask)
            for chance, cells, mask in zip(chances, wanted, free, strict=True)
        ]
        for level in levels
    ]
    table = np.array(rows, np.float64)
    return MembraneScores(levels, {name: table[..., k] for k, name in enumerate(_NAMES)})


_NAMES = "pixel_error", "rand_error", "thinned_rand_error", "warping_error", "split_merge_error"


def _errors(found: Mask, expected: Mask, allowed: Mask | None) -> tuple[float, ...]:
    """In the order of `_NAMES`."""
    cells, wanted = _cells(found), _cells(expected)
    rand = [_rand(labels, wanted) for labels in (cells, thinned(cells))]
    left = warping(found, expected, allowed)
    return float((found != expected).mean()), *rand, left.error, left.split + left.merge


def _rand(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    try:
        return foreground_rand(measure(found, expected)[0]).error
    except Undefined:
        return math.nan


def _cells(mask: Mask) -> npt.NDArray[np.int32]:
    from scipy.ndimage import label

    cells: npt.NDArray[np.int32] = label(mask)[0]
    return cells


def _slices(
    probability: npt.ArrayLike, expected: npt.ArrayLike, allowed: npt.ArrayLike | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Sequence[Mask | None]]:
    """All three as stacks (slices, y, x)."""
    chances, labels = np.asarray(probability), np.asarray(expected)
    masks = None if allowed is None else np.asarray(allowed) != 0
    shapes = {side.shape for side in (chances, labels, masks) if side is not None}
    if len(shapes) > 1 or chances.ndim not in (2, 3) or not chances.size:
        raise InputError(
            f"Membranes of shape {chances.shape}, expected cells of {labels.shape}"
            f"{'' if masks is None else f', mask of {masks.shape}'}: give equal shapes, (y, x) or "
            "(slices, y, x), with pixels."
        )
    if not (np.isfinite(chances).all() and chances.min() >= 0 and chances.max() <= 1):
        raise InputError(
            f"Probabilities of membrane go from {chances.min():g} to {chances.max():g}; expected "
            "0 … 1. Divide 8-bit maps by 255."
        )
    shape = (-1, *chances.shape[-2:])
    free = [None] * len(chances.reshape(shape)) if masks is None else list(masks.reshape(shape))
    return chances.reshape(shape), labels.reshape(shape), free
