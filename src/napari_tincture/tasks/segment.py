"""Segmentation: objects, classes or probabilities of an image, on the same grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_tincture.call import Call
from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import Model
from napari_tincture.models.card import ModelCard
from napari_tincture.models.outputs import Question
from napari_tincture.precision import warn_if_slow
from napari_tincture.raster import Raster
from napari_tincture.tasks._answers import question_of
from napari_tincture.tasks._instances import instance_step
from napari_tincture.tasks._record import record
from napari_tincture.tasks._run import as_model, given_context, make_job, narrowed, opened
from napari_tincture.tasks._sizes import SizeUnit, as_pixels
from napari_tincture.tasks.link import LEAST, link_planes
from napari_tincture.tiling.answers import as_answer
from napari_tincture.tiling.cores import SeamMode
from napari_tincture.tiling.inputs import NonFinite
from napari_tincture.tiling.job import TileJob
from napari_tincture.tiling.lazy import lazy, result_axes
from napari_tincture.tiling.object_run import ObjectRunner
from napari_tincture.tiling.objects import ObjectJob
from napari_tincture.tiling.reading import OnReadError
from napari_tincture.tiling.result import JobRunner, as_raster, order_of, place_of

Output = Literal["labels", "classes", "probabilities", "realism"]


def segment(
    image: Any,
    model: str | Model | Any,
    *,
    output: Output = "labels",
    channels: Mapping[str, Any] | Sequence[Any] | None = None,
    region: Any = None,
    context: Any = "auto",
    augment: Literal["none", "turns"] | int = "none",
    instances: Mapping[str, Any] | None = None,
    link: Literal["t", "z"] | None = None,
    min_size: float | None = None,
    max_size: float | None = None,
    size_unit: SizeUnit = "pixel",
    device: str = "auto",
    precision: str = "auto",
    tile: int | Literal["auto"] = "auto",
    seams: SeamMode = "exact",
    nonfinite: NonFinite = "error",
    on_read_error: OnReadError = "stop",
    pixel_size: Literal["refuse", "ignore"] = "refuse",
) -> Raster:
    """Segment an image; nothing is computed until the result is read.

    Parameters
    ----------
    image
        Whatever `open_image` accepts; a lazy stain is computed once for both.
    model
        A name of `list_models`, a path, or a `Model` made to segment.
    output
        "labels": objects, numbered from 1 by their first pixel, plane after plane; through the
        lazy array the numbers are provisional (unique and consistent, not consecutive).
        "classes": the number of the likeliest class per pixel, 0 for background (where the card
        gives classes values, that of the class); 1 above the threshold where the card names an
        instance step. "probabilities": the network's maps. "realism", of models that keep a
        discriminator of images with label maps: how much like true labels of this image the maps
        look to it around each pixel, the share of held-out labelled pixels that it finds less
        like them; its scores as they are if they were not calibrated.
    region
        As in `stain`; but objects are found in what lies within it, so that those at its edge are
        cut, and are numbered from 1.
    augment
        The maps are means over several ways to lay the image, at the cost of as many runs of the
        network. "turns": the eight flips and quarter turns; no pixel is interpolated, and tiles do
        not show. A number N: the rotations by 360°/N, of which the image itself is one (seven in
        Ronneberger et al. 2015, U-Net); image and maps are interpolated bilinearly, which blurs
        them slightly, so that the mean is not exact: a network that answers all rotations alike
        does not give just what it gives for the image. Only for maps that turn with the image.
    instances
        How objects are made of the maps where it is not to be as the card says, or where the card
        says nothing: which maps are "object", and perhaps the "border" between objects and the
        "depth" in them, each by its name or number; and further arguments of
        `napari_tincture.instances.label_instances`. Such as ``{"object": "foreground", "border":
        "boundary"}`` of a package that gives these two, or ``{"object": "cell"}`` of classes.
        "largest": the side in pixels of the largest object; so much is segmented around a tile.
    link
        Number objects through the planes along "t" or "z", as `napari_tincture.link` does with
        an intersection over union of more than 0.5.
    min_size, max_size
        Least and greatest area of an object; others are dropped. None: as the card says, where
        there is no greatest. In `size_unit`, "pixel" or "um2" (µm², which needs an image with a
        pixel size). Objects that are larger than the halo of a tile are measured in part.
    channels, context, device, precision, tile, seams, nonfinite, on_read_error, pixel_size
        As in `stain`.

    Returns
    -------
    Raster
        Of kind "labels" (t, z, y, x), int32 (int64 above 2³¹ pixels), or uint8 classes (wider for
        larger values); or of kind
        "image" (t, c, z, y, x), float32, of "realism" (t, z, y, x).

    Raises
    ------
    InputError
        If image, model, channels or region do not fit each other.
    ModelError
        If the model is unknown, damaged, or has no step from maps to objects, or no discriminator.
    DeviceError
        If the device or precision is not available.
    """
    found = as_model(model, "segment")
    if output not in get_args(Output):
        *most, last = map(repr, get_args(Output))
        raise InputError(f"output={output!r}: expected {', '.join(most)} or {last}.")
    warn_if_slow(precision, device, "segmenting")
    given = opened(image)
    source, part = narrowed(given, region)
    settings = {
        "region": region,
        "channels": channels,
        "context": context,
        "augment": augment,
        "instances": instances,
        "link": link,
        "min_size": min_size,
        "max_size": max_size,
        "size_unit": size_unit,
        "device": device,
        "precision": precision,
        "tile": tile,
        "seams": seams,
        "nonfinite": nonfinite,
        "on_read_error": on_read_error,
        "pixel_size": pixel_size,
    }
    sizes = as_pixels(source, min_size, max_size, size_unit)
    if output != "labels" and (link is not None or sizes or instances is not None):
        raise InputError(
            f"output={output!r} has no objects: leave instances=, link=, min_size= and max_size= "
            "out, or pass output='labels'."
        )
    if output == "realism" and augment != "none":
        raise InputError(
            f"output='realism' is of one run of the network, got augment={augment!r}: leave it out."
        )
    question = _question(found) if output == "realism" else None
    run = found if question is None else question.model
    job = make_job(source, run, {**settings, **part}, "float32")
    name = f"{source.name} {found.card.name}".strip()
    settings["output"] = output
    provenance, sources = record("segment", given, run, settings)
    if question is not None:
        answer, kind = question.answers["realism"], np.dtype("float32")
        name = f"{name} realism"
        result = as_answer(job, answer, kind, source, name, (provenance, sources))
    elif output == "labels":
        step = instance_step(found.card, instances, sizes)
        result = _objects(job, step, source, name, (provenance, sources))
        result = result if link is None else link_planes(result, link, LEAST)
    else:
        result = as_raster(job, source, name, provenance, sources)
        result = _classes(result, job) if output == "classes" else result
    call = Call("segment", given, found, {**settings, "context": given_context(job)})
    return replace(result, call=call)


def _question(model: Model) -> Question:
    if not model.card.judges:
        raise ModelError(
            f"Model {model.card.name!r} keeps no discriminator that judges its maps. Choose "
            "another output, or a model of the family adversarial_segmentation."
        )
    if model.card.margin:
        raise ModelError(
            f"Model {model.card.name!r} has no padding: its maps are smaller than the image that "
            "its discriminator judges them with. Choose another output, or train with padded=True."
        )
    question, joined = question_of(model, ("realism",))
    return replace(question, model=joined)


def _classes(maps: Raster, job: TileJob) -> Raster:
    """The likeliest class of every pixel, block by block from the maps."""
    c, card = maps.axes.find("c"), job.model.card
    threshold = None
    if card.instances is not None or c < 0:
        threshold = float(dict(card.instances or {}).get("threshold", 0.5))
    classes = Classes(threshold, values_of(card))
    meta = np.empty((0,) * (maps.ndim - (c >= 0)), classes.dtype)
    take = partial(_taken, classes=classes, axis=c)
    drop = None if c < 0 else [c]
    data = da.map_blocks(take, maps.data, drop_axis=drop, dtype=classes.dtype, meta=meta)
    return replace(
        maps,
        levels=(data,),
        axes=maps.axes.replace("c", ""),
        order=maps.order.replace("c", ""),
        placement=maps.placement.drop(c) if c >= 0 else maps.placement,
        kind="labels",
        channels=(),
        display={},
        runner=JobRunner(job, False, classes, getattr(maps.runner, "sources", ())),
    )


def values_of(card: ModelCard) -> tuple[int, ...]:
    """Values of a card's classes in label images; empty where these are their numbers."""
    found = [channel.value for channel in card.outputs]
    known = [value for value in found if value is not None]
    return tuple(known) if len(known) == len(found) and card.instances is None else ()


