"""Which maps of a model are of objects, where its card does not say."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_tincture.models.card import ModelCard
from napari_tincture.widgets._form import Choice, Item, row

_BEHIND = ("background", "glass", "empty", "outside", "rest")
_BETWEEN = ("border", "boundary", "boundaries", "edge", "contour", "membrane")


class ObjectMaps(QWidget):
    """The map of objects, and perhaps one of borders between them."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.object = Choice(tooltip="Pixels that this map is sure of belong to objects")
        self.border = Choice(tooltip="What separates objects that touch")
        row([self.object, self.border], self)
        self._names: list[str] = []
        for choice in (self.object, self.border):
            choice.chosen.connect(self.changed)

    def offer(self, card: ModelCard) -> None:
        """Offer the maps of a model; of another model than before, those that sound right."""
        names = [channel.name for channel in card.outputs]
        if names == self._names:
            return
        self._names = names
        self.object.set_items([Item(name, name, f"Objects are {name}") for name in names])
        none = Item("no borders", "", "Objects are what hangs together")
        between = [Item(name, name, f"{name} separates objects") for name in names]
        self.border.set_items([none, *between])
        borders = [name for name in names if _sounds(name, _BETWEEN)]
        inside = [name for name in names if name not in borders and not _sounds(name, _BEHIND)]
        self.object.value = (inside or names)[0]
        self.border.value = borders[0] if borders and inside else ""

    @property
    def options(self) -> dict[str, Any]:
        """As `segment` takes it."""
        chosen = {"object": self.object.value, "border": self.border.value}
        return {role: name for role, name in chosen.items() if name}

    def show_options(self, given: dict[str, Any]) -> None:
        """Show the maps that a recipe names and take them off the list, if there are no others."""
        roles = given.get("instances") or {}
        if roles and {*roles} <= {"object", "border"}:
            self.object.value = roles.get("object", "")
            self.border.value = roles.get("border", "")
            del given["instances"]


def _sounds(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.lower() for word in words)
