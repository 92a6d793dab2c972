"""Whose colours and textures an image takes: any from the seed, a known style's, a layer's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout

from napari_tincture.models.card import ModelCard
from napari_tincture.widgets._form import Choice, Item, show_row
from napari_tincture.widgets._synthesis_plan import LAYER

STRENGTH = 0.5


class StyleRow(QObject):
    """Two rows of a form, of which a model that knows no styles has none."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.style = Choice(tooltip="Whose colours and textures the image takes")
        self.strength = QDoubleSpinBox()
        self.strength.setRange(0.05, 0.95)
        self.strength.setSingleStep(0.05)
        self.strength.setValue(STRENGTH)
        self.strength.setToolTip(
            "How much is left of the layer: little gives its colours, much its shapes, too"
        )
        self._starts = False
        self.style.chosen.connect(self._on_style)
        self.strength.valueChanged.connect(lambda _: self.changed.emit())

    def add_to(self, layout: QFormLayout) -> None:
        """Add the rows to a form."""
        self._form = layout
        layout.addRow("Style", self.style)
        layout.addRow("Strength", self.strength)

    def offer(self, card: ModelCard | None, layers: Sequence[str]) -> None:
        """Show what a model knows, and the layers that can give it a style."""
        self._starts = card is not None and card.denoising is not None
        items = [Item("at random", None, "Drawn from the seed")]
        if card is not None:
            items += _known(card)
            if self._starts or "encoder" in card.parts:
                items += [Item(f"as {name}", (LAYER, name), _HOW[self._starts]) for name in layers]
        self.style.set_items(items)
        spade = card is not None and bool(card.options.get("use_vae"))
        show_row(self._form, self.style, self._starts or spade)
        self._show_strength()

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the task; a layer's style is ``{"layer": its name}``."""
        value = self.style.value
        if value is None:
            return {}
        if not isinstance(value, tuple):
            return {"style": value}
        found: dict[str, Any] = {"style": {LAYER: value[1]}}
        return found | ({"style_strength": self.strength.value()} if self._starts else {})

    def show_options(self, given: dict[str, Any], layers: Sequence[str]) -> None:
        """Show the style of a recipe and take it off the list, if it is offered."""
        style = given.get("style")
        if isinstance(style, Mapping) and "source" in style:
            style = (LAYER, layers[style["source"]])
        if self.style.offers(style):
            self.style.value = style
            given.pop("style", None)
        self.strength.setValue(given.pop("style_strength", STRENGTH))

    def _on_style(self) -> None:
        self._show_strength()
        self.changed.emit()

    def _show_strength(self) -> None:
        show_row(self._form, self.strength, self._starts and isinstance(self.style.value, tuple))


_HOW = {True: "Starts from this layer, blurred by noise", False: "Takes the look of this layer"}


def _known(card: ModelCard) -> list[Item]:
    """Styles that a model has by number or name."""
    if card.options.get("use_vae"):
        return [Item("the middle", 0, "The mean of all styles, the same for every seed")]
    count = int(card.options.get("styles", 0)) if card.denoising is not None else 0
    names = [*card.styles, *(f"style {n}" for n in range(len(card.styles) + 1, count + 1))]
    return [Item(name, n, "Learned from images of it") for n, name in enumerate(names, start=1)]


def style_layers(viewer: Any, card: ModelCard | None) -> list[str]:
    """Names of the layers that are images as a model makes them, the topmost first."""
    if card is None:
        return []
    return [
        layer.name
        for layer in reversed(viewer.layers)
        if isinstance(layer, Image) and layer.rgb == card.rgb_output and layer.ndim == 2
    ]
