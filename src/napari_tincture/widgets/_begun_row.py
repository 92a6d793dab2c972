"""Trainings that were stopped or interrupted: which one goes on."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QMessageBox, QPushButton

from napari_tincture.training.begun import Begun, list_begun, read_begun
from napari_tincture.widgets._form import Choice, Folding, Item, row


class BegunRow(Folding):
    """A folded list of trainings that have a checkpoint, and what can be done with one."""

    resume = Signal()

    def __init__(self) -> None:
        self.choice = Choice(tooltip="Trainings that have a checkpoint, the latest first")
        self.resume_button = QPushButton("Resume…")
        self.resume_button.setToolTip("Go on where its last checkpoint was saved")
        self.discard_button = QPushButton("Discard")
        self.discard_button.setToolTip("Delete its checkpoint; a model that it gave stays")
        body = row([self.choice, self.resume_button, self.discard_button])
        super().__init__("Begun before", body, tooltip="Stopped or interrupted trainings")
        self.resume_button.clicked.connect(lambda _: self.resume.emit())
        self.discard_button.clicked.connect(lambda _: self._discard())
        self.look_again()

    @property
    def chosen(self) -> Begun | None:
        """The chosen training, as it stands now."""
        return None if self.choice.value is None else read_begun(self.choice.value)

    def look_again(self, busy: str = "") -> None:
        """List what there is, but for the one that is under way."""
        found = [each for each in list_begun() if each.name != busy]
        self.choice.set_items(
            Item(f"{each.name}, {each.step:,} of {each.steps:,}", each.name, str(each.checkpoint))
            for each in found
        )
        self.summarise(str(len(found)))
        self.setVisible(bool(found))

    def _discard(self) -> None:
        chosen = self.chosen
        if chosen is None:
            return
        question = f"Delete the checkpoint of {chosen.name}? It cannot be resumed then."
        answer = QMessageBox.question(self, "Discard a training", question)
        if answer == QMessageBox.StandardButton.Yes:
            chosen.discard()
            self.look_again()
