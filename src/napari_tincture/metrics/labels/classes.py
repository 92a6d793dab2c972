"""Classes of pixels: Dice, intersection over union, accuracy, kappa."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from napari_tincture.metrics.labels.confusion import confusion
from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.overlap import Overlap
from napari_tincture.metrics.labels.stream import overlaps_of
from napari_tincture.metrics.metric import Undefined

Names = Mapping[int, str] | Sequence[str]
"""Of classes, by label or from 0 on."""


def class_figures(
    overlap: Overlap, names: Names | None = None, ignore: Collection[int] = ()
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
    named = as_names(names)
    table = confusion(overlap, set(named) - set(ignore), ignore)
    figures = Figures()
    for name in ("accuracy", "kappa", "mean_dice", "mean_iou", "frequency_weighted_iou"):
        figures.take(name, partial(getattr, table, name))
    for label, dice, iou in zip(table.classes, table.dice, table.iou, strict=True):
        for kind, value in (("dice", dice), ("iou", iou)):
            column = f"{kind}_{named.get(label, label)}"
            figures.take(column, partial(_present, float(value)))
    return figures


def as_names(names: Names | None) -> dict[int, str]:
    """Names by label."""
    return dict(names.items() if isinstance(names, Mapping) else enumerate(names or ()))


def _present(value: float) -> float:
    if value != value:
        raise Undefined("neither image has this class")
    return value


class Classes(LabelMetric):
    """Agreement of labels that are classes of pixels, 0 as well."""

    count = staticmethod(overlaps_of)

    def figures(self, table: Overlap) -> Figures:
        """Give `class_figures`."""
        return class_figures(table)


METRIC = Classes()
"""Of all classes of either image."""
