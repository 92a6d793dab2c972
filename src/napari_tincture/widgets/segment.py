"""The Segment panel."""

from __future__ import annotations

from typing import Any, ClassVar

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFormLayout

from napari_tincture.raster import Raster
from napari_tincture.widgets._form import Choice, Item
from napari_tincture.widgets._plan import open_layer
from napari_tincture.widgets._run_layer import run_layer
from napari_tincture.widgets._task_panel import TaskPanel
from napari_tincture.widgets._teach import Teach
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

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        super().refresh()
        self.teach.refresh()

    def settings(self) -> dict[str, Choice]:
        """Give the drop-downs whose values are remembered."""
        return {**super().settings(), "result": self.result}

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments that only this task has."""
        return {**super().options(), "output": self.result.value}

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Learn no more while in no window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.teach.close_down()

    def _lay_out(self) -> None:
        super()._lay_out()
        self.teach = Teach(
            self.viewer, self._hub, self._painted_on, lambda: str(self.more.device.value)
        )
        settings = self.batch.parentWidget()
        assert settings is not None
        layout = settings.layout()
        assert layout is not None
        layout.addWidget(self.teach)
        self.teach.kept.connect(self._on_kept)

    def _painted_on(self) -> tuple[Any, Raster]:
        raster = open_layer(self.viewer, self.layer.value or "", self._axes)
        return self.viewer.layers[self.layer.value], raster

    def _on_kept(self, name: str) -> None:
        """Go on with what was taught, which knows classes and no objects."""
        self.model.choose(name)
        self.result.value = "classes"
        self.refresh()


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
