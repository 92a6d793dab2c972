"""The choice of a model: those that are shipped, and files of one's own."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QLabel, QToolButton, QVBoxLayout, QWidget

from napari_tincture.errors import ModelError
from napari_tincture.models import find_card, list_models
from napari_tincture.models.card import ModelCard
from napari_tincture.widgets._form import Choice, Item, row

_LONGEST = 160


class ModelRow(QWidget):
    """A drop-down of models made for one task, and what the chosen one is and expects.

    Parameters
    ----------
    task
        Only models of this task are offered.
    """

    changed = Signal()

    def __init__(self, task: str) -> None:
        super().__init__()
        self._task = task
        self._files: dict[str, ModelCard] = {}
        self._shipped = {card.name: card for card in list_models() if card.task == task}
        self.choice = Choice(tooltip="What turns the image into the result")
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.PlainText)
        self.about.setStyleSheet("font-size: 11px;")
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Open a model file (.safetensors)")
        browse.clicked.connect(self._browse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(row([self.choice, browse]))
        layout.addWidget(self.about)
        self._list()
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
        known = {**self._shipped, **self._files}
        if self.name not in known:
            raise ModelError(f"Choose a model to {self._task} with: … opens a file.")
        return known[self.name]

    def choose(self, name: str) -> None:
        """Choose a model by name or path.

        Raises
        ------
        ModelError
            If there is no such model, its file cannot be read, or it is made for another task.
        """
        if name not in self._shipped:
            self._add(name)
        self.choice.value = name

    def _add(self, name: str) -> None:
        card = find_card(name)
        if card.task != self._task:
            raise ModelError(
                f"{name!r} is a model to {card.task}; this panel needs one to {self._task}."
            )
        self._files[name] = card
        self._list()

    def _list(self) -> None:
        shipped = [Item(name, name, _details(card)) for name, card in self._shipped.items()]
        own = [Item(card.name, path, path) for path, card in self._files.items()]
        self.choice.set_items(shipped + own)

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Model (*.safetensors)")
        if not path:
            return
        try:
            self.choose(path)
        except ModelError as error:
            self.about.setText(str(error))

    def _update(self) -> None:
        known = {**self._shipped, **self._files}.get(self.name)
        self.about.setText("" if known is None else describe(known))
        self.about.setToolTip("" if known is None else _details(known))
        self.changed.emit()


def describe(card: ModelCard) -> str:
    """Say in two sentences what a model does and what it expects."""
    names = [channel.name for channel in card.inputs]
    listed = ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"
    count = "1 channel" if len(names) == 1 else f"{len(names)} channels"
    size = "" if card.pixel_size is None else f", {card.pixel_size:.3g} µm per pixel"
    about = card.description.strip()
    if len(about) > _LONGEST:
        about = about[:_LONGEST].rsplit(" ", 1)[0] + " …"
    return f"{about}\nInput: {count} ({listed}){size}".strip()


def _details(card: ModelCard) -> str:
    parts = [card.description, card.data and f"Data: {card.data}", card.licence]
    figures = ", ".join(f"{name} {value:.3g}" for name, value in card.figures.items())
    return "\n".join(part for part in (*parts, figures) if part)
