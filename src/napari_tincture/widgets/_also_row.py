"""What else is wanted of a model than its image: boxes for what it offers."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QGridLayout, QSizePolicy, QWidget

COLUMNS = 2
TEXTS = {
    "heatmap": "heat map",
    "attention": "attention",
    "content": "content",
    "reconstruction": "reconstruction",
    "cycle_error": "cycle error",
    "cycle_error_twice": "… after two trips",
    "realism": "realism",
    "std": "uncertainty",
}
HELP = {
    "heatmap": "Where the network looked, 0 to 1 over the whole image",
    "attention": "Which parts of the image the network changes",
    "content": "What the network would put there",
    "reconstruction": "What the way back makes of the result",
    "cycle_error": "How far the image is from its reconstruction, as a share of the range of "
    "values: where it is large, do not trust the result",
    "cycle_error_twice": "The same after going there and back twice",
    "realism": "How real the result looks to the discriminators: the share of real patches that "
    "look less real; if the model was not calibrated, their scores",
    "std": "How much the result depends on what should not matter: which way the image lies, or "
    "the noise that the model takes",
}


class AlsoRow(QWidget):
    """Boxes, two side by side; those of other models are hidden and keep what they were."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, QCheckBox] = {}
        self._offered: tuple[str, ...] = ()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for name, text in TEXTS.items():
            box = QCheckBox(text, self)
            box.setToolTip(HELP[name])
            box.setVisible(False)
            box.toggled.connect(lambda _: self.changed.emit())
            self.boxes[name] = box

    @property
    def offered(self) -> tuple[str, ...]:
        """Names of the boxes that are shown."""
        return self._offered

    @property
    def ticked(self) -> tuple[str, ...]:
        """What is wanted of what is offered."""
        return tuple(name for name in self._offered if self.boxes[name].isChecked())

    def offer(self, names: Iterable[str]) -> None:
        """Show the boxes of these outputs, of those that there are boxes for."""
        wanted = tuple(name for name in names if name in self.boxes)
        if wanted == self._offered:
            return
        for box in self.boxes.values():
            self._grid.removeWidget(box)
            box.setVisible(False)
        for number, name in enumerate(wanted):
            self._grid.addWidget(self.boxes[name], number // COLUMNS, number % COLUMNS)
            self.boxes[name].setVisible(True)
        self._offered = wanted
        self.updateGeometry()
