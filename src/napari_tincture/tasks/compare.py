"""How close images are to a reference: numbers and maps, of images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.registry import find_metric
from napari_tincture.metrics.stream import survey
from napari_tincture.metrics.sums import SUMS
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._areas import areas_of
from napari_tincture.tasks._maps import map_of
from napari_tincture.tasks._pairs import Channels, Pairs, check_pair, data_range_of, planes_of
from napari_tincture.tasks._run import as_region
from napari_tincture.tasks._sheet import Sheet
from napari_tincture.tasks.comparison import Comparison, names_of

METRICS = ("ssim", "psnr", "mse", "pearson")


def compare(
    images: Any,
    reference: Any,
    *,
    metrics: Sequence[str] = METRICS,
    region: Any = None,
    mask: Any = None,
    regions: Any = None,
    channels: Channels = "each",
    data_range: float | None = None,
    nonfinite: Literal["error", "ignore"] = "error",
    maps: bool = False,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Comparison:
    """Compare images with a reference, pixel by pixel where they lie in the world.

    Images are read on the reference's grid, once, in bounded memory, whatever their size and
    however many metrics are asked for. Those on another grid are interpolated; `settings` say how.

    Parameters
    ----------
    images
        One image or a list of them; whatever `open_image` accepts.
    reference
        The reference. t and z, if it has them, are compared plane by plane.
    metrics
        Names, as `list_metrics` gives them.
    region
        Part of the reference in pixels, as in `stain`.
    mask
        Labels or booleans of which pixels other than 0 count, or "tissue": what Otsu's threshold
        finds on the reference's lowest level. Of windows, those whose centre lies in it count.
    regions
        One row each: labels, a Shapes layer, a list or mapping of polygons (n, 2) in pixels (y, x)
        of the reference, or "grid:256" for squares.
    channels
        "each": one row per channel; "mean": the mean of the channels' figures; "luminance": of
        colours, 0.2125 R + 0.7154 G + 0.0721 B.
    data_range
        Difference between the largest and the smallest possible value. None takes it from the
        integer type that all images share; nothing is rescaled.
    nonfinite
        NaN and infinite values: an error, or left out with all windows that see them.
    maps
        Whether to give maps, computed where they are looked at.

    Returns
    -------
    Comparison
        One row per image, plane, channel and region.

    Raises
    ------
    InputError
        If the images do not overlap, differ in channels or planes, or in type without
        `data_range`; if values are not finite, lie further apart than the data range, or seem to
        use a part of their integer type; if a metric, mask or region cannot be read.
    Cancelled
        If `cancel` was raised.
    """
    target = open_image(reference)
    several = images if isinstance(images, list | tuple) else [images]
    if not several:
        raise InputError("Got an empty list of images; give one or more to compare.")
    others = [open_image(image) for image in several]
    chosen = [find_metric(name) for name in dict.fromkeys(metrics)]
    for other in others:
        check_pair(other, target, channels)
    span = data_range_of(target, others, data_range)
    bounds = as_region(region, target)
    part = target.crop({a: slice(*edges) for a, edges in bounds.items()}) if bounds else target
    others = [_among(image, bounds) for image in others]
    pairs = Pairs(
        part, others, names_of(others), luminance=channels == "luminance",
        strict=nonfinite == "error",
    )  # fmt: skip
    sheet = Sheet(pairs, chosen, channels, span)
    report, token = as_callback(progress), cancel or CancelToken()
    passes = [
        (place, plane, areas)
        for place, plane in planes_of(part)
        for areas in areas_of(plane, regions, mask) or (None,)
    ]
    statistics = list(dict.fromkeys([SUMS, *(metric.statistic for metric in chosen)]))
    for number, (place, plane, areas) in enumerate(passes):
        plan = pairs.survey(place, plane, statistics, span, areas)
        tally = survey(plan, share(report, number, len(passes)), token)
        at = {axis: index + bounds.get(axis, (0, 0))[0] for axis, index in place.items()}
        sheet.add(tally, at, areas)
    pictures = {
        (name, column): map_of(metric, column, image, part, span, name)
        for image, name in zip(others, pairs.names, strict=True)
        for metric in (chosen if maps else ())
        for column in metric.maps
    }
    settings = {
        "reference": target.name, "data_range": span, "channels": channels, "region": bounds,
        "mask": mask if isinstance(mask, str) else mask is not None,
        "regions": regions if isinstance(regions, str) else regions is not None,
        "grid": pairs.how, "pixels": int(np.prod(part.shape[-2:])),
    }  # fmt: skip
    better = {column: metric.better for metric in chosen for column in metric.columns}
    return Comparison(
        sheet.table, settings, tuple(sheet.notes), pictures, better,
        images=dict(zip(pairs.names, others, strict=True)), reference=part,
    )  # fmt: skip


def _among(image: Raster, bounds: Mapping[str, tuple[int, int]]) -> Raster:
    """The planes along t and z that a region of the reference holds."""
    cut = {a: slice(*bounds[a]) for a in bounds if a in "tz" and image.sizes.get(a, 1) > 1}
    return image.crop(cut) if cut else image
