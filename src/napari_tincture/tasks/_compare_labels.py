"""Comparing label images: objects, classes, boundaries, and stained cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.labels.registry import find_label_metric
from napari_tincture.progress import CancelToken, Progress, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._areas import areas_of
from napari_tincture.tasks._label_sheet import LabelSheet
from napari_tincture.tasks._notes import Notes
from napari_tincture.tasks._pairs import Pairs, planes_of
from napari_tincture.tasks.comparison import Comparison

METRICS = ("objects",)


def compare_labels(
    pairs: Pairs,
    images: Sequence[Raster],
    reference: Raster,
    metrics: Sequence[str] | None,
    cells: Any,
    mask: Any,
    regions: Any,
    settings: dict[str, Any],
    progress: Progress,
    cancel: CancelToken,
) -> Comparison:
    """Compare what `compare` has opened and checked; label images (…, y, x)."""
    chosen = [find_label_metric(name) for name in dict.fromkeys(metrics or METRICS)]
    notes = Notes(pairs.notes)
    sheet = LabelSheet(chosen, None if cells is None else _cells(cells), notes)
    passes = [
        (place, plane, areas)
        for place, plane in planes_of(reference)
        for areas in areas_of(plane, regions, mask) or (None,)
    ]
    if regions is not None:
        notes.say("Objects are cut where their region ends, and count in each that they lie in.")
    total = len(passes) * len(images)
    for number, (place, plane, areas) in enumerate(passes):
        for which, (name, image) in enumerate(zip(pairs.names, images, strict=True)):
            part = share(progress, number * len(images) + which, total)
            own = image.plane(**{a: i for a, i in place.items() if a in image.axes})
            sheet.add(name, own, plane, place, areas, part, cancel)
    named = dict(zip(pairs.names, images, strict=True))
    return Comparison(
        sheet.table, settings | {"grid": pairs.how}, tuple(notes), {}, sheet.better,
        images=named, reference=reference,
    )  # fmt: skip


def _cells(cells: Any) -> Raster:
    opened = open_image(cells)
    if opened.dtype.kind not in "iu" or "c" in opened.axes:
        raise InputError(
            f"cells={opened.name!r} is of type {opened.dtype} with axes {opened.axes!r}; give "
            "labels of all cells without an axis of channels."
        )
    return opened
