"""Rows of figures of two label images, by name, for a table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from napari_tincture.metrics.boundaries import Boundaries
from napari_tincture.metrics.classes import confusion
from napari_tincture.metrics.counts import object_counts
from napari_tincture.metrics.matches import THRESHOLDS, Matches, aggregated_jaccard, match
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.overlap import Overlap
from napari_tincture.metrics.partitions import (
    Information,
    Rand,
    adapted_rand,
    variation_of_information,
)


class Figures(dict[str, float | None]):
    """Figures by name, in the order of a table; None for one that the images do not have.

    Attributes
    ----------
    undefined : dict of str to str
        Why, by the names of those that are None.
    """

    def __init__(self) -> None:
        self.undefined: dict[str, str] = {}

    def take(self, name: str, figure: Callable[[], float]) -> None:
        """Add a figure, or why there is none."""
        try:
            self[name] = figure()
        except Undefined as error:
            self[name], self.undefined[name] = None, str(error)

    def take_parts(self, name: str, parts: Sequence[str], figure: Callable[[], object]) -> None:
        """Add all that one call gives, or why it gives nothing."""
        try:
            found = figure()
        except Undefined as error:
            self.update(dict.fromkeys(whole := [f"{name}_{part}" for part in parts]))
            self.undefined.update(dict.fromkeys(whole, str(error)))
        else:
            self.update({f"{name}_{part}": getattr(found, part) for part in parts})


def instance_figures(overlap: Overlap, thresholds: Sequence[float] = (0.5, 0.75)) -> Figures:
    """Figures of objects.

    Parameters
    ----------
    overlap
        Of labels of objects, 0 is background.
    thresholds
        Least intersections over union of objects that match; see `match`.

    Returns
    -------
    Figures
        ``found``, ``expected`` and ``count_difference``; for each threshold (0.5 is ``_50``)
        ``precision_50``, ``recall_50``, ``f1_50``, ``ap_50`` and ``matched_iou_50``; ``ap``, mean
        over thresholds 0.5 … 0.95; ``pq``, ``sq`` and ``rq``, panoptic, segmentation and
        recognition quality; ``aji``, aggregated Jaccard index; ``rand_error``, ``rand_split`` and
        ``rand_merge``; ``voi_split`` and ``voi_merge`` in bits.

    Raises
    ------
    InputError
        If a threshold is none.
    """
    figures, number = Figures(), object_counts(overlap)
    figures.update(found=number.found, expected=number.expected, count_difference=number.difference)
    for threshold in thresholds:
        _add_matches(figures, match(overlap, threshold), f"{100 * threshold:g}")
    figures.take("ap", lambda: mean_average_precision(overlap))
    half = match(overlap)
    figures.take("pq", lambda: half.panoptic_quality)
    figures.take("sq", lambda: half.mean_iou)
    figures.take("rq", lambda: half.f1)
    figures.take("aji", lambda: aggregated_jaccard(overlap))
    figures.take_parts("rand", Rand._fields, lambda: adapted_rand(overlap))
    figures.take_parts("voi", Information._fields, lambda: variation_of_information(overlap))
    return figures


def mean_average_precision(overlap: Overlap) -> float:
    """Mean of the average precision over IoU 0.5 … 0.95 (Caicedo et al., Nat Methods 2019).

    Raises
    ------
    Undefined
        If neither image has objects.
    """
    return sum(match(overlap, t).average_precision for t in THRESHOLDS) / len(THRESHOLDS)


def class_figures(
    overlap: Overlap,
    names: Mapping[int, str] | Sequence[str] | None = None,
    ignore: Collection[int] = (),
) -> Figures:
    """Figures of class maps.

    Parameters
    ----------
    overlap
        Of two class maps: their labels are classes, 0 as well.
    names
        Of classes, by label or from 0 on; others are named by their label. Named classes have
        columns even where neither image has them.
    ignore
        Classes of the reference whose pixels do not count.

    Returns
    -------
    Figures
        ``accuracy``, ``kappa``, ``mean_dice``, ``mean_iou`` and ``frequency_weighted_iou``; for
        each class ``dice_<name>`` and ``iou_<name>``.

    Raises
    ------
    InputError
        If there are more than 1000 classes.
    """
    named = _named(names)
    table = confusion(overlap, set(named) - set(ignore), ignore)
    figures = Figures()
    for name in ("accuracy", "kappa", "mean_dice", "mean_iou", "frequency_weighted_iou"):
        figures.take(name, partial(getattr, table, name))
    for label, dice, iou in zip(table.classes, table.dice, table.iou, strict=True):
        for kind, value in (("dice", dice), ("iou", iou)):
            column = f"{kind}_{named.get(label, label)}"
            figures.take(column, partial(_present, float(value)))
    return figures


def boundary_figures(
    boundaries: Boundaries, names: Mapping[int, str] | Sequence[str] | None = None
) -> Figures:
    """Figures of the boundaries between classes.

    Parameters
    ----------
    boundaries
        Of two class maps.
    names
        As of `class_figures`.

    Returns
    -------
    Figures
        ``mean_boundary_f1``, over the classes that have a boundary in either image; for each class
        ``boundary_f1_<name>``.
    """
    named, figures = _named(names), Figures()
    figures.take("mean_boundary_f1", boundaries.mean_f1)
    for label in sorted({*boundaries.counts, *named}):
        column = f"boundary_f1_{named.get(label, label)}"
        figures.take(column, partial(boundaries.f1, label))
    return figures


def _named(names: Mapping[int, str] | Sequence[str] | None) -> dict[int, str]:
    return dict(names.items() if isinstance(names, Mapping) else enumerate(names or ()))


def _add_matches(figures: Figures, matches: Matches, suffix: str) -> None:
    figures.take(f"precision_{suffix}", lambda: matches.precision)
    figures.take(f"recall_{suffix}", lambda: matches.recall)
    figures.take(f"f1_{suffix}", lambda: matches.f1)
    figures.take(f"ap_{suffix}", lambda: matches.average_precision)
    figures.take(f"matched_iou_{suffix}", lambda: matches.mean_iou)


def _present(value: float) -> float:
    if value != value:
        raise Undefined("neither image has this class")
    return value
