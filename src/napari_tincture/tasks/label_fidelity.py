"""Label fidelity: whether synthetic images show what their label maps say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.labels.confusion import Confusion
from napari_tincture.metrics.labels.overlap import Overlap, merge
from napari_tincture.metrics.labels.stream import overlap_of
from napari_tincture.metrics.labels.widths import ClassWidths
from napari_tincture.models import Model
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._class_matches import match_classes, names_of_maps, segmented_classes
from napari_tincture.tasks._label_map import open_label_map
from napari_tincture.tasks._pairs import planes_of
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks.fidelity import ClassFidelity, LabelFidelity
from napari_tincture.tasks.segment import segment


def label_fidelity(
    images: Any,
    maps: Any,
    segmenter: str | Model | Any,
    *,
    reference_images: Any = None,
    classes: Mapping[Any, Any] | None = None,
    names: Any = None,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    **settings: Any,
) -> LabelFidelity:
    """Segment images that were made of label maps, and compare what is found with the maps.

    What FID and its like cannot see: an image may look real and yet show something else than its
    map says (Park et al., Semantic image synthesis with spatially-adaptive normalization, CVPR
    2019, section 4, who call it mIoU and accuracy of a segmentation).

    Parameters
    ----------
    images
        An image, a stack along t and z, or a list of these, as `open_image` accepts them; results
        of `synthesize` are computed now, block by block.
    maps
        The label maps that they were made of, in the same order and of the same sizes.
    segmenter
        A model that segments classes, which did not learn from these images: a name, a path, or a
        `Model`.
    reference_images
        Real images of the same maps. What the segmenter finds in them is what can be expected of
        the synthetic ones.
    classes
        Value of the maps → name or value of one of the segmenter's classes, or None for none. Of
        other values, classes of equal names are the same, then those of equal values.
    names
        Value of the maps → name; or the model of synthesis whose classes they are. None: the model
        that made the images, where they are results of `synthesize`.
    progress
        True for a bar, or a callback with finished and all images.
    cancel
        Token that stops the work within one block.
    **settings
        Further arguments of `segment`, such as ``device`` or ``augment``.

    Returns
    -------
    LabelFidelity
        IoU of each class with its share of the pixels and its width, their mean, and the ratio to
        that of the reference images.

    Raises
    ------
    InputError
        If numbers or sizes of images and maps differ, or no value of the maps is a class of the
        segmenter.
    ModelError
        If the segmenter is unknown or damaged.
    Cancelled
        If `cancel` was raised.
    """
    found = as_model(segmenter, "segment")
    made, drawn = _listed(images), _listed(maps)
    named = names_of_maps(names, open_image(made[0]))
    report, token = as_callback(progress), cancel or CancelToken()
    real = None if reference_images is None else _listed(reference_images)
    parts = 1 if real is None else 2
    tables = _tables(made, drawn, found, settings, share(report, 0, parts), token)
    against = real and _tables(real, drawn, found, settings, share(report, 1, parts), token)
    values = sorted({int(v) for table in tables for v in table.expected})
    meant = match_classes(values, named, found.card, classes)
    known = {value: own for value, own in meant.items() if own is not None}
    if not known:
        own = ", ".join(f"{v} {name}" for v, name in segmented_classes(found.card).items())
        raise InputError(
            f"The label maps have the values {values}, none of which is a class of model "
            f"{found.card.name!r} ({own}). Say what they mean: classes={{{values[0]}: …}}."
        )
    widths = ClassWidths(known)
    for _, plane in _planes(drawn, open_label_map):
        token.check()
        widths.add(plane)
    return _result(tables, against or [], known, found, named, widths)


def _listed(images: Any) -> Sequence[Any]:
    several = list(images) if isinstance(images, list | tuple) else [images]
    if not several:
        raise InputError("Got an empty list of images; give at least one, and its label map.")
    return several


def _planes(images: Sequence[Any], opened: Any) -> Iterator[tuple[Raster, Raster]]:
    """Whole images and their planes, one after the other."""
    for image in images:
        whole = opened(image)
        for _, plane in planes_of(whole):
            yield whole, plane


def _tables(
    images: Sequence[Any],
    maps: Sequence[Any],
    segmenter: Model,
    settings: Mapping[str, Any],
    progress: Progress,
    cancel: CancelToken,
) -> list[Overlap]:
    """What is found on what the maps say, of each plane."""
    if len(images) != len(maps):
        raise InputError(
            f"Got {len(images)} images and {len(maps)} label maps; each image needs its own, in "
            "the same order."
        )
    tables = []
    for number, pair in enumerate(zip(images, maps, strict=True)):
        image, labels = open_image(pair[0]), open_label_map(pair[1])
        found = segment(image, segmenter, output="classes", **settings)
        if found.shape != labels.shape:
            raise InputError(
                f"The image {image.name!r} has {found.axes} {found.shape} but for channels, its "
                f"label map {labels.name!r} has {labels.axes} {labels.shape}; expected the same."
            )
        for (_, one), (_, other) in zip(planes_of(found), planes_of(labels), strict=True):
            # Pixel for pixel: an image was made of its map, wherever a file says that it lies.
            tables.append(overlap_of(replace(one, placement=other.placement), other, cancel=cancel))
        progress(number + 1, len(images))
    return tables


def _confusion(table: Overlap, known: Mapping[int, int], card_values: Sequence[int]) -> Confusion:
    """Pixels by class; those of values that no class is do not count."""
    places = {value: place for place, value in enumerate(card_values)}
    counts = np.zeros((len(places), len(places)), np.int64)
    for found, expected, pixels in zip(table.found, table.expected, table.pixels, strict=True):
        if int(expected) in known:
            counts[places[known[int(expected)]], places[int(found)]] += pixels
    return Confusion(tuple(card_values), counts)


def _result(
    tables: Sequence[Overlap],
    against: Sequence[Overlap],
    known: Mapping[int, int],
    segmenter: Model,
    named: Mapping[int, str],
    widths: ClassWidths,
) -> LabelFidelity:
    own = segmented_classes(segmenter.card)
    order = list(own)
    whole = _confusion(merge(tables), known, order)
    real = _confusion(merge(against), known, order) if against else None
    counted = int(whole.expected.sum())
    rows = tuple(
        ClassFidelity(
            own[value], value, float(whole.expected[n] / counted), widths.width(value),
            float(whole.iou[n]), math.nan if real is None else float(real.iou[n]),
        )
        for n, value in enumerate(order)
        if whole.expected[n]
    )  # fmt: skip
    each, theirs = (
        tuple(_mean_iou(_confusion(table, known, order)) for table in some)
        for some in (tables, against)
    )
    return LabelFidelity(
        rows, each, whole.accuracy, _left_out(tables, known, named), theirs,
        math.nan if real is None else real.accuracy,
    )  # fmt: skip


def _mean_iou(table: Confusion) -> float:
    """Over the classes that the map has; NaN if it has none."""
    there = table.expected > 0
    return float(table.iou[there].mean()) if there.any() else math.nan


def _left_out(
    tables: Sequence[Overlap], known: Mapping[int, int], named: Mapping[int, str]
) -> dict[str, float]:
    total, found = 0, dict[str, float]()
    for table in tables:
        total += table.total
        for value, pixels in zip(table.expected.tolist(), table.pixels.tolist(), strict=True):
            if value not in known:
                name = named.get(value, str(value))
                found[name] = found.get(name, 0.0) + pixels
    return {name: pixels / total for name, pixels in found.items()}
