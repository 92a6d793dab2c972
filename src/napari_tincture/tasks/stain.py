"""Virtual staining: a network's image of an image, on the same grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypedDict, Unpack, overload

from napari_tincture.call import Call
from napari_tincture.models import Model
from napari_tincture.precision import warn_if_slow
from napari_tincture.raster import Raster
from napari_tincture.tasks._answers import answered, asked, directed, result_dtype
from napari_tincture.tasks._record import record
from napari_tincture.tasks._run import as_model, given_context, make_job, narrowed, opened
from napari_tincture.tasks.outputs import Outputs
from napari_tincture.tiling.cores import SeamMode
from napari_tincture.tiling.inputs import NonFinite
from napari_tincture.tiling.reading import OnReadError
from napari_tincture.tiling.result import as_raster


class Settings(TypedDict, total=False):
    """Keyword arguments of `stain` that do not decide about the kind of its result."""

    channels: Mapping[str, Any] | Sequence[Any] | None
    region: Any
    context: Any
    direction: Literal["forward", "backward"]
    samples: int
    seed: int
    device: str
    precision: str
    tile: int | Literal["auto"]
    seams: SeamMode
    dtype: str
    nonfinite: NonFinite
    on_read_error: OnReadError
    pixel_size: Literal["refuse", "ignore"]


@overload
def stain(image: Any, model: Any, **settings: Unpack[Settings]) -> Raster: ...
@overload
def stain(
    image: Any, model: Any, *, outputs: tuple[str], **settings: Unpack[Settings]
) -> Raster: ...
@overload
def stain(
    image: Any, model: Any, *, outputs: Sequence[str], **settings: Unpack[Settings]
) -> Outputs: ...
def stain(
    image: Any,
    model: str | Model | Any,
    *,
    channels: Mapping[str, Any] | Sequence[Any] | None = None,
    region: Any = None,
    context: Any = "auto",
    direction: Literal["forward", "backward"] = "forward",
    outputs: Sequence[str] = ("image",),
    samples: int = 3,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    tile: int | Literal["auto"] = "auto",
    seams: SeamMode = "exact",
    dtype: str = "auto",
    nonfinite: NonFinite = "error",
    on_read_error: OnReadError = "stop",
    pixel_size: Literal["refuse", "ignore"] = "refuse",
) -> Raster | Outputs:
    """Stain an image virtually; nothing is computed until the result is read.

    Parameters
    ----------
    image
        Whatever `open_image` accepts. Axes t and z that the model does not take are run over
        plane by plane.
    model
        A name of `list_models`, a path, or a `Model`.
    channels
        Model input → channel (index or name), ``("z", index)``, or another image; see
        `napari_tincture.tasks.channels.map_channels`.
    region
        Part of the image in pixels: axis → (start, stop), or the corners of a rectangle. The
        result is the same as that part of the whole result.
    context
        How values that the network takes from the whole image are found. "auto": exactly while
        memory allows and the region is at least half of the image, else from samples of the whole
        image; the provenance says how well they agree, and a warning where they do not.
        "exact" insists, "sampled" and "tile" (each tile its own, as other tools do) are explicit.
        An earlier result, or its provenance, gives its values again.
    direction
        "forward", or "backward" for models that have both.
    outputs
        What is asked for, of what the model offers (``card.offers``). "image": the stain.
        "heatmap", "attention", "content": where the network looked, as far as its kind knows;
        heat maps from 0 to 1 over the whole image. "reconstruction": the image that the way back
        makes of the stain. "cycle_error", "cycle_error_twice": mean absolute difference of the
        image from its reconstruction after one and after two round trips, as a share of the range
        of values (Zhu et al. 2017, equation 2). "realism": the share of real images' patches that
        the discriminator finds less real than this one; its scores as they are if they were not
        calibrated. "std": standard deviation, averaged over channels, of the stain over `samples`
        draws of noise for models that take noise, else over the eight flips and quarter turns of
        the image. Images whose sides are no multiples of the stride of all networks asked are
        mirrored a little further than for the stain alone, which norms over the image notice.
    samples
        Draws of noise for models that take noise; the stain is their mean (You et al. 2018,
        Bayesian cycle-consistent generative adversarial networks via marginalizing latent
        sampling).
    seed
        Of the noise; the same seed gives the same noise at a place, however the image is cut.
    device
        "auto" (the first CUDA device, else the CPU), "cpu", "cuda:1", "mps".
    precision
        "auto" is float32 with TF32 off; "bfloat16", "float16" and "tf32" are faster and less
        exact.
    tile
        Side of a tile's core in pixels. Unless tiles are blended it does not change the result.
    seams
        "exact": every tile is given all that the network sees around it. "blend": windows overlap
        by 128 pixels, or one stride of the network if that is more, and are blended smoothly, for
        networks to which a halo of hundreds of pixels makes exact tiles dear (of the U-Net with
        stride 256 it is 512). Values that depend on the whole image are found and used as before.
        The result is near the exact one and not it, and a region is near the crop of the whole;
        the provenance tells how far the windows lie apart where they overlap (``"seams"``), which
        is of the size of the error but no bound of it; `seam_error` measures how far the result
        lies from the network's on the whole image. Networks whose
        own halo is no larger than that overlap stay exact, which costs no more; so do unpadded
        ones.
    dtype
        "auto": uint8 for colour, else float32. "float32": the network's values in the card's
        range. Integers: that range scaled to the type's.
    nonfinite
        What to do with NaN and infinity: "error", or "background".
    on_read_error
        What to do with a place that cannot be read, after several attempts: "stop" with an error
        that names it, or take the "background", the darkest value around it; then a warning and
        the provenance name it.
    pixel_size
        "refuse" images whose pixel size differs by more than 10 % from the model's, or "ignore".

    Returns
    -------
    Raster or Outputs
        (t, c, z, y, x) as far as the image has t and z and the model more than one channel;
        placement and units are the image's. For several outputs a mapping from their names to
        rasters, all but "std" of models without noise from one pass of the networks.

    Raises
    ------
    InputError
        If image, model, channels or region do not fit each other.
    ModelError
        If the model is unknown or damaged, or has no way back.
    DeviceError
        If the device or precision is not available.
    """
    found = directed(as_model(model, "stain"), direction)
    warn_if_slow(precision, device, "staining")
    wanted = asked(outputs)
    given = opened(image)
    settings = {
        "region": region,
        "channels": channels,
        "context": context,
        "outputs": list(wanted),
        "direction": direction,
        "samples": samples,
        "seed": seed,
        "device": device,
        "precision": precision,
        "tile": tile,
        "seams": seams,
        "nonfinite": nonfinite,
        "on_read_error": on_read_error,
        "pixel_size": pixel_size,
    }
    plain = wanted == ("image",) and not found.card.noise_inputs
    if not plain:
        return answered(given, as_model(model, "stain"), found, {**settings, "dtype": dtype})
    source, part = narrowed(given, region)
    job = make_job(source, found, {**settings, **part}, result_dtype(dtype, found.card.rgb_output))
    name = f"{source.name} {found.card.name}".strip()
    settings["dtype"] = dtype
    provenance, sources = record("stain", given, found, settings)
    result = as_raster(job, source, name, provenance, sources)
    context = given_context(job)
    call = Call("stain", given, as_model(model, "stain"), {**settings, "context": context})
    return replace(result, call=call)
