"""The Segment panel."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

from qtpy.QtWidgets import QFileDialog, QFormLayout, QPushButton

from napari_tincture.errors import InputError, ModelError, OutputError
from napari_tincture.object_table import ObjectTable
from napari_tincture.raster import Raster
from napari_tincture.tasks._instances import instance_step
from napari_tincture.tasks._sizes import as_pixels
from napari_tincture.widgets._form import Choice, Item, Level, show_row, take
from napari_tincture.widgets._memory import kept
from napari_tincture.widgets._object_maps import ObjectMaps
from napari_tincture.widgets._plan import Plan
from napari_tincture.widgets._run_layer import run_layer
from napari_tincture.widgets._size_row import SizeRow
from napari_tincture.widgets._task_panel import TaskPanel
from napari_tincture.widgets._teach import Teach
from napari_tincture.worker.jobs import Job

_RESULTS = (
    Item("objects", "labels", "One number per object: a Labels layer"),
    Item("classes", "classes", "The likeliest class of each pixel: a Labels layer"),
    Item("probabilities", "probabilities", "What the network says: one image layer per class"),
)
_REALISM = Item(
    "realism", "realism", "How much like true labels the model's discriminator finds its maps"
)
_AUGMENT = (
    Item("none", "none", "The image as it lies: one run of the network"),
    Item("8 turns", "turns", "Mean over the flips and quarter turns: eight runs, nothing blurs"),
    Item("7 rotations", 7, "Mean over seven rotations, interpolated: seven runs and more"),
)
_LINKS = {
    "z": Item("through z", "z", "One number for an object in all planes along z, by overlap"),
    "t": Item("through t", "t", "One number for an object in all frames, by overlap"),
}
TABLES = "CSV (*.csv)"


class SegmentPanel(TaskPanel):
    """Finds objects or classes in an image layer; the result is a new layer in its place.

    Objects are measured, and the layer has their table as features.
    """

    task: ClassVar[str] = "segment"

    def add_rows(self, layout: QFormLayout) -> None:
        """Add the choice of the result, and of how it is found."""
        self.result = Choice(_RESULTS, tooltip="What is wanted of the image")
        self.augment = Choice(_AUGMENT, tooltip="Average what the network says over ways to look")
        self.link = Choice(tooltip="Whether objects of neighbouring planes have one number")
        self.maps, self.sizes = ObjectMaps(), SizeRow()
        for label, field in (("Result", self.result), ("Objects", self.maps), ("Size", self.sizes),
                             ("Average", self.augment), ("Link", self.link)):  # fmt: skip
            layout.addRow(label, field)
        self.maps.changed.connect(self._later.start)
        self.sizes.changed.connect(self._later.start)
        self.table: ObjectTable | None = None
        self.table_button = QPushButton("Save table…")
        self.table_button.setToolTip("Area, place, shape and intensity of the objects found last")
        self.table_button.setEnabled(False)
        self.more.add(self.table_button)
        self.table_button.clicked.connect(lambda _: self._on_table())
        self._hub.ended.connect(self._on_ended)

    def offer(self) -> None:
        """Offer what the model has, and links along the axes that the layer has."""
        offers: tuple[str, ...] = ()
        with suppress(ModelError):
            offers = self.card.offers
            self.maps.offer(self.card)
        self.result.set_items([*_RESULTS, *([_REALISM] if "realism" in offers else [])])
        show_row(self._form, self.maps, self._unnamed)
        axes = ""
        with suppress(InputError):  # the plan says what is missing
            axes = self.chosen.open().axes
        known = [_LINKS[axis] for axis in "zt" if axis in axes]
        self.link.set_items([Item("none", "", "Every plane has numbers of its own"), *known])
        show_row(self._form, self.link, bool(known) and self._objects)
        show_row(self._form, self.sizes, self._objects)
        show_row(self._form, self.augment, self.result.value != "realism")

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        super().refresh()
        self.teach.offer(self.model.items)
        self.teach.refresh()

    def settings(self) -> dict[str, Choice]:
        """Give the drop-downs whose values are remembered."""
        own = {"result": self.result, "augment": self.augment, "link": self.link}
        return {**super().settings(), **own}

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments that only this task has."""
        found = {**super().options(), "output": self.result.value}
        if self.augment.value != "none" and self.result.value != "realism":
            found["augment"] = self.augment.value
        if self.link.value and self._objects:
            found["link"] = self.link.value
        if self._unnamed:
            found["instances"] = self.maps.options
        return found | (self.sizes.options if self._objects else {})

    def show_options(self, given: dict[str, Any], layers: Sequence[str]) -> None:
        """Show settings of a recipe and take off the list what there are controls for."""
        super().show_options(given, layers)
        take(self.result, given, "output", "labels")
        take(self.augment, given, "augment", "none")
        take(self.link, given, "link", "")
        self.sizes.options = given
        for name in ("min_size", "max_size", "size_unit"):
            given.pop(name, None)
        if self._unnamed:
            self.maps.show_options(given)

    @property
    def _objects(self) -> bool:
        """Whether objects are wanted."""
        return bool(self.result.value == "labels")

    @property
    def _unnamed(self) -> bool:
        """Whether objects are wanted of a model that does not say how."""
        with suppress(ModelError):
            return self._objects and self.card.instances is None
        return False

    def _plan(self, **output: Any) -> Plan:
        plan = super()._plan(**output)
        if self._objects:
            instance_step(self.card, plan.settings.options.get("instances"), {})
            least, most, unit = self.sizes.limits
            as_pixels(plan.sources[0], least, most, unit)
        return plan

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "sizes": self.sizes.options}

    def _recall(self) -> None:
        super()._recall()
        self.sizes.options = kept(self.task).get("sizes", {})

    def _on_ended(self, job: Any) -> None:
        if self._job is not None and job is self._job:
            self.table = next(iter(self._job.tables.values()), None)
            self.table_button.setEnabled(self.table is not None)

    def _on_table(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the table of objects as", "objects.csv", TABLES
        )
        if not path or self.table is None:
            return
        try:
            self.table.save(path)
        except OutputError as error:
            self._say(Level.PROBLEM, str(error))

    def _sleep(self) -> None:
        """Learn no more while in no window."""
        super()._sleep()
        self.teach.close_down()

    def _wake(self) -> None:
        super()._wake()
        self.teach.keys.wake()
        self._later.start()

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
        raster = self.chosen.open()
        return self.viewer.layers[self.chosen.name], raster

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
