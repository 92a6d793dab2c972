"""The Stain panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from qtpy.QtWidgets import QCheckBox, QFileDialog, QFormLayout, QPushButton, QSpinBox

from napari_tincture.errors import ModelError, TinctureError
from napari_tincture.models.card import ModelCard
from napari_tincture.models.directions import turned_card
from napari_tincture.widgets._also_row import AlsoRow
from napari_tincture.widgets._form import Choice, Item, Level, show_row, take
from napari_tincture.widgets._plan import Plan
from napari_tincture.widgets._run_layer import run_layer
from napari_tincture.widgets._sampler_rows import LARGEST_SEED, show_seed
from napari_tincture.widgets._task_panel import TaskPanel
from napari_tincture.worker.jobs import Job

_DIRECTIONS = (
    Item("forward", "forward", "From the model's inputs to its outputs"),
    Item("backward", "backward", "From its outputs to its inputs"),
)
MOST_SAMPLES = 64
FIGURES = "PNG (*.png);;PDF (*.pdf);;SVG (*.svg)"


class StainPanel(TaskPanel):
    """Stains an image layer virtually; the result is a new layer in its place."""

    task: ClassVar[str] = "stain"

    @property
    def card(self) -> ModelCard:
        """Card of the model in the chosen direction.

        Raises
        ------
        ModelError
            If no model is chosen.
        """
        card = super().card
        return turned_card(card) if self._backward(card) else card

    def add_rows(self, layout: QFormLayout) -> None:
        """Add what the model can do beside one image in one direction."""
        self.direction = Choice(_DIRECTIONS, tooltip="Which way the model is used")
        self.also = AlsoRow()
        self.samples, self.seed = QSpinBox(), QSpinBox()
        self.samples.setRange(1, MOST_SAMPLES)
        self.samples.setValue(3)
        self.samples.setToolTip("Draws of noise that the result is the mean of")
        self.seed.setRange(0, LARGEST_SEED)
        self.seed.setToolTip("Of the noise: the same seed gives the same result")
        layout.addRow("Direction", self.direction)
        layout.addRow("Also", self.also)
        layout.addRow("Samples", self.samples)
        layout.addRow("Seed", self.seed)
        self.sheet_button = QPushButton("Process sheet…")
        self.sheet_button.setToolTip(
            "One figure: the image, its stain, the way back, heat maps and errors; for a report"
        )
        self.more.add(self.sheet_button)
        self.sheet_button.clicked.connect(lambda _: self._on_sheet())
        self.also.changed.connect(self._later.start)
        for box in (self.samples, self.seed):
            box.valueChanged.connect(lambda _: self._later.start())

    def settings(self) -> dict[str, Choice]:
        """Give the drop-downs whose values are remembered."""
        return {**super().settings(), "direction": self.direction}

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments that only this task has."""
        found = super().options()
        try:
            card = super().card
        except ModelError:
            return found
        if self._backward(card):
            found["direction"] = "backward"
        if card.noise_inputs:
            found = {"samples": self.samples.value(), "seed": self.seed.value()} | found
        if self.also.ticked and not self.output.live:
            found["outputs"] = ["image", *self.also.ticked]
        return found

    def show_options(self, given: dict[str, Any], layers: Sequence[str]) -> None:
        """Show settings of a recipe and take off the list what there are controls for."""
        super().show_options(given, layers)
        take(self.direction, given, "direction", "forward")
        self.samples.setValue(int(given.pop("samples", 3)))
        show_seed(self.seed, given)
        wanted = given.get("outputs", ())
        for name, tick in self.also.boxes.items():
            tick.setChecked(name in wanted)
        if {*wanted} <= {"image", *self.also.boxes}:
            given.pop("outputs", None)

    def plan(self) -> Plan:
        """Make a job of what the panel shows now.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        plan = super().plan()
        if self.output.live and self.also.ticked:
            note = "Live shows the image alone; choose another output for what is ticked."
            return replace(plan, notes=(*plan.notes, note))
        return plan

    def offer(self) -> None:
        """Show what the chosen model can do beside one image in one direction."""
        try:
            first, card = super().card, self.card
        except ModelError:
            both = noise = False
            self.also.offer(())
        else:
            both, noise = "backward" in first.parts, bool(card.noise_inputs)
            self.also.offer(card.offers)
        self.output.several = bool(self.also.ticked)
        for field, shown in (
            (self.direction, both), (self.also, bool(self.also.offered)),
            (self.samples, noise), (self.seed, noise),
        ):  # fmt: skip
            show_row(self._form, field, shown)
        self.seed.setEnabled("seed" not in self.further.values)

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        super().refresh()
        self.sheet_button.setEnabled(self.message.level is not Level.PROBLEM)

    def make_sheet(self, path: str) -> Job:
        """Draw what the model does to what the panel shows, as one figure in a file.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        plan = super().plan()
        options = {k: v for k, v in plan.settings.options.items() if k != "outputs"}
        settings = replace(
            plan.settings, task="process_sheet", options={**options, "path": path}, save_to=None
        )
        self._job = self._hub.start(self.viewer, settings, plan.sources)
        self._show_jobs()
        return self._job

    def _on_sheet(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the process sheet as", "sheet.png", FIGURES
        )
        if not path:
            return
        try:
            self.make_sheet(path)
        except TinctureError as error:
            self._say(Level.PROBLEM, str(error))

    def _backward(self, card: ModelCard) -> bool:
        return bool(self.direction.value == "backward") and "backward" in card.parts

    def _boxes(self) -> dict[str, QCheckBox]:
        return {**super()._boxes(), **self.also.boxes}


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
        save_to, overwrite, options; ``options={"outputs": ["image", "cycle_error"]}`` asks for
        more than the image, each as a layer.

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