@dataclass(frozen=True, slots=True)
class Classes:
    """From maps (c, y, x) to the likeliest class (1, y, x): its value, or its number.

    Attributes
    ----------
    threshold
        Of the first map, above which the class is 1; None takes the greatest map.
    values
        Of the classes; empty: their numbers.
    """

    threshold: float | None
    values: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the result: uint8 unless a value needs more."""
        low, high = (np.min_scalar_type(f(self.values, default=0)) for f in (min, max))
        return np.result_type(np.uint8, low, high)

    def __call__(self, maps: npt.NDArray[Any], axis: int = 0) -> npt.NDArray[Any]:
        """Find the classes; `axis` is the channels' and stays, with length 1."""
        if self.threshold is None:
            found = np.argmax(maps, axis=axis, keepdims=True)
            table = self.values or range(maps.shape[axis])
            return np.asarray(np.array(table, self.dtype)[found])
        first = np.take(maps, [0], axis=axis)
        result: npt.NDArray[np.uint8] = (first > self.threshold).astype(np.uint8)
        return result


def _taken(maps: npt.NDArray[Any], classes: Classes, axis: int) -> npt.NDArray[Any]:
    """Classes of a block with the maps' axes, of which `axis` (if not negative) goes."""
    if axis < 0:
        return np.asarray(classes(maps[None])[0])
    result: npt.NDArray[Any] = classes(maps, axis).squeeze(axis)
    return result


def _objects(
    maps: TileJob,
    step: tuple[Callable[..., Any], int],
    source: Raster,
    name: str,
    recorded: tuple[Mapping[str, Any], tuple[Raster, ...]],
) -> Raster:
    job = ObjectJob(maps, *step)
    axes = result_axes(maps.inputs.leading, False)
    return Raster(
        levels=(lazy(job, job.dtype, None, name.replace(" ", "-") + "-objects"),),
        axes=axes,
        placement=place_of(source, axes, maps),
        kind="labels",
        name=name,
        provenance=recorded[0],
        order=order_of(source, axes, rgb=False),
        runner=ObjectRunner(job, recorded[1]),
    )
