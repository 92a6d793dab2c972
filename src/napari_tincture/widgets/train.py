"""The Train panel.

1. Every change, of a setting or in the viewer, starts a short timer; then it is said what would be
   trained, or why nothing can be.
2. Train hands the plan to a worker of its own, whose news come through the hub of the session.
3. While it runs, the worker is told what is on screen, and previews come back as a layer.
4. The finished model is in the user's library, and the other panels offer it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.training.begun import read_begun
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._gone import when_gone
from napari_tincture.widgets._jobs import JobHub, job_hub
from napari_tincture.widgets._layers import LayerWatch
from napari_tincture.widgets._memory import keep, kept
from napari_tincture.widgets._train_parts import TrainParts
from napari_tincture.widgets._train_plan import (
    Chosen,
    TrainChoices,
    TrainPlan,
    make_train_plan,
    resume_plan,
)
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.questions import Answer
from napari_tincture.worker.training_job import TrainingJob

_TASK = "train"


class TrainPanel(TrainParts):
    """Trains a model from layers or folders, and shows how it gets on.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    hub
        Runs the training; that of the session unless a test gives its own.
    """

    def __init__(self, napari_viewer: Any, hub: JobHub | None = None) -> None:
        super().__init__(napari_viewer, hub)
        self._job: TrainingJob | None = None
        self._taken: Mapping[str, Any] | None = None
        self._make_parts()
        self._lay_out()
        self._connect()
        self._follow(next(iter(self._hub.trainer.jobs), None))
        self.refresh()

    def train(self) -> TrainingJob:
        """Begin what the panel shows.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        return self._begin(self.plan())

    def resume(self) -> TrainingJob:
        """Go on with the training that is chosen among those begun before.

        Raises
        ------
        TinctureError
            If there is none, its images are gone, or no step is left.
        """
        begun = self.begun.chosen
        if begun is None:
            raise InputError("There is no training to resume; begin one with Train.")
        settings = {name: self.form.settings()[name] for name in ("preview_every", "device")}
        steps = self.form.learning.values.get("steps")
        return self._begin(
            resume_plan(begun, self.viewer, self.sides.known_axes, steps=steps, **settings)
        )

    def plan(self) -> TrainPlan:
        """Make a training of what the panel shows now.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        choices = TrainChoices(
            sides=self.sides.chosen, axes=self.sides.known_axes, channels=self.form.channels(),
            values=self.form.value("values"), crop=self.form.value("crop"),
            settings=self.form.settings(),
        )  # fmt: skip
        return make_train_plan(choices)

    def pause(self) -> None:
        """Hold the training, or let it go on."""
        if self._job is not None:
            self._hub.trainer.steer(self._job, "resume" if self._job.paused else "pause")

    def stop(self) -> None:
        """End the training after its step and keep the model."""
        if self._job is not None:
            self._hub.trainer.steer(self._job, "stop")

    def cancel(self) -> None:
        """End the training after its step with a checkpoint alone."""
        if self._job is not None:
            self._hub.trainer.cancel(self._job)

    def take(self, recipe: Mapping[str, Any]) -> None:
        """Show a recipe and its images, once the families are known."""
        self._taken = recipe
        if not self.form.ready:
            return
        self._taken = None
        try:
            self.form.load(recipe)
        except InputError as error:
            self.runner.status.show_text(Level.PROBLEM, in_panel(error))
            return
        self.refresh()
        begun = read_begun(str(recipe["name"]))
        self.sides.take(recipe["data"], begun.sources if begun else {}, self.viewer)
        self.refresh()

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        layers = list(reversed(self.viewer.layers))
        self.sides.offer(layers)
        try:
            family = self.form.described
            told = (family[name] for name in ("data", "pairs", "labels", "synthesizes"))
            self.sides.offer_pairings(*told)
            self._offer_previews(drawn=family["denoises"])
            self.sides.ask_axes(self._unclear())
            plan = self.plan()
        except TinctureError as error:
            self._say(Level.PROBLEM if self.form.ready else Level.NOTE, in_panel(error))
        else:
            self._say(Level.READY, f"Ready: {plan.size}.")
            keep(_TASK, {"form": self.form.state()})
        self._later.stop()

    def _offer_previews(self, *, drawn: bool) -> None:
        side = self.sides.words[1 if self.sides.reversed else 0]
        self.previews.offer(self.sides.given.layers.offered, side, drawn=drawn)

    def _begin(self, plan: TrainPlan) -> TrainingJob:
        job = self._hub.train(self.viewer, plan.settings, plan.sources)
        self._follow(job)
        self.refresh()
        return job

    def _follow(self, job: Job | None) -> None:
        self._job = job if isinstance(job, TrainingJob) else None
        self.previews.follow(self._job)
        self.runner.show_job(self._job)

    def _connect(self) -> None:
        self._later.timeout.connect(self.refresh)
        for part in (self.sides, self.form):
            part.changed.connect(self._later.start)
        self.form.file.saving.connect(lambda path: self._try(partial(self.save_recipe, path)))
        self.form.file.copying.connect(lambda how: self._try(partial(self.copy_recipe, how)))
        self.form.file.loading.connect(self.take)
        self.form.file.problem.connect(partial(self.runner.status.show_text, Level.PROBLEM))
        self.begun.resume.connect(partial(self._try, self.resume))
        self.runner.train.connect(partial(self._try, self.train))
        for signal, action in (
            (self.runner.pause, self.pause), (self.runner.stop, self.stop),
            (self.runner.cancel, self.cancel),
        ):  # fmt: skip
            signal.connect(action)
        self._hub.changed.connect(self._on_job)
        self._hub.ready.connect(self._offer_devices)
        look = self.previews.later.start
        self._watch = LayerWatch(self.viewer, self._later.start, lambda: None, look)
        alive = self._alive = [True]
        when_gone(self, alive.clear)
        self.destroyed.connect(self._watch.stop)
        when_gone(self, partial(self._hub.close_panel, id(self)))
        self._wake()
        self._offer_devices()
        self._ask("families", self._on_families)

    def _on_families(self, answer: Answer) -> None:
        if answer.error is not None:
            self.runner.status.show_text(Level.PROBLEM, in_panel(answer.error))
            return
        self.form.offer(answer.values["families"])
        if remembered := kept(_TASK):
            self.form.recall(remembered["form"])
        self.refresh()
        if self._taken is not None:
            self.take(self._taken)

    def _offer_devices(self) -> None:
        self.form.offer_devices(self._hub.client.devices)

    def _on_job(self, job: Job) -> None:
        if job is not self._job or self._job is None:
            return
        self.runner.show_job(self._job)
        self.previews.hear()
        if job.state.final or not self._job.done:
            self.begun.look_again()
            self.refresh()

    def _try(self, what: Callable[[], Any]) -> None:
        try:
            what()
        except TinctureError as error:  # something changed since the last refresh
            self._say(Level.PROBLEM, in_panel(error))

    def _say(self, level: Level, text: str) -> None:
        self.message.show_text(level, text)
        free = self._job is None or self._job.state.final
        self.runner.train_button.setEnabled(free and level is Level.READY)
        self.begun.resume_button.setEnabled(free and self.form.ready)


def train_layers(
    viewer: Any,
    source: Any,
    target: Any,
    family: str = "cyclegan",
    size: str = "tiny",
    *,
    name: str = "",
    pairs: bool = False,
    networks: dict[str, Any] | None = None,
    device: str = "auto",
    **changes: Any,
) -> TrainingJob:
    """Do what the Train panel does on Train, from a script or the console.

    Parameters
    ----------
    viewer : napari.Viewer
        The training ends with its window.
    source, target : napari.layers.Image
        What the model will be given, and what it should make of it; lists of layers will do.
    family, size, networks, **changes
        As in `napari_tincture.training.presets.preset`.
    pairs
        Whether both are registered; families that learn from pairs need it.

    Returns
    -------
    TrainingJob
        Under way; `model` waits for the path of the finished model.

    Raises
    ------
    InputError
        If the axes of a layer cannot be known, or a setting cannot be right.
    """
    names = ("pair_a", "pair_b") if pairs else ("a", "b")
    layers = [each if isinstance(each, list | tuple) else [each] for each in (source, target)]
    settings = {
        "name": name or f"{family} {size}", "family": family, "size": size, "changes": changes,
        "networks": networks or {}, "device": device,
    }  # fmt: skip
    sides = {side: Chosen(own) for side, own in zip(names, layers, strict=True)}
    plan = make_train_plan(TrainChoices(sides=sides, settings=settings))
    return job_hub().train(viewer, plan.settings, plan.sources)
