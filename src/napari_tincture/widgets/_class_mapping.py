"""What values of a label map mean that are no class of the model: a row for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_tincture.models.card import Channel
from napari_tincture.widgets._form import Choice, Item, align_labels, form

UNDECIDED = ""
NO_CLASS = "no class"
MOST = 12
"""Values that are asked about; a map with more is of another kind."""


class ClassMapping(QWidget):
    """Asks which class each unknown value is; hidden while there is none."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, Choice] = {}
        self._layout: QFormLayout = form()
        self.setLayout(self._layout)
        self.setVisible(False)

    @property
    def options(self) -> dict[str, Any]:
        """Value → name of the class, or None for no class, of those that were decided."""
        return {
            str(value): None if choice.value == NO_CLASS else choice.value
            for value, choice in self.rows.items()
            if choice.value != UNDECIDED
        }

    def show_options(self, given: dict[str, Any]) -> None:
        """Show what a recipe says of values that are asked about; what else it says stays."""
        said = dict(given.pop("classes", None) or {})
        for value, choice in self.rows.items():
            if str(value) in said:
                name = said.pop(str(value))
                choice.value = NO_CLASS if name is None else name
        if said:
            given["classes"] = said

    def offer(
        self, unknown: Mapping[int, int], anywhere: Mapping[int, int],
        classes: Mapping[int, Channel],
    ) -> None:  # fmt: skip
        """Ask about values of what is to be drawn, of which these many pixels are.

        What was decided stays while the value is `anywhere` in the map.
        """
        wanted = unknown if len(unknown) <= MOST else {}
        for value, choice in list(self.rows.items()):
            decided = choice.value != UNDECIDED and value in anywhere
            if value not in wanted and not decided:
                self._layout.removeRow(self.rows.pop(value))
        items = [
            Item("choose …", UNDECIDED), Item("no class", NO_CLASS, "No channel is set there"),
            *(Item(c.name, c.name, f"As if it were {value}") for value, c in classes.items()),
        ]  # fmt: skip
        for value, pixels in wanted.items():
            if value not in self.rows:
                choice = Choice(tooltip=f"What the {pixels:,} pixels of value {value} are")
                choice.chosen.connect(self.changed)
                self.rows[value] = choice
                self._layout.addRow(f"{value} is", choice)
        for choice in self.rows.values():
            choice.set_items(items)
        align_labels(self._layout)
        self.setVisible(bool(self.rows))
