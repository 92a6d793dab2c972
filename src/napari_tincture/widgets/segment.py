"""The Segment panel."""

from __future__ import annotations

from typing import Any, ClassVar

from qtpy.QtWidgets import QFormLayout

from napari_tincture.widgets._form import Choice, Item
from napari_tincture.widgets._run_layer import run_layer
from napari_tincture.widgets._task_panel import TaskPanel
from napari_tincture.worker.jobs import Job

_RESULTS = (
    Item("objects", "labels", "One number per object: a Labels layer"),
    Item("classes", "classes", "The likeliest class of each pixel: a Labels layer"),
    Item("probabilities", "probabilities", "What the network says: one image layer per class"),
)


class SegmentPanel(TaskPanel):
    """Finds objects or classes in an image layer; the result is a new layer in its place."""

    task: ClassVar[str] = "segment"

    def add_rows(self, layout: QFormLayout) -> None:
        """Add the choice of the result."""
        self.result = Choice(_RESULTS, tooltip="What is wanted of the image")
        layout.addRow("Result", self.result)

    def settings(self) -> dict[str, Choice]:
        """Give the drop-downs whose values are remembered."""
        return {**super().settings(), "result": self.result}

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments that only this task has."""
        return {**super().options(), "output": self.result.value}


def segment_layer(viewer: Any, layer: Any, model: str, **settings: Any) -> Job:
    """Do what the Segment panel does on Run, from a script or the console.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the result as a new layer, once it is there.
    layer : napari.layers.Image
        The image to segment.
    model
        Name or path of a model.
    **settings
        As in `napari_tincture.worker.settings.JobSettings`; ``options={"output": "classes"}``
        asks for classes instead of objects.

    Returns
    -------
    Job
        Under way, or waiting; the window stays responsive.

    Raises
    ------
    InputError
        If the axes of the layer cannot be known, or a setting cannot be right.
    """
    return run_layer("segment", viewer, layer, model, **settings)
