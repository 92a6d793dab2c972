"""The Models panel: which there are, what each is, and bringing, trying and giving them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QPushButton, QVBoxLayout

from napari_tincture.errors import ModelError, TinctureError
from napari_tincture.io.fetch_model import Fetched
from napari_tincture.models.card import ModelCard
from napari_tincture.models.library import is_own_file
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._bring import choose_file, open_any
from napari_tincture.widgets._card_view import CardView
from napari_tincture.widgets._clipboard import copy_text
from napari_tincture.widgets._docked import Docked
from napari_tincture.widgets._export import open_export
from napari_tincture.widgets._form import Level, Message, row
from napari_tincture.widgets._gone import when_gone
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._layers import LayerWatch
from napari_tincture.widgets._memory import keep, kept
from napari_tincture.widgets._model_list import ModelList
from napari_tincture.widgets._open_recipe import PANELS, open_panel
from napari_tincture.widgets._own_row import OwnRow
from napari_tincture.widgets._run_row import RunRow
from napari_tincture.widgets._source_row import SourceRow
from napari_tincture.widgets._trial import plan_trial
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.questions import Answer

PAUSE = 60
"""Milliseconds without a change after which the panel looks whether the model can be tried."""


class ModelsPanel(Docked):
    """Lists the models, shows the card of one, and brings, tries, renames, removes and exports.

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
        self.models, self.card_view, self.own = ModelList(), CardView(), OwnRow()
        self.source, self.message, self.runner = SourceRow(), Message(), RunRow()
        self.open_button = QPushButton("Open its panel")
        self.open_button.setToolTip("The panel of its task, with this model: every choice is there")
        self.export_button = QPushButton("Export…")
        self.export_button.setToolTip("Write it as a BioImage.IO package, for other programs")
        self.copy_button = QPushButton("Copy card")
        self.copy_button.setToolTip("The whole card as text")
        self.runner.run_button.setText("Try on what is on screen")
        self.runner.run_button.setToolTip("Run it on the visible part of the active layer")
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(PAUSE)
        self.setAcceptDrops(True)
        self._lay_out()
        self._recall()
        self._connect()
        self._on_model()
        self.refresh()

    @property
    def card(self) -> ModelCard:
        """Card of the chosen model.

        Raises
        ------
        ModelError
            If none is chosen.
        """
        if self.models.name not in self.models.cards:
            raise ModelError("No model is chosen: take back the filter, or import one.")
        return self.models.cards[self.models.name]

    def try_model(self) -> Job:
        """Run the chosen model on what is on screen; the result becomes a layer.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        plan = plan_trial(self.viewer, self.models.name, self.card)
        self._job = self._hub.start(self.viewer, plan.settings, plan.sources)
        self._show_jobs()
        return self._job

    def open_task(self) -> Any:
        """Open the panel of the chosen model's task, with the model and what is on screen.

        Raises
        ------
        ModelError
            If none is chosen.
        """
        task, name = self.card.task, self.models.name
        panel = open_panel(self.viewer, PANELS[task])
        panel.model.look_again()
        panel.model.choose(name)
        panel.region.value = "viewport"
        panel.refresh()
        return panel

    def bring(self, came: Fetched) -> None:
        """Make a model of what lies on this computer: at once, or after it was shown what it is."""
        if came.known:
            self.models.choose(came.known)
            self.source.tell(Level.READY, f"{came.known} was made of the very same before.")
            return
        try:
            own = is_own_file(came.path)
        except ModelError as error:
            self.source.tell(Level.PROBLEM, in_panel(error))
            return
        if own:
            fields = {"path": str(came.path), "origin": dict(came.origin)}
            self._hub.ask("add", partial(self._on_added, came), **fields)
            self.source.tell(Level.NOTE, "Copying it into your library …")
            return
        dialog = open_any(came.path, self.models, self._hub, came.origin or None)
        dialog.accepted.connect(partial(self._on_imported, came))
        dialog.open()

    def refresh(self) -> None:
        """Say whether the chosen model can be tried, now."""
        self._later.stop()
        keep("models", self._state())
        try:
            plan = plan_trial(self.viewer, self.models.name, self.card)
        except TinctureError as error:
            self.message.show_text(Level.NOTE, in_panel(error))
            self.runner.run_button.setEnabled(False)
            return
        level = Level.NOTE if plan.notes else Level.READY
        ready = f"Can be tried on {plan.sources[0].name}: {plan.size}."
        self.message.show_text(level, "\n".join((ready, *plan.notes)))
        self.runner.run_button.setEnabled(True)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take files and addresses."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Bring the first of what is dropped."""
        for url in event.mimeData().urls()[:1]:
            self.source.bring(url.toLocalFile() if url.isLocalFile() else url.toString())
        event.acceptProposedAction()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(self.models, 1)
        layout.addWidget(self.card_view, 3)
        layout.addWidget(self.message)
        layout.addWidget(self.runner)
        layout.addWidget(row([self.open_button, self.export_button, self.copy_button]))
        layout.addWidget(self.own)
        layout.addWidget(self.source)

    def _connect(self) -> None:
        self._later.timeout.connect(self.refresh)
        self.models.changed.connect(self._on_model)
        self.runner.run.connect(partial(self._do, self.try_model))
        self.runner.cancel.connect(self._cancel)
        self.open_button.clicked.connect(lambda _: self._do(self.open_task))
        self.export_button.clicked.connect(lambda _: self._do(self._export))
        self.copy_button.clicked.connect(lambda _: copy_text(self.card_view.plain))
        self.own.renamed.connect(self._on_renamed)
        self.own.removed.connect(self._on_removed)
        self.source.came.connect(self.bring)
        self.source.browsing.connect(self._browse)
        self._hub.changed.connect(self._show_jobs)
        self._hub.models_changed.connect(self.models.look_again)
        start = self._later.start
        self._watch = LayerWatch(self.viewer, start, start, start)
        self.destroyed.connect(self._watch.stop)
        when_gone(self, partial(self._hub.close_panel, id(self)))
        self._wake()

    def _on_model(self) -> None:
        name = self.models.name
        self.card_view.show_card(self.models.cards.get(name))
        self.own.offer(name)
        for button in (self.open_button, self.export_button, self.copy_button):
            button.setEnabled(bool(name))
        self._later.start()

    def _do(self, action: Any) -> None:
        try:
            action()
        except TinctureError as error:
            self.message.show_text(Level.PROBLEM, in_panel(error))

    def _export(self) -> None:
        plan = plan_trial(self.viewer, self.models.name, self.card, region="layer", live=True)
        open_export(plan, self.card, self._hub, self).open()

    def _browse(self) -> None:
        if path := choose_file(self.models):
            self.source.bring(str(path))

    def _on_added(self, came: Fetched, answer: Answer) -> None:
        if answer.error is not None:
            self.source.tell(Level.PROBLEM, in_panel(answer.error))
            return
        came.discard()
        self.models.look_again()
        self.models.choose(answer.values["name"])
        self._hub.models_changed.emit()
        self.source.tell(Level.READY, f"{answer.values['name']} is in your library.")

    def _on_imported(self, came: Fetched) -> None:
        came.discard()
        self.source.tell(Level.READY, f"{self.models.name} is in your library.")

    def _on_renamed(self, name: str) -> None:
        self._hub.models_changed.emit()
        self.models.choose(name)
        self.source.tell(Level.READY, f"It is called {name} now.")

    def _on_removed(self, path: str) -> None:
        self._hub.models_changed.emit()
        self.source.tell(Level.READY, f"Removed: {Path(path).name}.")

    def _cancel(self) -> None:
        if self._job is not None:
            self._hub.client.cancel(self._job)

    def _show_jobs(self, *_: Any) -> None:
        self.runner.show_job(self._job, self._hub.client.jobs)

    def _state(self) -> dict[str, Any]:
        words, kind = self.models.words.text(), self.models.kind.value
        return {"words": words, "kind": kind, "name": self.models.name}

    def _recall(self) -> None:
        if state := kept("models"):
            self.models.words.setText(state["words"])
            self.models.kind.value = state["kind"]
            self.models.choose(state["name"])
