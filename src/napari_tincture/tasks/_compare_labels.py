"""Comparing label images: objects, classes, boundaries, and stained cells."""

from __future__ import annotations

from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.labels.registry import find_label_metric
from napari_tincture.progress import share
from napari_tincture.raster import Raster
from napari_tincture.tasks._boxes import regions_of
from napari_tincture.tasks._compared import Compared
from napari_tincture.tasks._label_sheet import LabelSheet
from napari_tincture.tasks._notes import Notes
from napari_tincture.tasks.comparison import Comparison

METRICS = ("objects",)


def compare_labels(what: Compared, cells: Any) -> Comparison:
    """Compare labels (…, y, x); `cells` as `compare` takes it."""
    chosen = [find_label_metric(name) for name in dict.fromkeys(what.metrics or METRICS)]
    notes = Notes(what.pairs.notes)
    sheet = LabelSheet(chosen, None if cells is None else _cells(cells), notes)
    if what.regions is not None:
        notes.say("Objects are cut where their region ends, and count in each that they lie in.")
    for one in what.passes():
        for number, (name, image) in enumerate(what.named.items()):
            own = image.plane(**{a: i for a, i in one.place.items() if a in image.axes})
            report = share(one.report, number, len(what.images))
            sheet.add(name, own, one, report, what.cancel)
    return Comparison(
        sheet.table, what.settings, tuple(notes), {}, sheet.better,
        regions=regions_of(what.boxes), places=what.boxes, undefined=sheet.undefined,
        images=what.named, reference=what.reference,
    )  # fmt: skip


def _cells(cells: Any) -> Raster:
    opened = open_image(cells)
    if opened.dtype.kind not in "iu" or "c" in opened.axes:
        raise InputError(
            f"cells={opened.name!r} is of type {opened.dtype} with axes {opened.axes!r}; give "
            "labels of all cells without an axis of channels."
        )
    return opened
