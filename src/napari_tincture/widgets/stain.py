"""The Stain panel."""

from __future__ import annotations

from typing import Any, ClassVar

from napari_tincture.widgets._run_layer import run_layer
from napari_tincture.widgets._task_panel import TaskPanel
from napari_tincture.worker.jobs import Job


class StainPanel(TaskPanel):
    """Stains an image layer virtually; the result is a new layer in its place."""

    task: ClassVar[str] = "stain"


def stain_layer(viewer: Any, layer: Any, model: str, **settings: Any) -> Job:
    """Do what the Stain panel does on Run, from a script or the console.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the result as a new layer, once it is there.
    layer : napari.layers.Image
        The image to stain.
    model
        Name or path of a model.
    **settings
        As in `napari_tincture.worker.settings.JobSettings`: region, context, device, precision,
        save_to, overwrite, options.

    Returns
    -------
    Job
        Under way, or waiting; the window stays responsive.

    Raises
    ------
    InputError
        If the axes of the layer cannot be known, or a setting cannot be right.
    """
    return run_layer("stain", viewer, layer, model, **settings)
