"""The parts of the Train panel, and its recipe in other forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_tincture.durable import write_json
from napari_tincture.errors import InputError, TinctureError
from napari_tincture.io.open import open_image
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._begun_row import BegunRow
from napari_tincture.widgets._clipboard import copy_text
from napari_tincture.widgets._docked import Docked
from napari_tincture.widgets._form import Level, Message, Scrolling
from napari_tincture.widgets._sources import Sides
from napari_tincture.widgets._train_form import TrainForm
from napari_tincture.widgets._train_plan import TrainPlan
from napari_tincture.widgets._train_preview import Previews
from napari_tincture.widgets._train_row import TrainRow
from napari_tincture.worker.questions import Answer
from napari_tincture.worker.sources import describe_all

_PAUSE = 40
"""Milliseconds without a change after which the panel is refreshed."""


class TrainParts(Docked):
    """What the panel is made of; `TrainPanel` makes trainings of it."""

    _alive: list[bool]

    def plan(self) -> TrainPlan:
        """Make a training of what the panel shows; for the subclass."""
        raise NotImplementedError

    def save_recipe(self, path: str) -> None:
        """Write the complete recipe of what the panel shows, once the worker has made it.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """

        def save(recipe: Mapping[str, Any]) -> str:
            write_json(Path(path), recipe)
            return f"Saved {Path(path).name}."

        self._with_recipe(save)

    def copy_recipe(self, language: str) -> None:
        """Copy what the panel shows as ``"python"`` or as a ``"command"``; raises as `save_recipe`.

        Images that are in memory alone are named nowhere: they are given when it is run.
        """

        def copy(recipe: Mapping[str, Any]) -> str:
            own = Recipe("train", settings={"recipe": dict(recipe)})
            copy_text(own.python if language == "python" else own.command)
            return "Copied as Python." if language == "python" else "Copied as a command."

        self._with_recipe(copy)

    def _with_recipe(self, do: Callable[[Mapping[str, Any]], str]) -> None:
        """Do something with the complete recipe, once the worker has made it, and tell of it."""
        plan = self.plan()

        def hear(answer: Answer) -> None:
            try:
                if answer.error is not None:
                    raise answer.error
                self.runner.status.show_text(Level.READY, do(answer.values))
            except (TinctureError, OSError) as error:
                self.runner.status.show_text(Level.PROBLEM, in_panel(error))

        sources = describe_all(plan.sources)
        self._ask("recipe", hear, settings=plan.settings.to_json(), sources=sources)

    def _make_parts(self) -> None:
        self.sides, self.form, self.begun = Sides(), TrainForm(), BegunRow()
        self.previews = Previews(self.viewer, self._hub, self._stack_of)
        self.message, self.runner = Message(), TrainRow()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_PAUSE)

    def _lay_out(self) -> None:
        settings = QWidget()
        inner = QVBoxLayout(settings)
        inner.setContentsMargins(0, 0, 0, 0)
        self.form.form.addRow("Preview", self.previews.choice)
        for part in (self.sides, self.form, self.begun):
            inner.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        for widget in (Scrolling(settings), self.message, self.runner):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _ask(self, what: str, listener: Callable[[Answer], None], **fields: Any) -> None:
        alive = self._alive

        def hear(answer: Answer) -> None:
            if alive:
                listener(answer)

        self._hub.ask(what, hear, **fields)

    def _stack_of(self) -> tuple[Any, dict[str, str], bool]:
        """The first layer of what it is given, known axes, and whether planes are channels."""
        ticked = self.sides.given.layers.ticked
        stack = self.form.channels()["a"] == ("z",)
        return ticked[0] if ticked else None, self.sides.known_axes, stack

    def _unclear(self) -> Any:
        """The first chosen layer whose axes are unknown."""
        for chosen in self.sides.chosen.values():
            for layer in filter(None, (*chosen.layers, chosen.mask)):
                try:
                    open_image(layer, axes=self.sides.known_axes.get(layer.name) or None)
                except InputError:
                    return layer if layer.ndim > 2 else None
        return None
