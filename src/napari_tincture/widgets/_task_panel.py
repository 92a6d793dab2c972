"""What the panels share: choose, check, run, watch.

1. Every change, of a setting or in the viewer, starts a short timer.
2. It refreshes what the drop-downs offer and makes a plan; its size or its problem is shown.
3. Run hands the plan to the jobs of the session, which tell of the job until it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.models.card import ModelCard
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._batch import batch_choices, batch_settings
from napari_tincture.widgets._bring import choose_import
from napari_tincture.widgets._export import open_export
from napari_tincture.widgets._form import (
    Item,
    Level,
    show_row,
)
from napari_tincture.widgets._gone import when_gone
from napari_tincture.widgets._inputs import origins
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._layers import (
    LayerWatch,
    shapes_names,
)
from napari_tincture.widgets._live import LiveView
from napari_tincture.widgets._memory import keep
from napari_tincture.widgets._open_recipe import show_opened
from napari_tincture.widgets._plan import Choices, Plan, make_plan, own_letters
from napari_tincture.widgets._shown_recipe import show_recipe
from napari_tincture.widgets._task_form import TaskForm
from napari_tincture.widgets._unlike import likeness
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.live_client import LiveLink
from napari_tincture.worker.recipes import recipe_of
from napari_tincture.worker.settings import JobSettings


class TaskPanel(TaskForm):
    """A panel for one task; a subclass names the task and adds its own settings.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    hub
        Runs the jobs; that of the session unless a test gives its own.
    """

    def __init__(self, napari_viewer: Any, hub: JobHub | None = None) -> None:
        super().__init__(napari_viewer, hub)
        self._job: Job | None = None
        self._live: LiveLink | None = None
        self._make_settings()
        self.recipe = self.runner.offer_recipe(self._recipe, self._recipe_layers)
        self._lay_out()
        self._recall()
        self._connect()
        self._adopt()
        self.chosen.take_active()
        self.refresh()

    @property
    def card(self) -> ModelCard:
        """Card of what is to be run.

        Raises
        ------
        ModelError
            If no model is chosen.
        """
        return self.model.card

    def run(self) -> Job | LiveLink:
        """Start what the panel shows; the result becomes a layer, at once if it is live.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        plan = self.plan()
        if self.output.live:
            self._live = self._hub.start_live(self.viewer, plan.settings, plan.sources)
            return self._live
        self._job = self._hub.start(self.viewer, plan.settings, plan.sources)
        self.output.replace.setChecked(False)  # the next run asks again
        self._show_jobs()
        return self._job

    def run_batch(self) -> Job:
        """Start what the panel shows on all images of a folder; each result is a file.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        self._job = self._hub.start(self.viewer, self._batch_settings(), ())
        self._show_jobs()
        return self._job

    def _batch_settings(self) -> JobSettings:
        options = self.options()
        options.pop("outputs", None)  # one file each
        if self.more.any_pixel_size.isChecked():
            options["pixel_size"] = "ignore"
        return batch_settings(
            self.task, self.model.name, self.batch.folders, self.channels.origins,
            options=options, overwrite=self.batch.replace.isChecked(), **batch_choices(self.more),
        )  # fmt: skip

    def cancel(self) -> None:
        """Stop the panel's latest job within one tile."""
        if self._job is not None:
            self._hub.client.cancel(self._job)

    def show_recipe(self, recipe: Recipe, layers: Sequence[str]) -> None:
        """Show what a recipe of this task says of layers by name; see `show_recipe`."""
        show_recipe(self, recipe, layers)

    def plan(self) -> Plan:
        """Make a job of what the panel shows now.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        return self._plan(
            save_to=self.output.save_to,
            overwrite=self.output.replace.isChecked(),
            live=self.output.live,
        )

    def _recipe(self) -> Recipe:
        if self.batch.unfolded and self.batch.filled:
            return recipe_of(self._batch_settings(), ())
        plan = self.plan()
        return recipe_of(plan.settings, plan.sources)

    def _recipe_layers(self) -> list[str]:
        many = self.batch.unfolded and self.batch.filled
        return [] if many else [each.name for each in self.plan().sources]

    def _plan(self, **output: Any) -> Plan:
        card = self.card
        if not self.layer.value:
            raise InputError("Open an image, or choose an image layer.")
        choices = Choices(
            task=self.task, model=self.model.name, layer=self.layer.value,
            axes=dict(self.chosen.known), origins=tuple(self.channels.origins),
            region=self.region.value, box=self.box, shapes=self.shapes.value or "",
            planes=self.planes.value, context=self.more.context.value,
            device=self.more.device.value, precision=self.more.precision.value,
            options=self.options(), any_pixel_size=self.more.any_pixel_size.isChecked(),
            **output,
        )  # fmt: skip
        return make_plan(self.viewer, choices, card)

    def options(self) -> dict[str, Any]:
        """Give the task's own keyword arguments; a subclass adds to them."""
        ticked = {"nonfinite": self.more.nan_is_background, "on_read_error": self.more.leave_out}
        found = {name: "background" for name, box in ticked.items() if box.isChecked()}
        seams = {"seams": "blend"} if self.more.seams.value == "blend" else {}
        return self.further.values | found | seams

    def offer(self) -> None:
        """Show what the chosen model offers; for a subclass."""

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        self.chosen.offer_layers()
        self._suggest_model()
        self.offer()
        self.shapes.set_items([Item(name, name) for name in shapes_names(self.viewer)])
        show_row(self._form, self.shapes, self.region.value == "shape")
        self.chosen.offer_axes()
        show_row(self._form, self.axes, self.chosen.unsure)
        self.output.refresh()
        self._planned: Plan | None = None
        try:
            self._offer_channels()
            plan = self._planned = self.plan()
        except TinctureError as error:
            self._say(Level.PROBLEM, in_panel(error))
        else:
            level = Level.NOTE if plan.notes else Level.READY
            self._say(level, "\n".join((f"Ready: {plan.size}.", *plan.notes)))
        keep(self.task, self._state())
        self._later.stop()

    def _connect(self) -> None:
        self._later.timeout.connect(self.refresh)
        self.chosen.changed.connect(self._later.start)
        for choice in (self.shapes, *self.settings().values()):
            choice.chosen.connect(self._later.start)
        self.model.changed.connect(self._on_model)
        self.model.importing.connect(partial(choose_import, self.model, self._hub))
        self.model.exporting.connect(self._on_export)
        for part in (self.channels, self.output, self.more, self.batch, self.further):
            part.changed.connect(self._later.start)
        self.recipe.opened.connect(partial(show_opened, self.viewer, self._say))
        self.runner.run.connect(partial(self._on_run, self.run))
        self.batch.run.connect(partial(self._on_run, self.run_batch))
        self.runner.cancel.connect(self.cancel)
        self.live_row.saving.connect(self._on_saving)
        self.live_row.problem.connect(partial(self.message.show_text, Level.PROBLEM))
        self._hub.live_opened.connect(self._on_live)
        self._hub.changed.connect(self._show_jobs)
        self._hub.ready.connect(self._offer_devices)
        self._hub.models_changed.connect(self.model.look_again)
        self._watch = LayerWatch(
            self.viewer, self._later.start, self.chosen.take_active, self._on_view
        )
        self.destroyed.connect(self._watch.stop)
        when_gone(self, partial(self._hub.close_panel, id(self)))
        self._wake()
        self._offer_devices()
        self._on_model()

    def _adopt(self) -> list[Job]:
        """Go on with what a panel that was closed has begun in this viewer; give it all."""
        jobs = self._hub.under_way(self.viewer, (self.task, *self.further_tasks))
        self._job = jobs[-1] if jobs else None
        self._show_jobs()
        return jobs

    def _suggest_model(self) -> None:
        """Choose a model for the layer before anything is offered that depends on the model."""
        with suppress(InputError):  # `_offer_channels` says what the layer lacks
            image = self.chosen.open()
            layer = self.viewer.layers[self.chosen.name]
            self.model.suggest(image, partial(likeness, layer, image))

    def _offer_channels(self) -> None:
        rasters = self.chosen.open_all()
        if self.layer.value not in rasters:
            return
        raster = rasters[self.layer.value]
        card = self.card
        self.channels.offer(
            [(channel.name, channel.description) for channel in card.image_inputs],
            origins(rasters, self.layer.value),
            self.layer.value,
        )
        self.channels.setVisible(len(card.image_inputs) > 1 or "c" in raster.axes)
        taken = {origin.axis for origin in self.channels.origins if origin is not None}
        show_row(self._form, self.planes, bool(set(own_letters(raster)) & set("tz") - taken))

    def _on_view(self) -> None:
        if self.region.value == "viewport" or self.planes.value == "shown":
            self._later.start()

    def _on_model(self) -> None:
        if self.model.name:
            settings = JobSettings(task=self.task, model=self.model.name, options=self.options())
            self._hub.client.warm(settings)
        self._later.start()

    def _on_run(self, start: Callable[[], Any]) -> None:
        try:
            start()
        except TinctureError as error:  # something changed since the last refresh
            self._say(Level.PROBLEM, in_panel(error))

    def _on_export(self) -> None:
        try:
            # Nothing of the size of the layer is made.
            open_export(self._plan(live=True), self.card, self._hub, self).open()
        except TinctureError as error:
            self._say(Level.PROBLEM, in_panel(error))

    def _on_live(self, live: LiveLink, view: LiveView) -> None:
        if live is self._live:
            self.live_row.follow(live, view)

    def _on_saving(self, job: Job) -> None:
        self._job = job
        self._show_jobs()

    def _say(self, level: Level, text: str) -> None:
        self.message.show_text(level, text)
        self.runner.run_button.setEnabled(level is not Level.PROBLEM)

    def _show_jobs(self, *_: Any) -> None:
        self.runner.show_job(self._job, self._hub.client.jobs)
