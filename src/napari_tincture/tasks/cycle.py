"""What a translation loses: round trips through two models, and objects before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models import Model
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks._areas import tissue
from napari_tincture.tasks._pairs import planes_of
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks.compare import compare
from napari_tincture.tasks.comparison import Comparison
from napari_tincture.tasks.segment import segment
from napari_tincture.tasks.stain import stain

TRIPS = ("one round trip", "two round trips")
_TYPES = ("uint8", "uint16", "float16", "float32")
"""That `stain` gives."""


def cycle_errors(
    image: Any,
    there: str | Model | Any,
    back: str | Model | Any,
    metrics: Sequence[str] = ("mae", "ssim"),
    *,
    region: Any = None,
    mask: Any = None,
    regions: Any = None,
    data_range: float | None = None,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    **staining: Any,
) -> Comparison:
    """Compare an image with its reconstructions after one and after two round trips.

    The first is F(G(x)) of Zhu, Park, Isola, Efros (2017), Unpaired image-to-image translation
    using cycle-consistent adversarial networks, equation 2, whose cycle consistency loss is its
    ``mae``; the second is F(G(F(G(x)))). What the first trip hides in details that no eye sees
    (Chu, Zhmoginov, Sandler 2017, CycleGAN, a master of steganography) the second need not bring
    back: errors that grow much tell of it. Some texts call such errors Look-Ahead Score and Jigsaw
    Puzzle Error.

    A small error says that little is lost, not that the translation is right: it is 0 if both
    models leave images as they are.

    Parameters
    ----------
    image
        Whatever `open_image` accepts, with the channels that `there` takes and `back` gives.
    there, back
        Names, paths or `Model` objects, as `stain` takes them: G and F.
    metrics
        Names, as `compare` takes them.
    region, mask, regions, data_range, progress, cancel
        As in `compare`. The whole image is translated, of which a region is a part.
    **staining
        As in `stain`, for all four passes, but ``channels`` and ``region``. ``dtype`` is that of
        the translated images; 8 bit of colour images are rounded, which is a part of the error.
        Reconstructions have the image's type, if `stain` gives it, else float32.

    Returns
    -------
    Comparison
        As of `compare`, with images named "one round trip" and "two round trips".

    Raises
    ------
    InputError
        If the models do not lead back to an image of the same axes; and as `stain` and `compare`.
    ModelError, DeviceError, Cancelled
        As in `stain` and `compare`.
    """
    _check_staining(staining)
    given = open_image(image)
    models = as_model(there, "stain"), as_model(back, "stain")
    trips, current = [], given
    for name in TRIPS:
        current = replace(_round_trip(current, models, given, staining), name=name)
        trips.append(current)
    found = compare(
        trips, given, metrics=metrics, region=region, mask=mask, regions=regions,
        data_range=data_range, progress=progress, cancel=cancel,
    )  # fmt: skip
    names = {"there": models[0].card.name, "back": models[1].card.name}
    return replace(found, settings={**found.settings, **names})


def _check_staining(staining: Mapping[str, Any]) -> None:
    if "channels" in staining:
        raise InputError(
            "channels= cannot be given, for an image is compared with its reconstruction channel "
            "by channel. Take them first: image.plane(c=…) or image.crop({'c': …})."
        )


def _round_trip(
    image: Raster, models: tuple[Model, Model], original: Raster, staining: Mapping[str, Any]
) -> Raster:
    dtype = original.dtype.name if original.dtype.name in _TYPES else "float32"
    translated = stain(image, models[0], **staining)
    result: Raster = stain(translated, models[1], **{**staining, "dtype": dtype})
    before, after = ({"c": 1, **raster.sizes} for raster in (original, result))
    if before != after:
        raise InputError(
            f"Models {models[0].card.name!r} and {models[1].card.name!r} lead from {before} of "
            f"image {original.name!r} to {after}. Choose models that are each other's inverse, and "
            "channels or planes that both take and give: image.plane(…)."
        )
    return result


def semantic_consistency(
    before: Any,
    after: Any,
    segmenter: str | Model | Any,
    segmenter_after: str | Model | Any = None,
    *,
    output: Literal["labels", "classes"] | None = None,
    metrics: Sequence[str] | None = None,
    mask: Any = None,
    regions: Any = None,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    **segmenting: Any,
) -> Comparison:
    """Compare the segmentation of a translated image with that of the image itself.

    What a translation must keep is what a segmenter sees: semantic consistency as in Hoffman et
    al. (2018), CyCADA: cycle-consistent adversarial domain adaptation, which asks that a fixed
    segmenter finds the same before and after. Disagreement has two causes that the figures cannot
    tell apart: that the translation changed something, and that the segmenter does not know images
    of one of the kinds.

    Parameters
    ----------
    before, after
        Whatever `open_image` accepts: an image and its translation. The segmentation of `before`
        is the reference, on whose grid the other is read.
    segmenter
        A name, a path, or a `Model`, as `segment` takes it.
    segmenter_after
        Of the translation, if that needs another.
    output
        "labels", objects, or "classes". None: objects if both cards name an instance step.
    metrics
        Names of metrics of labels, as `compare` takes them: "objects"; "classes" and "boundaries".
        None: "objects" or "classes", whichever `output` is.
    mask, regions, progress, cancel
        As in `compare`; "tissue" is that of `before`.
    **segmenting
        As in `segment`, for both images.

    Returns
    -------
    Comparison
        One row per plane and region.

    Raises
    ------
    InputError
        If the images have different numbers of planes; and as `segment` and `compare`.
    ModelError, DeviceError
        As in `segment`.
    Cancelled
        If `cancel` was raised.
    """
    first = as_model(segmenter, "segment")
    second = first if segmenter_after is None else as_model(segmenter_after, "segment")
    objects = None not in (first.card.instances, second.card.instances)
    chosen = output or ("labels" if objects else "classes")
    image, translated = open_image(before), open_image(after)
    expected = segment(image, first, output=chosen, **segmenting)
    found = segment(translated, second, output=chosen, **segmenting)
    compared = compare(
        replace(found, name=translated.name or "translation"),
        replace(expected, name=image.name or "image"),
        metrics=metrics or (("objects",) if chosen == "labels" else ("classes",)),
        mask=_tissue(image) if isinstance(mask, str) and mask == "tissue" else mask,
        regions=regions, progress=progress, cancel=cancel,
    )  # fmt: skip
    names = {"segmenter": first.card.name, "segmenter_after": second.card.name, "output": chosen}
    told = {"mask": mask} if isinstance(mask, str) else {}
    return replace(compared, settings={**compared.settings, **names, **told})


def _tissue(image: Raster) -> Raster:
    """Of the image itself: labels have no threshold."""
    steps = {axis: image.sizes[axis] for axis in "tz" if image.sizes.get(axis, 1) > 1}
    if steps:
        raise InputError(
            f"mask='tissue' is found on one plane; image {image.name!r} has {steps}. Choose one, "
            "image.plane(…), or give labels."
        )
    return tissue(next(planes_of(image))[1])
