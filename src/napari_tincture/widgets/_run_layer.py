"""What the panels do on Run, without a panel."""

from __future__ import annotations

from typing import Any

from napari_tincture.io.open import open_image
from napari_tincture.widgets._jobs import job_hub
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.settings import JobSettings


def run_layer(task: str, viewer: Any, layer: Any, model: str, **settings: Any) -> Job:
    """Run a task of the worker on a layer; see `napari_tincture.widgets.stain.stain_layer`."""
    image = open_image(layer, axes=settings.pop("axes", None))
    return job_hub().start(viewer, JobSettings(task=task, model=str(model), **settings), [image])
