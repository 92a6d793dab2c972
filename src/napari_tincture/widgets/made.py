"""The panel that tells how a layer was made, and does it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from napari.layers import Image, Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QFontDatabase  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QFileDialog,
    QLabel,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.layers import METADATA
from napari_tincture.tasks.explain import Explanation, explanation_of
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._clipboard import copy_text
from napari_tincture.widgets._docked import Docked
from napari_tincture.widgets._form import Level, Message, row
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._layers import LayerWatch, layer_names
from napari_tincture.widgets._menu_button import MenuButton
from napari_tincture.widgets._open_recipe import layers_of_step, repeatable, show, steps_of
from napari_tincture.widgets._recipe_menu import RecipeMenu

LEAST_WIDTH = 40
"""Letters of a line."""
LEAST_HEIGHT = 160
"""Pixels of the text with its message."""


class MadePanel(Docked):
    """How the selected layer was made: in words, as Python, and once more.

    *Run again* shows the settings in the panel of their task and runs them, *With changes* leaves
    the running to you, and *Apply to* takes them to another layer or a folder.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    hub
        As of `TaskPanel`.
    """

    def __init__(self, napari_viewer: Any, hub: JobHub | None = None) -> None:
        super().__init__(napari_viewer, hub)
        self.name, self.text, self.status = QLabel(), QPlainTextEdit(), Message()
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._told: Explanation | None = None
        self.text.setToolTip("What was done to which images with which model and settings")
        self.again_button = QPushButton("Run again")
        self.again_button.setToolTip("The same settings on the same layers: a new layer")
        self.change_button = QPushButton("With changes…")
        self.change_button.setToolTip("Show the settings in their panel; nothing is run yet")
        self.apply_button = MenuButton("Apply to", "The same settings on another layer or folder")
        self.recipe = RecipeMenu(self._recipe, self._layers)
        self.python_button = QPushButton("Copy all as Python")
        self.python_button.setToolTip("All steps from the first image to this layer")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.name)
        layout.addWidget(self._told_and_status(), 1)
        layout.addWidget(row([self.again_button, self.change_button]))
        layout.addWidget(row([self.apply_button, self.recipe]))
        layout.addWidget(self.python_button)
        self._connect()
        self.refresh()

    def run_again(self) -> Any:
        """Do the layer's last step again; give the job.

        Raises
        ------
        TinctureError
            If its images or its model are gone, or nothing is recorded.
        """
        panel = self.show_settings()
        panel.plan()  # says what is wrong, where something is
        return panel.run()

    def show_settings(self, layer: str = "", folder: str = "") -> Any:
        """Show the last step's settings in their panel; give the panel.

        Parameters
        ----------
        layer
            Work on this one, all of it, in the place of the first image.
        folder
            Work on all images of a folder or plate; its results' place is still to be chosen.

        Raises
        ------
        TinctureError
            As `run_again`.
        """
        recipe, layers = self._recipe(), self._layers(layer)
        if layer or folder:
            settings = {k: v for k, v in recipe.settings.items() if k != "region"}
            recipe = recipe.replace(settings=settings)
        panel = show(self.viewer, recipe, layers)
        if folder:
            panel.batch.images.setText(folder)
            panel.batch.unfolded = True
        return panel

    def refresh(self) -> None:
        """Tell of the layer that is selected now."""
        layer = self.viewer.layers.selection.active
        known = isinstance(layer, Image | Labels)
        self.name.setText(layer.name if known else "Select an image or labels layer.")
        self._told = told(layer) if known else None
        self._write()
        problem = ""
        try:
            step = repeatable(layer) if known else None
        except InputError as error:
            step, problem = None, str(error)
        self.status.show_text(Level.NOTE, problem)
        for button in (self.again_button, self.change_button, self.apply_button, self.recipe):
            button.setEnabled(step is not None)
        self.python_button.setEnabled(known and bool(steps_of(layer)))
        self._offer_targets(step)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Fill the panel's width."""
        super().resizeEvent(event)
        self._write()

    def _write(self) -> None:
        letter = self.text.fontMetrics().horizontalAdvance("0")
        width = max(LEAST_WIDTH, self.text.contentsRect().width() // letter - 2)
        self.text.setPlainText(self._told.in_lines(width) if self._told else "")

    def _told_and_status(self) -> QWidget:
        """The text with the message below it, which takes its room: the window stays as it is."""
        both = QWidget()
        both.setMinimumHeight(LEAST_HEIGHT)
        inner = QVBoxLayout(both)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.text, 1)
        inner.addWidget(self.status)
        return both

    def _connect(self) -> None:
        self.again_button.clicked.connect(partial(self._try, self.run_again))
        self.change_button.clicked.connect(partial(self._try, self.show_settings))
        self.python_button.clicked.connect(partial(self._try, self._copy_all))
        self.recipe.told.connect(self.status.show_text)
        self.recipe.open.setVisible(False)
        self._watch = LayerWatch(self.viewer, self.refresh, self.refresh, lambda: None)
        self.destroyed.connect(self._watch.stop)
        self._wake()

    def _offer_targets(self, step: Any) -> None:
        menu = self.apply_button.entries
        menu.clear()
        if step is None:
            return
        kind = Labels if step["step"] == "synthesize" else Image
        for name in layer_names(self.viewer, kind):
            self._add(menu, name, partial(self.show_settings, layer=name))
        menu.addSeparator()
        self._add(menu, "Folder or plate…", self._apply_to_folder)

    def _add(self, menu: QMenu, text: str, do: Callable[[], Any]) -> None:
        action = QAction(text, menu)
        action.triggered.connect(partial(self._try, do))
        menu.addAction(action)

    def _apply_to_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Images to apply the settings to")
        if folder:
            self.show_settings(folder=folder)

    def _recipe(self) -> Recipe:
        return Recipe.of_step(repeatable(self._active()))

    def _layers(self, instead: str = "") -> list[str]:
        return layers_of_step(self.viewer, repeatable(self._active()), instead)

    def _active(self) -> Any:
        layer = self.viewer.layers.selection.active
        if layer is None:
            raise InputError("Select the layer first.")
        return layer

    def _copy_all(self) -> None:
        copy_text(told(self._active()).python)
        self.status.show_text(Level.READY, "Copied as Python.")

    def _try(self, do: Callable[[], Any], *_: object) -> None:
        try:
            do()
        except TinctureError as error:
            self.status.show_text(Level.PROBLEM, in_panel(error))


def told(layer: Any) -> Explanation:
    """How a layer was made, of what it bears; no pixel is read."""
    own = layer.metadata.get(METADATA)
    provenance = own.get("provenance") if isinstance(own, Mapping) else None
    return explanation_of(layer.name, provenance or {})
