"""Whether what a job reads is like what its model was trained on."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from napari_tincture.errors import TinctureWarning
from napari_tincture.models.statistics import out_of_range, sampled
from napari_tincture.tiling.inputs import Plane

if TYPE_CHECKING:
    from napari_tincture.tiling.job import TileJob


def warn_if_unlike(job: TileJob, plane: Plane) -> None:
    """Sample the middle plane, and warn if its values lie far outside those of the training."""
    card, inputs = job.model.card, job.inputs
    known = card.training_statistics
    if not known or plane != inputs.planes[len(inputs.planes) // 2]:
        return
    count = len(card.image_inputs)
    if len(known.get("channels", ())) != count:
        return
    values = sampled(lambda y, x: inputs.read(plane, y, x)[:count], inputs.shape)
    if problem := out_of_range(known, values):
        warnings.warn(
            f"{problem} The image is unlike what {card.name!r} has learned from; the result may "
            "look right and be wrong.",
            TinctureWarning,
            stacklevel=2,
        )
