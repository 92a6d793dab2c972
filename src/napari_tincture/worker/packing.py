"""A model as a package, as a job: the test is made of the panel's image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_tincture.models.model import Model
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks._answers import directed
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks.packages import export_package

TASK = "export_package"


def pack(
    image: Raster,
    model: Model,
    *,
    path: str,
    channels: Mapping[str, Any] | Sequence[Any] | None,
    region: Any,
    authors: Sequence[str],
    licence: str,
    direction: str = "forward",
    progress: Progress,
    cancel: CancelToken,
    **_: Any,
) -> Path:
    """Do what `export_package` does with the part of an image that a panel has chosen.

    What else the panel has chosen of a run (device, precision …) means nothing to a package.
    """
    part = {axis: slice(*edges) for axis, edges in as_region(region, image).items()}
    return export_package(
        directed(model, direction),
        path,
        test_image=image.crop(part) if part else image,
        channels=channels,
        authors=authors,
        licence=licence or None,
        progress=progress,
        cancel=cancel,
    )
