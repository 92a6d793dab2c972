"""The Synthesize panel."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QFormLayout, QPushButton

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.class_table import classes_of
from napari_tincture.tasks.recipe import DATASET, Recipe
from napari_tincture.widgets._class_mapping import ClassMapping
from napari_tincture.widgets._dataset import MapFolder
from napari_tincture.widgets._derive_row import DeriveRow
from napari_tincture.widgets._drawing import Drawing
from napari_tincture.widgets._fields import pixels_box
from napari_tincture.widgets._form import show_row
from napari_tincture.widgets._label_map import LabelMapRow
from napari_tincture.widgets._memory import kept
from napari_tincture.widgets._plan import Choices, Plan, open_layer, own_letters
from napari_tincture.widgets._run_layer import run_layer
from napari_tincture.widgets._sampler_comparison import SamplerComparison
from napari_tincture.widgets._sampler_rows import SamplerRows
from napari_tincture.widgets._style_row import style_layers
from napari_tincture.widgets._synthesis_plan import (
    Surveyor,
    plan_synthesis,
    repainting,
    with_seed,
)
from napari_tincture.widgets._task_panel import TaskPanel
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.live_client import LiveLink
from napari_tincture.worker.settings import JobSettings

MARGIN = 32


class SynthesizePanel(TaskPanel):
    """Makes a realistic image of a painted Labels layer, and repaints it where the map changes.

    1. Run draws the map; previews of the image appear in a layer of their own.
    2. The worker keeps what it drew. Repaint sends the map again, and only what depends on a
       change is drawn.
    3. The same layer shows the new image; everything beyond the margin is as it was.
    """

    task: ClassVar[str] = "synthesize"
    further_tasks: ClassVar[tuple[str, ...]] = ("repaint", "compare_samplers", DATASET)
    kind: ClassVar[type[Any]] = Labels
    batch: MapFolder

    def add_rows(self, layout: QFormLayout) -> None:
        """Add the map's classes, how it is drawn, and the button that repaints it."""
        self.map = LabelMapRow(self.viewer, self.layer)
        self.mapping, self.sampling = ClassMapping(), SamplerRows()
        layout.addRow("Classes", self.map)
        layout.addRow(self.mapping)
        self.sampling.add_to(layout)
        self.derive = DeriveRow(self.viewer, self.chosen.open)
        self.more.add(self.sampling.variants, "Variants")
        self._jobs: list[Job] = []
        self._survey = Surveyor()
        self.margin = pixels_box(MARGIN, 512)
        self.margin.setToolTip("How far around a change Repaint may change the image")
        layout.addRow("Margin", self.margin)
        self.repaint_button = QPushButton("Repaint what changed")
        self.repaint_button.setToolTip(
            "Draw anew where the map changed since; the rest of the image stays as it is"
        )
        layout.addRow(self.repaint_button)
        layout.addRow(self.derive)
        self.comparison = SamplerComparison()
        layout.addRow(self.comparison)
        self.comparison.run.connect(lambda: self._on_run(self.compare_samplers))
        self.drawing = Drawing(self.viewer)
        self.repaint_button.clicked.connect(lambda _: self._on_run(self.repaint_map))
        self.runner.run_button.setText("Synthesize")
        for part in (self.map, self.mapping, self.sampling):
            part.changed.connect(self._later.start)
        self._hub.ended.connect(self._on_ended)

    def run(self) -> Job | LiveLink:
        """Start what the panel shows; the image appears in a layer and sharpens.

        Of several variants each is a job; the shown seed is drawn last, for repainting.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        plan = self.plan()
        seeds = self.sampling.seeds(plan.settings.options["seed"])
        if len(seeds) > 1 and plan.settings.save_to is not None:
            raise InputError(
                f"{len(seeds)} variants do not go into one file. Choose a layer as output, or one "
                "variant."
            )
        self.map.dress()
        self._jobs = []
        for seed in reversed(seeds):
            title = f"seed {seed}" if len(seeds) > 1 else ""
            job = self._start(with_seed(plan, seed), None, title=title)
        return job

    def repaint_map(self) -> Job:
        """Draw anew what changed of the map since the image was drawn.

        Raises
        ------
        TinctureError
            If there is no image of this map and model, or the map does not fit.
        """
        plan = self.plan()
        before = self.drawing.scene_of(self.layer.value, plan.settings)
        if before is None:
            raise InputError("Nothing was drawn yet with these settings; press Synthesize.")
        self._jobs = []
        return self._start(
            repainting(plan, before.number, self.margin.value()), before, plan.settings
        )

    def run_batch(self) -> Job:
        """Start what the panel shows on all label maps of a folder.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        if isinstance(self.options().get("style"), dict):
            raise InputError(
                "The style of a layer is for one map at a time. Choose another style for a folder."
            )
        return super().run_batch()

    def make_batch(self) -> MapFolder:
        """Make the form for many label maps, of which data sets are made, too."""
        return MapFolder()

    def compare_samplers(self) -> Job:
        """Draw the map by several samplers and numbers of steps; each image becomes a layer.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        name = self.comparison.reference.value
        reference = open_layer(self.viewer, name, dict(self.chosen.known)) if name else None
        plan = self.comparison.varied(self.plan(), reference)
        show = partial(self.comparison.finish, self.viewer)
        self._jobs = []
        self._job = self._hub.start(self.viewer, plan.settings, plan.sources, show)
        self._show_jobs()
        return self._job

    def cancel(self) -> None:
        """Stop what the latest press started."""
        for job in reversed(self._jobs):  # those that wait first
            self._hub.client.cancel(job)
        super().cancel()

    def _start(
        self, plan: Plan, before: Any, drawn: JobSettings | None = None, title: str = ""
    ) -> Job:
        self._job = self._hub.start(self.viewer, plan.settings, plan.sources, drawing=self.drawing)
        self._jobs.append(self._job)
        self.drawing.begin(self._job, self.layer.value, drawn or plan.settings, before, title)
        self.output.replace.setChecked(False)
        self._show_jobs()
        return self._job

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments that only this task has."""
        found = self.sampling.options | self.further.values  # where a large seed may be
        if decided := self.mapping.options:
            found["classes"] = {**found.get("classes", {}), **decided}
        return found

    def show_recipe(self, recipe: Recipe, layers: Sequence[str]) -> None:
        """Show what a recipe says to draw, of a map or of a data set."""
        self.batch.dataset.setChecked(recipe.task == DATASET)
        super().show_recipe(recipe, layers)

    def show_options(self, given: dict[str, Any], layers: Sequence[str]) -> None:
        """Show settings of a recipe and take off the list what there are controls for."""
        super().show_options(given, layers)
        self.sampling.show_options(given, layers, self.card)
        self.mapping.show_options(given)
        self.batch.show_options(given, self.derive)

    def offer(self) -> None:
        """Show the chosen model's classes, and what it can do."""
        self.more.leave_out_tiling()
        self.output.offer_live(offered=False)
        classes, card = {}, None
        with suppress(ModelError):
            card = self.card
            classes = classes_of(card)
        self.map.offer(classes)
        layers = style_layers(self.viewer, card)
        self.sampling.offer(card, layers)
        self.sampling.hold_seed(held="seed" in self.further.values)
        denoises = card is not None and card.denoising is not None
        self.comparison.offer(layers, shown=denoises)
        self.derive.offer(card)

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        with self._survey.held():
            super().refresh()
        plan = self._planned
        known = bool(plan and self.drawing.scene_of(self.layer.value, plan.settings))
        self.repaint_button.setEnabled(known)
        show_row(self._form, self.margin, known)

    def _plan(self, **output: Any) -> Plan:
        if not self.layer.value:
            raise InputError("Choose a Labels layer, or press New map.")
        output.pop("live", None)
        return plan_synthesis(self.viewer, self._choices(**output), self.card, self._survey)

    def _choices(self, **output: Any) -> Choices:
        return Choices(
            task=self.task, model=self.model.name, layer=self.layer.value,
            axes=dict(self.chosen.known), region=self.region.value, box=self.box,
            shapes=self.shapes.value or "", planes=self.planes.value,
            device=self.more.device.value, precision=self.more.precision.value,
            options=self.options(), any_pixel_size=self.more.any_pixel_size.isChecked(), **output,
        )  # fmt: skip

    def _offer_channels(self) -> None:
        self.channels.setVisible(False)
        if not self.layer.value:
            return
        raster, card = self.chosen.open(), self.card
        show_row(self._form, self.planes, bool(set(own_letters(raster)) & set("tz")))
        unknown = self._survey.unknown(self.viewer, self._choices(), card, raster)
        self.mapping.offer(*unknown, classes_of(card))

    def _batch_settings(self) -> JobSettings:
        settings = super()._batch_settings()
        if not self.batch.dataset.isChecked():
            return settings
        options = {**settings.options, **self.batch.options(self.derive)}
        return replace(settings, task=DATASET, options=options, overwrite=False)

    def _suggest_model(self) -> None:
        """Any model draws any map, if its classes are those of the map."""

    def _sleep(self) -> None:
        """Leave the keys to others while in no window."""
        super()._sleep()
        self.map.keys.rest()

    def _wake(self) -> None:
        super()._wake()
        self.map.keys.wake()
        self._later.start()

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "sampling": self.sampling.state}

    def _recall(self) -> None:
        super()._recall()
        if state := kept(self.task):
            self.sampling.recall(state["sampling"])

    def _boxes(self) -> dict[str, QCheckBox]:
        return {"any_pixel_size": self.more.any_pixel_size}

    def _adopt(self) -> list[Job]:
        self._jobs = super()._adopt()
        self._show_jobs()
        return self._jobs

    def _show_jobs(self, *_: Any) -> None:
        under_way = (job for job in self._jobs if not job.state.final)
        self.runner.show_job(next(under_way, self._job), self._hub.client.jobs)

    def _on_ended(self, job: Job) -> None:
        if job is self._job:
            self._later.start()


def synthesize_layer(viewer: Any, layer: Any, model: str, **settings: Any) -> Job:
    """Do what the Synthesize panel does on Run, from a script or the console.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the result as a new layer, once it is there.
    layer : napari.layers.Labels
        The label map.
    model
        Name or path of a model.
    **settings
        As in `napari_tincture.worker.settings.JobSettings`: region, device, precision, save_to,
        overwrite, options such as ``{"steps": 20, "seed": 7}``.

    Returns
    -------
    Job
        Under way, or waiting; the window stays responsive.

    Raises
    ------
    InputError
        If the axes of the layer cannot be known, or a setting cannot be right.
    """
    return run_layer("synthesize", viewer, layer, model, **settings)
