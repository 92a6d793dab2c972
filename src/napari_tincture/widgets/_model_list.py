"""The list of all models, shipped and own, narrowed by words and kind."""

from __future__ import annotations

from qtpy.QtCore import QFileSystemWatcher, QSignalBlocker, Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout

from napari_tincture.models import list_models
from napari_tincture.models.card import ModelCard
from napari_tincture.models.library import is_own
from napari_tincture.models.shipped import library_folder
from napari_tincture.widgets._form import Choice, Item, row
from napari_tincture.widgets._offering import Offering

KINDS = (
    Item("all", "", "Models of every kind"),
    Item("stain", "stain", "Images of images"),
    Item("segment", "segment", "Objects or classes of images"),
    Item("synthesize", "synthesize", "Images of label maps"),
)
LOWEST = 96
"""Pixels: some five models."""
PAUSE = 300
"""Milliseconds that the library must be still: a file may come in pieces."""


class ModelList(Offering):
    """Names of models; the chosen one is told."""

    changed = Signal()
    """Another model is chosen, or the chosen one is another."""

    def __init__(self) -> None:
        super().__init__()
        self.cards: dict[str, ModelCard] = {}
        self.words, self.names = QLineEdit(), QListWidget()
        self.words.setPlaceholderText("Filter by words")
        self.words.setToolTip("Only models that have all these words in name, use or data")
        self.kind = Choice(KINDS, tooltip="What the models are for")
        self.names.setToolTip("Models that came with the package, and your own")
        self.names.setMinimumHeight(LOWEST)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(row([self.words, self.kind]))
        layout.addWidget(self.names)
        self._watcher = QFileSystemWatcher(self)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(PAUSE)
        self._watcher.directoryChanged.connect(lambda _: self._later.start())
        self._later.timeout.connect(self.look_again)
        self.words.textChanged.connect(lambda _: self._show())
        self.kind.chosen.connect(self._show)
        self.names.currentItemChanged.connect(lambda *_: self.changed.emit())
        self.look_again()

    @property
    def name(self) -> str:
        """Of the chosen model; empty if there is none."""
        item = self.names.currentItem()
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))

    def look_again(self) -> None:
        """Offer what is in the user's library now, and go on looking at it."""
        folder = str(library_folder())
        if folder not in self._watcher.directories() and library_folder().is_dir():
            self._watcher.addPath(folder)
        before, self.cards = self.cards, {card.name: card for card in list_models()}
        if before != self.cards:
            self._show()

    def choose(self, name: str) -> None:
        """Choose a model by name; what hides it is taken back."""
        if name in self.cards and not self._fits(self.cards[name]):
            self.words.clear()
            self.kind.value = ""
        for item in self._items():
            if item.data(Qt.ItemDataRole.UserRole) == name:
                self.names.setCurrentItem(item)

    @property
    def shown(self) -> list[str]:
        """Names that the filter lets through."""
        return [str(item.data(Qt.ItemDataRole.UserRole)) for item in self._items()]

    def _items(self) -> list[QListWidgetItem]:
        found = (self.names.item(number) for number in range(self.names.count()))
        return [item for item in found if item is not None]

    def _show(self) -> None:
        before = self.name
        blocker = QSignalBlocker(self.names)
        self.names.clear()
        for name, card in self.cards.items():
            if self._fits(card):
                self.names.addItem(_item(name, card))
        place = self.shown.index(before) if before in self.shown else 0
        self.names.setCurrentRow(place)
        blocker.unblock()
        self.changed.emit()

    def _fits(self, card: ModelCard) -> bool:
        channels = (channel.name for channel in (*card.inputs, *card.outputs))
        text = " ".join([card.name, card.description, card.data, card.family, *channels]).casefold()
        words = self.words.text().casefold().split()
        return self.kind.value in ("", card.task) and all(word in text for word in words)


def _item(name: str, card: ModelCard) -> QListWidgetItem:
    own = ", your own" if is_own(name) else ""
    item = QListWidgetItem(f"{name}   ({card.task}{own})")
    item.setData(Qt.ItemDataRole.UserRole, name)
    item.setToolTip(card.description)
    return item
