"""How good images are by themselves, without a reference: focus, noise, drift, seams."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.metrics.seams import seam_score
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._compare_images import compare_images
from napari_tincture.tasks._compared import Compared
from napari_tincture.tasks._pairs import Pairs, data_range_of, planes_of
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks.comparison import Comparison, names_of

METRICS = ("focus_tenengrad", "noise", "drift", "seams")
SEAMS = "seams"
"""Looks at a plane as a whole, so that it has no rows of regions."""


def alone_metrics() -> tuple[str, ...]:
    """Names of the metrics that need no reference, sorted."""
    return tuple(sorted({SEAMS, *(n for n in metric_names() if find_metric(n).alone)}))


def assess(
    images: Any,
    *,
    metrics: Sequence[str] = METRICS,
    region: Any = None,
    mask: Any = None,
    regions: Any = None,
    data_range: float | None = None,
    nonfinite: Literal["error", "ignore"] = "error",
    maps: bool = False,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Comparison:
    """Measure images without a reference, each on its own grid.

    Parameters
    ----------
    images
        One image or a list of them; whatever `open_image` accepts.
    metrics
        Names, as ``list_metrics("alone")`` gives them. ``"seams"`` tells how much a plane jumps
        across the borders of tiles (``seam_score``, 1: no more than elsewhere), how surely
        (``seam_significance``, in standard errors) and their side (``seam_tile``); it has no rows
        of regions, and knows no mask.
    region, mask, regions, data_range, nonfinite, maps, progress, cancel
        As in `compare`, of each image instead of the reference.

    Returns
    -------
    Comparison
        One row per image, plane, channel and region.

    Raises
    ------
    InputError
        If a metric is unknown or needs a reference, or as in `compare`.
    Cancelled
        If `cancel` was raised.
    """
    several = images if isinstance(images, list | tuple) else [images]
    if not several:
        raise InputError("Got an empty list of images; give one or more to assess.")
    wrong = [name for name in metrics if name not in alone_metrics()]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: no such metric without a reference; known are "
            f"{', '.join(alone_metrics())}. With a reference, use compare."
        )
    opened = [open_image(image) for image in several]
    report, token = as_callback(progress), cancel or CancelToken()
    found = []
    for number, (image, name) in enumerate(zip(opened, names_of(opened), strict=True)):
        span = data_range_of(image, [], data_range)
        bounds = as_region(region, image)
        part = image.crop({a: slice(*e) for a, e in bounds.items()}) if bounds else image
        what = Compared(
            pairs=Pairs(part, [], [], luminance=False, strict=nonfinite == "error", called=name),
            images=[], reference=part, bounds=bounds, mask=mask, regions=regions,
            metrics=[n for n in metrics if n != SEAMS],
            settings={"region": bounds, "image": name},
            progress=share(report, number, len(opened)), cancel=token,
        )  # fmt: skip
        one = compare_images(what, "each", span, maps)
        one = replace(one, images={name: part}, reference=None)
        found.append(_with_seams(one, part, bounds, name, token) if SEAMS in metrics else one)
    return Comparison.join(found)


def _with_seams(
    found: Comparison, image: Raster, bounds: Mapping[str, tuple[int, int]], name: str,
    cancel: CancelToken,
) -> Comparison:  # fmt: skip
    """Add the figures of each plane's seams to its rows, or rows of their own beside regions."""
    notes, table = list(found.notes), list(found.table)
    for place, plane in planes_of(image):
        at = {axis: i + bounds.get(axis, (0, 0))[0] for axis, i in place.items()}
        figures = {"seam_score": math.nan, "seam_significance": math.nan, "seam_tile": math.nan}
        try:
            seams = seam_score(plane, cancel=cancel)
        except Undefined as error:
            notes.append(f"seams of {name} are undefined: {error}.")
        else:
            figures = {
                "seam_score": seams.score, "seam_significance": seams.significance,
                "seam_tile": seams.tile,
            }  # fmt: skip
        rows = [r for r in table if "region" not in r and at.items() <= r.items()]
        if not rows:
            table.append(row := {"image": name, **at})
            rows = [row]
        for row in rows:
            row |= figures
    return replace(found, table=table, notes=tuple(dict.fromkeys(notes)))
