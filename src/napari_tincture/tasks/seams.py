"""Whether a model can be trusted under tiling: tiled against whole, on a crop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from napari_tincture.models import Model, load_model
from napari_tincture.tasks._run import measured, opened
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.cores import check_seams
from napari_tincture.tiling.reach import reach_of
from napari_tincture.tiling.seam import SeamError, measure_seams


def seam_error(
    model: str | Model,
    image_crop: Any,
    *,
    channels: Mapping[str, Any] | Sequence[Any] | None = None,
    tile: int | None = None,
    device: str = "auto",
    context: str = "exact",
    seams: Literal["exact", "blend"] = "exact",
) -> SeamError:
    """Measure how far a tiled run lies from the run on the whole image.

    Parameters
    ----------
    model
        A name, a path, or a `Model`.
    image_crop
        Whatever `open_image` accepts; its first plane is run whole, so it must fit into memory.
    channels
        As in `stain`.
    tile
        Side of a core in pixels; by default a quarter of the crop, for many seams.
    device, context, seams
        As in `stain`.

    Returns
    -------
    SeamError
        Largest and mean difference, absolute and in standard deviations of the output.
    """
    found = measured(model if isinstance(model, Model) else load_model(model))
    inputs = map_channels(opened(image_crop), found.card, channels)
    stride = reach_of(found).geometry.stride
    core = tile or max(min(inputs.shape) // 4 // stride, 1) * stride
    return measure_seams(found, inputs, core, device, context, check_seams(seams))
