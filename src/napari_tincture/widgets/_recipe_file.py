"""Buttons that take a recipe from a file, and write one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_tincture.widgets._form import row
from napari_tincture.widgets._menu_button import MenuButton


class RecipeFile(QWidget):
    """Load…, Save… and Copy; what a recipe means is for others."""

    saving = Signal(str)
    """The recipe is to be written to this path."""
    loading = Signal(object)
    """A recipe, as JSON, is to be taken."""
    copying = Signal(str)
    """The recipe is to be copied as "python" or "command"."""
    problem = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.load_button, self.save_button = QPushButton("Load…"), QPushButton("Save…")
        self.load_button.setToolTip("Take the settings of a recipe")
        self.save_button.setToolTip("Write the recipe, for here or for napari_tincture.train")
        self.copy_button = MenuButton("Copy", "The same training in Python or on the command line")
        for text, language, tooltip in (
            ("Copy as Python", "python", "Lines for the console, a notebook or a script"),
            ("Copy as command", "command", "A line for a terminal, or a job of a cluster"),
        ):
            action = self.copy_button.entries.addAction(text)
            assert action is not None
            action.setToolTip(tooltip)
            action.triggered.connect(partial(self._copy, language))
        self.load_button.clicked.connect(lambda _: self._load())
        self.save_button.clicked.connect(lambda _: self._save())
        row([self.load_button, self.save_button, self.copy_button], self)

    def _copy(self, language: str, *_: object) -> None:
        self.copying.emit(language)

    def _load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load a recipe", "", "Recipe (*.json)")
        if not path:
            return
        try:
            recipe = json.loads(Path(path).read_text("utf-8"))
            if not isinstance(recipe, dict):
                raise ValueError("it holds no settings")
            self.loading.emit(recipe)
        except (OSError, ValueError) as error:
            self.problem.emit(f"{Path(path).name} cannot be taken as a recipe: {error}")

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the recipe", "", "Recipe (*.json)")
        if path:
            self.saving.emit(path if path.endswith(".json") else f"{path}.json")
