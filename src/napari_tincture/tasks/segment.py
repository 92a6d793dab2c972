"""Segmentation: objects, classes or probabilities of an image, on the same grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError, ModelError
from napari_tincture.instances import label_instances
from napari_tincture.models import Model
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Index, Raster, Write
from napari_tincture.tasks._record import record
from napari_tincture.tasks._run import as_model, make_job, narrowed, opened
from napari_tincture.tiling.inputs import NonFinite
from napari_tincture.tiling.job import TileJob
from napari_tincture.tiling.lazy import lazy, result_axes
from napari_tincture.tiling.objects import ObjectJob, ObjectRunner
from napari_tincture.tiling.result import JobRunner, as_raster, order_of, place_of

Output = Literal["labels", "classes", "probabilities"]
OBJECT_HALO = 96
"""Pixels segmented around a tile where the card does not name its largest object."""


def segment(
    image: Any,
    model: str | Model | Any,
    *,
    output: Output = "labels",
    channels: Mapping[str, Any] | Sequence[Any] | None = None,
    region: Any = None,
    context: Any = "auto",
    device: str = "auto",
    precision: str = "auto",
    tile: int | Literal["auto"] = "auto",
    nonfinite: NonFinite = "error",
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
        "classes": the number of the likeliest class per pixel, 0 for background; 1 above the
        threshold where the card names an instance step. "probabilities": the network's maps.
    region
        As in `stain`; but objects are found in what lies within it, so that those at its edge are
        cut, and are numbered from 1.
    channels, context, device, precision, tile, nonfinite, pixel_size
        As in `stain`.

    Returns
    -------
    Raster
        Of kind "labels" (t, z, y, x), int32 (int64 above 2³¹ pixels), or uint8 classes; or of kind
        "image" (t, c, z, y, x), float32.

    Raises
    ------
    InputError
        If image, model, channels or region do not fit each other.
    ModelError
        If the model is unknown, damaged, or has no step from maps to objects.
    DeviceError
        If the device or precision is not available.
    """
    found = as_model(model, "segment")
    if output not in ("labels", "classes", "probabilities"):
        raise InputError(f"output={output!r}: expected 'labels', 'classes' or 'probabilities'.")
    given = opened(image)
    source, part = narrowed(given, region)
    settings = {
        "region": region,
        "channels": channels,
        "context": context,
        "device": device,
        "precision": precision,
        "tile": tile,
        "nonfinite": nonfinite,
        "pixel_size": pixel_size,
    }
    job = make_job(source, found, {**settings, **part}, "float32")
    name = f"{source.name} {found.card.name}".strip()
    provenance, sources = record("segment", given, found, {**settings, "output": output})
    if output == "labels":
        return _objects(job, found, source, name, (provenance, sources))
    maps = as_raster(job, source, name, provenance, sources)
    return maps if output == "probabilities" else _classes(maps, found)


@dataclass(frozen=True)
class ClassRunner:
    """Streams the classes of what a job's runner streams, so that its facts are kept.

    Attributes
    ----------
    runner
        Streams the maps.
    take
        Maps to classes; drops the axis of channels.
    axis
        Of the channels in the maps; -1 if there is none.
    """

    runner: JobRunner
    take: Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
    axis: int

    @property
    def maps(self) -> TileJob:
        """The job that runs the network."""
        return self.runner.maps

    @property
    def sources(self) -> tuple[Raster, ...]:
        """The images that the job was made from."""
        return self.runner.sources

    def facts(self) -> dict[str, Any]:
        """What was found out so far."""
        return self.runner.facts()

    def stream(
        self, write: Write, progress: Progress, cancel: CancelToken
    ) -> Mapping[str, Any] | None:
        """Write all blocks; tell what only the run could know."""

        def put(index: Index, maps: npt.NDArray[Any]) -> None:
            place = tuple(s for i, s in enumerate(index) if i != self.axis)
            write(place, self.take(maps))

        return self.runner.stream(put, progress, cancel)


def _classes(maps: Raster, model: Model) -> Raster:
    """The likeliest class of every pixel, block by block from the maps."""
    c = maps.axes.find("c")
    threshold = dict(model.card.instances or {}).get("threshold", 0.5)
    if model.card.instances is not None or c < 0:
        take = partial(_above, axis=c, threshold=threshold)
    else:
        take = partial(_likeliest, axis=c)
    drop = None if c < 0 else [c]
    meta = np.empty((0,) * (maps.ndim - (c >= 0)), np.uint8)
    runner = maps.runner
    assert isinstance(runner, JobRunner)
    data = da.map_blocks(take, maps.data, drop_axis=drop, dtype=np.uint8, meta=meta)
    return replace(
        maps,
        levels=(data,),
        axes=maps.axes.replace("c", ""),
        order=maps.order.replace("c", ""),
        placement=maps.placement.drop(c) if c >= 0 else maps.placement,
        kind="labels",
        channels=(),
        display={},
        runner=ClassRunner(runner, take, c),
    )


def _above(maps: npt.NDArray[Any], axis: int, threshold: float) -> npt.NDArray[np.uint8]:
    first = maps if axis < 0 else np.take(maps, 0, axis=axis)
    result: npt.NDArray[np.uint8] = (first > threshold).astype(np.uint8)
    return result


def _likeliest(maps: npt.NDArray[Any], axis: int) -> npt.NDArray[np.uint8]:
    result: npt.NDArray[np.uint8] = np.argmax(maps, axis=axis).astype(np.uint8)
    return result


def _objects(
    maps: TileJob,
    model: Model,
    source: Raster,
    name: str,
    recorded: tuple[Mapping[str, Any], tuple[Raster, ...]],
) -> Raster:
    if model.card.instances is None:
        raise ModelError(
            f"Model {model.card.name!r} gives classes but no objects: its card names no instance "
            "step. Use output='classes' or 'probabilities'."
        )
    parameters = dict(model.card.instances)
    halo = int(parameters.pop("largest", OBJECT_HALO))
    job = ObjectJob(maps, partial(label_instances, **parameters), halo)
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
