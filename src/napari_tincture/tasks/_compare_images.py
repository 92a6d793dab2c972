"""Comparing images pixel by pixel and window by window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_tincture.metrics.metric import Metric
from napari_tincture.metrics.registry import usable_metric
from napari_tincture.metrics.stream import survey
from napari_tincture.metrics.sums import SUMS
from napari_tincture.raster import Raster
from napari_tincture.tasks._boxes import regions_of
from napari_tincture.tasks._compared import Compared
from napari_tincture.tasks._maps import map_of
from napari_tincture.tasks._partial import PartialSums
from napari_tincture.tasks._sheet import Sheet
from napari_tincture.tasks._spread import spread
from napari_tincture.tasks.comparison import Comparison

METRICS = ("ssim", "psnr", "mse", "pearson")


def compare_images(
    what: Compared, channels: str, data_range: float, maps: bool, resume: Path | None = None,
    client: Any = None,
) -> Comparison:  # fmt: skip
    """Compare images (…, y, x), each read once per pass; parameters as `compare` has them."""
    chosen = [usable_metric(name) for name in dict.fromkeys(what.metrics or METRICS)]
    statistics = list(dict.fromkeys([SUMS, *(metric.statistic for metric in chosen)]))
    sheet = Sheet(what.pairs, chosen, channels, data_range)
    settings = {**what.settings, "data_range": data_range, "channels": channels}
    rest = {**settings, "sums": [*map(str, statistics)]}
    kept = None if resume is None else PartialSums(resume, what, rest)
    for number, one in enumerate(what.passes()):
        plan = what.pairs.survey(one.place, one.plane, statistics, data_range, one.areas)
        if client is not None:
            tally = spread(plan, client, one.report, what.cancel)
        else:
            going = (kept.of(number, plan), kept.keeper(number, plan)) if kept else ()
            tally = survey(plan, one.report, what.cancel, *going)
        sheet.add(tally, one.at, one.areas)
    if kept:
        kept.finish()
    return Comparison(
        sheet.table, settings, tuple(sheet.notes),
        _pictures(what, chosen, channels, data_range) if maps else {},
        {column: metric.better for metric in chosen for column in metric.columns},
        regions=regions_of(what.boxes), places=what.boxes, undefined=sheet.undefined,
        images=what.named, reference=what.reference,
    )  # fmt: skip


def _pictures(
    what: Compared, metrics: Sequence[Metric], channels: str, data_range: float
) -> dict[tuple[str, str], Raster]:
    """Maps by image and column; of metrics of one image, of the reference too."""
    itself = {what.pairs.reference_name: what.reference}
    luminance = channels == "luminance"
    return {
        (name, column): map_of(
            metric, column, image, what.reference, data_range, name, luminance=luminance
        )
        for metric in metrics
        for name, image in ((what.named | itself) if metric.alone else what.named).items()
        for column in metric.maps
    }
