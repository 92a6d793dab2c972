"""What a panel shows as Python, as a command line, or as a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QAction  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QMenu

from napari_tincture.errors import TinctureError
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._clipboard import copy_text
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._menu_button import MenuButton

SUFFIX = ".recipe.json"


class RecipeMenu(MenuButton):
    """A button with a menu.

    Parameters
    ----------
    recipe
        Gives the recipe of what the panel shows; raises `TinctureError` if something is missing.
    layers
        Gives the names of the layers that the recipe's images are.
    """

    told = Signal(Level, str)
    opened = Signal(object)
    """A `Recipe` is to be shown."""

    def __init__(self, recipe: Callable[[], Recipe], layers: Callable[[], Sequence[str]]) -> None:
        super().__init__("Recipe", "The same run in Python, on the command line, or as a file")
        self._recipe, self._layers = recipe, layers
        menu = self.entries
        self.python = self._action(
            menu,
            "Copy as Python",
            "Lines for the console, a notebook or a script",
            self._copy_python,
        )
        self.command = self._action(
            menu, "Copy as command", "A line for a terminal, or a job of a cluster",
            self._copy_command,
        )  # fmt: skip
        self.file = self._action(
            menu, "Save recipe…", "A JSON file for nt.run() and napari-tincture run", self._save
        )
        menu.addSeparator()
        self.open = QAction("Open recipe…", menu)
        self.open.setToolTip("Show what a saved recipe says, in its panel; nothing is run yet")
        self.open.triggered.connect(lambda _: self._open())
        menu.addAction(self.open)

    def _action(self, menu: QMenu, text: str, tooltip: str, do: Callable[[Recipe], str]) -> QAction:
        action = QAction(text, menu)
        action.setToolTip(tooltip)
        action.triggered.connect(partial(self._try, do))
        menu.addAction(action)
        return action

    def _try(self, do: Callable[[Recipe], str], *_: object) -> None:
        try:
            text = do(self._recipe())
        except TinctureError as error:
            self.told.emit(Level.PROBLEM, in_panel(error))
        else:
            if text:
                self.told.emit(Level.READY, text)

    def _copy_python(self, recipe: Recipe) -> str:
        from napari_tincture.tasks._recipe_text import python_of

        copy_text(python_of(recipe, [f"viewer.layers[{name!r}]" for name in self._layers()]))
        return "Copied as Python."

    def _copy_command(self, recipe: Recipe) -> str:
        copy_text(recipe.command)
        return "Copied as a command."

    def _save(self, recipe: Recipe) -> str:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save recipe", f"{recipe.task}{SUFFIX}", f"Recipes (*{SUFFIX} *.json)"
        )
        if not name:
            return ""
        path = recipe.save(name if name.endswith(".json") else f"{name}{SUFFIX}")
        return f"Saved {path.name}."

    def _open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open recipe", "", "Recipes (*.json)")
        if not name:
            return
        try:
            self.opened.emit(Recipe.load(name))
        except TinctureError as error:
            self.told.emit(Level.PROBLEM, in_panel(error))
