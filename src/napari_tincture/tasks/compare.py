"""How close images are to a reference: numbers and maps, of images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.labels.registry import label_metric_names
from napari_tincture.metrics.registry import metric_names
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._aligned import Align, lying
from napari_tincture.tasks._compare_images import METRICS, compare_images
from napari_tincture.tasks._compare_labels import compare_labels
from napari_tincture.tasks._compared import Compared
from napari_tincture.tasks._pairs import Channels, Pairs, check_pair, data_range_of
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks.assess import alone_metrics
from napari_tincture.tasks.comparison import Comparison, names_of

__all__ = ["METRICS", "compare", "list_metrics"]


def list_metrics(kind: Literal["image", "labels", "alone"] = "image") -> tuple[str, ...]:
    """Names of the metrics that `compare` knows of images, or of labels; or `assess`; sorted."""
    if kind == "alone":
        return alone_metrics()
    return label_metric_names() if kind == "labels" else metric_names()


def compare(
    images: Any,
    reference: Any,
    *,
    metrics: Sequence[str] | None = None,
    region: Any = None,
    mask: Any = None,
    regions: Any = None,
    cells: Any = None,
    channels: Channels = "each",
    data_range: float | None = None,
    nonfinite: Literal["error", "ignore"] = "error",
    align: Align | None = None,
    maps: bool = False,
    resume: str | Path | None = None,
    client: Any = None,
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
        Names, as `list_metrics` gives them. None: SSIM, PSNR, MSE and Pearson's correlation of
        images, objects of labels.
    region
        Part of the reference in pixels, as in `stain`.
    mask
        Labels or booleans of which pixels other than 0 count, or "tissue": what Otsu's threshold
        finds on the reference's lowest level. Of windows, those whose centre lies in it count.
    regions
        One row each: labels, a Shapes layer, a list or mapping of polygons (n, 2) in pixels (y, x)
        of the reference, or "grid:256" for squares.
    cells
        Where images are labels of what is stained: labels of all cells. Adds the percentage of
        cells that lie by more than half on what is stained, in the image and in the reference.
    channels
        "each": one row per channel; "mean": the mean of the channels' figures; "luminance": of
        colours, 0.2125 R + 0.7154 G + 0.0721 B.
    data_range
        Difference between the largest and the smallest possible value. None takes it from the
        integer type that all images share; nothing is rescaled.
    nonfinite
        NaN and infinite values: an error, or left out with all windows that see them.
    align
        "check": estimate how far each image lies off the reference, and warn in `notes` where that
        explains the score. "translation", "euclidean", "similarity", "affine" or "flow": also put
        it where the reference is, by such a map, and compare it before and after. See
        `napari_tincture.alignment`.
    maps
        Whether to give maps, computed where they are looked at.
    resume
        A file in which sums are kept while they are taken, so that the same call goes on from
        them after a crash; removed at the end. Of images, not of labels.
    client
        A `distributed.Client` whose workers measure, each some rows of the plane; images must be
        on files that all can read. Of images, not of labels.

    Returns
    -------
    Comparison
        One row per image, plane, channel and region.

    Raises
    ------
    InputError
        If the images do not overlap, differ in channels or planes, or in type without
        `data_range`; if values are not finite, lie further apart than the data range, or seem to
        use a part of their integer type; if a metric, mask or region cannot be read, or a metric
        needs weights that are not there.
    Cancelled
        If `cancel` was raised.
    """
    target = open_image(reference)
    several = images if isinstance(images, list | tuple) else [images]
    if not several:
        raise InputError("Got an empty list of images; give one or more to compare.")
    others = [open_image(image) for image in several]
    for other in others:
        check_pair(other, target, channels)
    if target.kind == "labels":
        _refuse_sums(resume, client)
    else:
        _refuse_cells(cells, target)
        span = data_range_of(target, others, data_range)
    if client is not None:
        _check_spread([*others, target], resume)
    report, token = as_callback(progress), cancel or CancelToken()
    first = share(report, 0, 2) if align else report
    lie = lying(others, names_of(others), target, align, first, token)
    bounds = as_region(region, target)
    part = target.crop({a: slice(*edges) for a, edges in bounds.items()}) if bounds else target
    others = [_among(image, bounds) for image in lie.images]
    pairs = Pairs(
        part, others, lie.names, luminance=channels == "luminance",
        strict=nonfinite == "error", notes=lie.notes,
    )  # fmt: skip
    settings = {
        "reference": target.name, "region": bounds, "grid": pairs.how,
        "mask": mask if isinstance(mask, str) else mask is not None,
        "regions": regions if isinstance(regions, str) else regions is not None,
        "pixels": int(np.prod(part.shape[-2:])),
        **({"align": align, "alignment": lie.settings} if align else {}),
    }  # fmt: skip
    what = Compared(
        pairs=pairs, images=others, reference=part, bounds=bounds, mask=mask, regions=regions,
        metrics=metrics, settings=settings, progress=share(report, 1, 2) if align else report,
        cancel=token,
    )  # fmt: skip
    if target.kind == "labels":
        return compare_labels(what, cells)
    kept = None if resume is None else Path(resume).expanduser()
    return compare_images(what, channels, span, maps, kept, client)


def _refuse_sums(resume: Any, client: Any) -> None:
    if resume is not None or client is not None:
        raise InputError("resume= and client= are for images; labels are counted here at once.")


def _check_spread(images: Sequence[Raster], resume: Any) -> None:
    """Refuse what the workers of a cluster cannot do."""
    if resume is not None:
        raise InputError("resume= goes without client=: a cluster does again what is lost.")
    for image in images:
        if image.source is None or image.runner is not None:
            raise InputError(
                f"client= was given, but image {image.name!r} is in memory or still to be "
                "computed. Save it where all workers can read it, and open that."
            )


def _among(image: Raster, bounds: Mapping[str, tuple[int, int]]) -> Raster:
    """The planes along t and z that a region of the reference holds."""
    cut = {a: slice(*bounds[a]) for a in bounds if a in "tz" and image.sizes.get(a, 1) > 1}
    return image.crop(cut) if cut else image


def _refuse_cells(cells: Any, target: Raster) -> None:
    if cells is not None:
        raise InputError(
            f"cells= counts stained cells of label images; reference {target.name!r} is of kind "
            f"{target.kind!r}. Segment the images first, and compare the labels."
        )
