"""The choice of a model: those that are listed, and files of one's own."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QFileDialog,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
)

from napari_tincture.errors import ModelError
from napari_tincture.models import find_card, list_models
from napari_tincture.models.card import ModelCard
from napari_tincture.models.checkpoints import SUPPORTED
from napari_tincture.raster import Raster
from napari_tincture.widgets._fitting import best_fitting
from napari_tincture.widgets._form import Choice, Item, OneLine, row
from napari_tincture.widgets._offering import Offering

_LONGEST = 60
LINE = 14
"""Pixels, of a font of 11."""


class ModelRow(Offering):
    """A drop-down of models made for one task, and what the chosen one is and expects.

    Parameters
    ----------
    task
        Only models of this task are offered.
    """

    changed = Signal()
    importing = Signal()
    """A package or a published checkpoint is to be imported."""
    exporting = Signal()
    """The chosen model is to be written as a package."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task
        self._files: dict[str, ModelCard] = {}
        self._listed = self._offered()
        self._chosen = self._suggesting = False
        self.choice = Choice(tooltip="What turns the image into the result")
        # Of fixed height: a text that wraps anew when a scroll bar comes would not settle.
        self.about, self.expects = QLabel(), OneLine()
        self.about.setWordWrap(True)
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.about.setFixedHeight(2 * LINE + 2)
        self.about.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for label in (self.about, self.expects):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setStyleSheet("font-size: 11px; padding: 0px;")
            label.setIndent(0)
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Open a model file (.safetensors)")
        browse.clicked.connect(self._browse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(row([self.choice, browse, *self._exchange()]))
        layout.addWidget(self.about)
        layout.addWidget(self.expects)
        self._list()
        self.choice.chosen.connect(self._note)
        self.choice.chosen.connect(self._update)
        self._update()

    @property
    def name(self) -> str:
        """Name or path of the chosen model; empty if there is none."""
        return str(self.choice.value or "")

    @property
    def card(self) -> ModelCard:
        """Card of the chosen model.

        Raises
        ------
        ModelError
            If there is none.
        """
        known = {**self._listed, **self._files}
        if self.name not in known:
            raise ModelError(f"Choose a model to {self.task} with: … opens a file.")
        return known[self.name]

    def choose(self, name: str) -> None:
        """Choose a model by name or path.

        Raises
        ------
        ModelError
            If there is no such model, its file cannot be read, or it is made for another task.
        """
        if name not in self._listed:
            self._add(name)
        self._chosen = True
        self.choice.value = name

    def suggest(self, image: Raster, like: Callable[[ModelCard], int]) -> None:
        """Choose a model that fits an image, as long as nobody has chosen one; see `likeness`."""
        if self._chosen or not (name := best_fitting(image, self._listed, like)):
            return
        self._suggesting = True
        self.choice.value = name
        self._suggesting = False

    def look_again(self) -> None:
        """Offer what has come into the user's library."""
        self._listed = self._offered()
        self._list()

    def _exchange(self) -> list[QToolButton]:
        """Import and export."""
        bring, give = QToolButton(), QToolButton()
        # Published checkpoints stain.
        checkpoints = f", or a checkpoint of {SUPPORTED}" if self.task == "stain" else ""
        bring.setText("Import…")
        bring.setToolTip(f"Import a BioImage.IO package{checkpoints}")
        bring.clicked.connect(self.importing)
        give.setText("Export…")
        give.setToolTip("Write the chosen model as a BioImage.IO package")
        give.clicked.connect(self.exporting)
        return [bring, give]

    def _offered(self) -> dict[str, ModelCard]:
        return {card.name: card for card in list_models() if card.task == self.task}

    def _add(self, name: str) -> None:
        card = find_card(name)
        if card.task != self.task:
            raise ModelError(
                f"{name!r} is a model to {card.task}; this panel needs one to {self.task}."
            )
        self._files[name] = card
        self._list()

    @property
    def items(self) -> list[Item]:
        """What is offered."""
        listed = [Item(name, name, _details(card)) for name, card in self._listed.items()]
        return [*listed, *(Item(card.name, path, path) for path, card in self._files.items())]

    def _list(self) -> None:
        self.choice.set_items(self.items)

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Model (*.safetensors)")
        if not path:
            return
        try:
            self.choose(path)
        except ModelError as error:
            self.about.setText(str(error))

    def _note(self) -> None:
        self._chosen = self._chosen or not self._suggesting

    def _update(self) -> None:
        known = {**self._listed, **self._files}.get(self.name)
        self.about.setText("" if known is None else describe(known))
        self.expects.setText("" if known is None else expected(known))
        for label in (self.about, self.expects):
            label.setToolTip("" if known is None else _details(known))
        self.changed.emit()


def describe(card: ModelCard) -> str:
    """Say on two short lines what a model does."""
    about = card.description.strip()
    return about if len(about) <= _LONGEST else about[:_LONGEST].rsplit(" ", 1)[0] + " …"


def expected(card: ModelCard) -> str:
    """Say on one line what a model takes."""
    if card.class_inputs:
        size = "" if card.pixel_size is None else f"; {card.pixel_size:.3g} µm per pixel"
        return f"Label map of {len(card.class_inputs)} classes{size}"
    names = [channel.name for channel in card.image_inputs]
    listed = ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"
    count = f"{len(names)} inputs" if len(names) > 1 else "Input"
    size = "" if card.pixel_size is None else f"; {card.pixel_size:.3g} µm per pixel"
    return f"{count}: {listed}{size}"


def _details(card: ModelCard) -> str:
    inputs = "\n".join(f"Input {c.name}: {c.description}" for c in card.inputs if c.description)
    parts = [card.description, inputs, card.data and f"Data: {card.data}", card.licence]
    figures = ", ".join(f"{name} {value:.3g}" for name, value in card.figures.items())
    return "\n".join(part for part in (*parts, figures) if part)
