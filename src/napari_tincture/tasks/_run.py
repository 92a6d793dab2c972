"""What stain and segment share: arguments to a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, get_args

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models import Model, load_model
from napari_tincture.precision import resolve_precision
from napari_tincture.raster import Raster
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.averaged import AveragedJob
from napari_tincture.tiling.cores import check_seams
from napari_tincture.tiling.inputs import Inputs, NonFinite, Plane
from napari_tincture.tiling.job import Plan, TileJob
from napari_tincture.tiling.orient import orientations
from napari_tincture.tiling.reach import with_reach
from napari_tincture.tiling.reading import OnReadError, Reader
from napari_tincture.tiling.whole import PlaneValues, check_mode

PIXEL_SIZE_TOLERANCE = 0.10


def as_model(model: Any, task: str) -> Model:
    """A model from a name, a path or a `Model`; it must be made for `task`."""
    found = measured(model if isinstance(model, Model) else _load(model))
    if found.card.task != task:
        raise InputError(
            f"Model {found.card.name!r} is made to {found.card.task}, not to {task}. "
            f"Use napari_tincture.{found.card.task}(…), or choose a model of that kind with "
            "list_models()."
        )
    return found


def measured(model: Model) -> Model:
    """The model with its reach on its card, measured now if the card does not say."""
    if model.card.stride is not None:
        return model
    if model.card.denoising is None:
        return with_reach(model)
    stride = getattr(model.network, "stride", 1)
    return model.with_card(model.card.replace(stride=stride, exact=False))


def _load(model: Any) -> Model:
    if isinstance(model, str | PathLike):
        return load_model(model)
    raise InputError(
        f"Expected a model's name, a path or a Model, got {type(model).__name__}. "
        "Wrap a torch module as Model(network, card)."
    )


def check_pixel_size(image: Raster, model: Model, policy: str) -> None:
    """Compare the image's pixel size with that of the model's training images."""
    if policy not in ("refuse", "ignore"):
        raise InputError(f"pixel_size={policy!r}: expected 'refuse' or 'ignore'.")
    wanted, found = model.card.pixel_size, image.pixel_size
    if wanted is None or found is None or policy == "ignore":
        return
    if any(abs(size / wanted - 1) > PIXEL_SIZE_TOLERANCE for size in found):
        raise InputError(
            f"Image {image.name!r} has pixels of {found[0]:.4g} × {found[1]:.4g} µm; model "
            f"{model.card.name!r} was trained on {wanted:.4g} µm. Resample the image to that size, "
            "or pass pixel_size='ignore' to run it all the same."
        )


def make_job(image: Raster, model: Model, settings: Mapping[str, Any], dtype: Any) -> TileJob:
    """Build the tile job of a task from its validated arguments."""
    return job_of(make_inputs(image, model, settings), model, settings, dtype, image)


def job_of(
    inputs: Inputs, model: Model, settings: Mapping[str, Any], dtype: Any, image: Raster
) -> TileJob:
    """Build the tile job of inputs made before; the region is one of `image`."""
    resolve_precision(settings["precision"], settings["device"])
    bounds = as_region(settings["region"], image)
    region = None
    if {"y", "x"} & set(bounds):
        sizes = image.sizes
        region = tuple(bounds.get(a, (0, sizes[a])) for a in "yx")
        region = None if region == ((0, sizes["y"]), (0, sizes["x"])) else region
    context = settings["context"]
    plan = Plan(
        core=_tile(settings["tile"]),
        region=region,  # type: ignore[arg-type]
        context=check_mode(context) if isinstance(context, str) else "auto",
        seams=check_seams(settings["seams"]),
        device=settings["device"],
        precision=settings["precision"],
        dtype=np.dtype(dtype),
    )
    known = None if isinstance(context, str) else _known(context, inputs, model)
    if ways := orientations(settings.get("augment", "none")):
        return AveragedJob(inputs, model, plan, known, orientations=ways)
    return TileJob(inputs, model, plan, known)


def make_inputs(image: Raster, model: Model, settings: Mapping[str, Any]) -> Inputs:
    """Find a source for every input of the model, and check that they suit it."""
    check_pixel_size(image, model, settings["pixel_size"])
    _check_policies(settings)
    outer = settings.get("outer", {})
    inputs = map_channels(
        image, model.card, settings["channels"], settings["nonfinite"], outer,
        settings.get("seed", 0),
    )  # fmt: skip
    origin = tuple(outer[axis].start if axis in outer else 0 for axis in inputs.leading)
    starts = {axis: bounds.start for axis, bounds in outer.items()}
    return replace(inputs, origin=origin, reader=Reader(settings["on_read_error"], starts))


def given_context(job: TileJob) -> Any:
    """The `context` argument with which another process makes the same job."""
    if not job.given:
        return job.plan.context
    place = job.inputs.place_of
    values = {",".join(map(str, place(p))): v.to_json() for p, v in job.given.items()}
    return {"values": values}


def _known(context: Any, inputs: Inputs, model: Model) -> dict[Plane, PlaneValues]:
    """Values found before, from a result or its provenance, for the planes of `inputs`."""
    data = context.provenance if isinstance(context, Raster) else context
    if not isinstance(data, Mapping):
        raise InputError(
            f"Expected context as 'auto', 'exact', 'sampled', 'tile', a result or its provenance, "
            f"got {type(context).__name__}."
        )
    steps = data.get("steps") or [{}]
    if steps[-1].get("weights", model.fingerprint) != model.fingerprint:
        raise InputError(
            f"The given context was made by model {steps[-1].get('model')!r}; its values mean "
            f"nothing to model {model.card.name!r}. Use context='auto'."
        )
    known = _values_within(data)
    maps = getattr(context.runner, "maps", None) if isinstance(context, Raster) else None
    found = {}
    for plane in inputs.planes:
        place = inputs.place_of(plane)
        values = known.get(place) or (maps and _values_found_by(maps, place))
        if not values:
            raise InputError(
                f"The given context holds values of {len(known)} planes, but not of plane "
                f"{place}. Use context='auto', or a result that was computed for this image."
            )
        found[plane] = values
    return found


def _values_within(data: Mapping[str, Any]) -> dict[Plane, PlaneValues]:
    return {
        tuple(int(i) for i in key.split(",") if i): PlaneValues.from_json(value)
        for key, value in data.get("values", {}).items()
    }


def _values_found_by(job: TileJob, place: Plane) -> PlaneValues | None:
    """What a lazy result uses for a plane; found now if it was not yet needed."""
    own = {job.inputs.place_of(plane): plane for plane in job.inputs.planes}
    return job.values_of(own[place]) if place in own else None


def _check_policies(settings: Mapping[str, Any]) -> None:
    for name, kind in (("nonfinite", NonFinite), ("on_read_error", OnReadError)):
        if settings[name] not in get_args(kind):
            expected = " or ".join(map(repr, get_args(kind)))
            raise InputError(f"{name}={settings[name]!r}: expected {expected}.")


def _tile(tile: Any) -> Any:
    whole = isinstance(tile, int | np.integer) and not isinstance(tile, bool)
    if tile == "auto" or (whole and tile > 0):
        return tile
    raise InputError(f"tile={tile!r}: expected 'auto' or a positive number of pixels.")


def narrowed(image: Raster, region: Any) -> tuple[Raster, dict[str, Any]]:
    """Apply a region's t and z to the image itself.

    Returns
    -------
    image, settings
        The cropped image; and for `make_job` what is left of the region, and what was cut out.
    """
    bounds = as_region(region, image)
    outer = {axis: slice(*edges) for axis, edges in bounds.items() if axis in "tz"}
    inner = {axis: edges for axis, edges in bounds.items() if axis in "yx"}
    return (image.crop(outer) if outer else image), {"region": inner or None, "outer": outer}


def opened(image: Any) -> Raster:
    """The image as a Raster, of kind image."""
    return open_image(image)
