"""Importing a published checkpoint: what was found is shown, completed by a person, converted.

1. The worker says what the file is; the fields show it, with what the tensors leave open.
2. Every change of those fields asks again: a later answer makes an earlier one void.
3. Import converts it into the user's library, and the drop-down offers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.models.checkpoints._found import MAIN, Found, Question
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._form import Choice, Item, Level, Message, Wrapped, form, show_row
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._offering import Offering
from napari_tincture.worker.questions import Answer

LABELS = {
    "family": "Trained as", "batch_statistics": "Per-image norm", "label_nc": "Classes",
    "no_instance": "No edges", "instance_feat": "With features", "img_size": "Image side",
    "image_size": "Image side", "num_classes": "Classes", "norm_groups": "Groups of norms",
    "num_head_channels": "Channels of heads", "use_new_attention_order": "Heads last",
    "guided": "Learned empty maps", "var_type": "Variance",
}  # fmt: skip
MOST = 100_000
WIDTH = 460
"""Pixels."""


class ImportDialog(QDialog):
    """Shows what a checkpoint is, and imports it.

    Parameters
    ----------
    path
        The checkpoint.
    hub
        Asks the worker.
    task
        That of the panel; empty for all.
    origin
        Where it was downloaded from.
    """

    imported = Signal(str)
    """Name of the model that is in the user's library now."""

    def __init__(
        self, path: Path, hub: JobHub, task: str, parent: QWidget | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.setWindowTitle(f"Import {path.name}")
        self.setMinimumWidth(WIDTH)
        self._path, self._hub, self._task, self._origin = path, hub, task, origin
        self._number = 0
        self.found: Found | None = None
        self.fields: dict[str, Choice | QSpinBox] = {}
        self.name, self.about, self.message = QLineEdit(), Wrapped(), Message()
        self.direction = Choice(
            [Item("from A to B", "AtoB"), Item("from B to A", "BtoA")],
            tooltip="Which of its two generators is used first",
        )
        self.pixel_size = QDoubleSpinBox()
        self.pixel_size.setRange(0, 1000)
        self.pixel_size.setDecimals(4)
        self.pixel_size.setSuffix(" µm")
        self.pixel_size.setSpecialValueText("unknown")
        self.pixel_size.setToolTip("Of the images that it was trained on")
        self.import_button = QPushButton("Import")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.buttons.addButton(self.import_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self._lay_out()
        self._connect()
        self.ask()

    def ask(self) -> None:
        """Find out what the checkpoint is, with the options as they are."""
        self._number += 1
        number = self._number
        self.import_button.setEnabled(False)
        self.message.show_text(Level.NOTE, "Looking at the file …")

        def hear(answer: Answer) -> None:
            if number == self._number:
                self._show(answer)

        self._hub.ask("inspect", hear, path=str(self._path), options=self.options())

    def options(self) -> dict[str, Any]:
        """What a person has chosen, by the names of options of `import_checkpoint`."""
        if self.found is None:
            return {}
        chosen: dict[str, Any] = {}
        if MAIN in self.found.parts and "backward" in self.found.parts:
            chosen["direction"] = self.direction.value
        for key, question in self.found.questions.items():
            value = _value(self.fields[key])
            if value != question.value or key in self._changed:
                chosen[key] = value
        return chosen

    def bring(self) -> None:
        """Convert the checkpoint into the user's library."""
        self._number += 1
        number = self._number
        self.import_button.setEnabled(False)
        self.message.show_text(Level.NOTE, "Importing …")

        def hear(answer: Answer) -> None:
            if number == self._number:
                self._end(answer)

        self._hub.ask(
            "import", hear, path=str(self._path), options=self.options(),
            name=self.name.text().strip(), pixel_size=self.pixel_size.value() or None,
            origin=self._origin,
        )  # fmt: skip

    def done(self, result: int) -> None:
        """Hear nothing more."""
        self._number += 1
        super().done(result)

    def _lay_out(self) -> None:
        self._changed: set[str] = set()
        self._form = form()
        self._form.addRow("Name", self.name)
        self._form.addRow("Direction", self.direction)
        self._form.addRow("Pixel size", self.pixel_size)
        layout = QVBoxLayout(self)
        for widget in (self.about, self.message):
            layout.addWidget(widget)
        layout.addLayout(self._form)
        layout.addStretch(1)
        layout.addWidget(self.buttons)
        show_row(self._form, self.direction, False)

    def _connect(self) -> None:
        self.direction.chosen.connect(self.ask)
        self.buttons.accepted.connect(self.bring)
        self.buttons.rejected.connect(self.reject)

    def _show(self, answer: Answer) -> None:
        if answer.error is not None:
            self.message.show_text(Level.PROBLEM, in_panel(answer.error))
            return
        first, self.found = self.found is None, Found.from_json(answer.values)
        found = self.found
        self.about.setText(described(found))
        if first:
            self.name.setText(found.name)
            self._begin_direction(found)
        self._offer(found.questions)
        other = self._task not in ("", found.task)
        notes = [*found.notes]
        if other:
            notes.append(f"It is a model to {found.task}; this panel will not offer it.")
        ready = f"{found.title} is recognised. Check the fields, then import it."
        level = Level.NOTE if notes else Level.READY
        self.message.show_text(level, "\n".join([*notes, ready]))
        self.import_button.setEnabled(True)

    def _begin_direction(self, found: Found) -> None:
        both = "backward" in found.parts
        self.direction.blockSignals(True)
        turned = Path(found.files[MAIN]).stem.endswith(("G_B", "G_B2A"))
        self.direction.value = "BtoA" if turned else "AtoB"
        self.direction.blockSignals(False)
        show_row(self._form, self.direction, both)

    def _offer(self, questions: Mapping[str, Question]) -> None:
        for key in [key for key in self.fields if key not in questions]:
            self._form.removeRow(self.fields.pop(key))
        for key, question in questions.items():
            if key not in self.fields:
                self.fields[key] = field = _field(question)
                signal = field.chosen if isinstance(field, Choice) else field.valueChanged
                signal.connect(lambda *_, key=key: self._on_change(key))
                self._form.addRow(LABELS.get(key, key), field)
            elif key not in self._changed:
                _set(self.fields[key], question.value)

    def _on_change(self, key: str) -> None:
        self._changed.add(key)
        self.ask()

    def _end(self, answer: Answer) -> None:
        if answer.error is not None:
            self.message.show_text(Level.PROBLEM, in_panel(answer.error))
            self.import_button.setEnabled(True)
            return
        self.imported.emit(answer.values["name"])
        self.accept()


def open_import(
    path: Path, row: Offering, hub: JobHub, origin: Mapping[str, Any] | None = None
) -> ImportDialog:
    """A dialog whose model the row will offer and choose; other panels offer it, too."""
    dialog = ImportDialog(path, hub, row.task, row, origin)

    def take(name: str) -> None:
        assert dialog.found is not None
        row.take(name, dialog.found.task)
        hub.models_changed.emit()

    dialog.imported.connect(take)
    dialog.finished.connect(dialog.deleteLater)
    return dialog


def described(found: Found) -> str:
    """Say what was found: networks by their names, and the options of the generator."""
    part = found.parts[MAIN]
    options = ", ".join(f"{key} {_word(value)}" for key, value in part.options.items())
    others = ", ".join(name.replace("_", " ") for name in found.parts if name != MAIN)
    files = sorted({Path(file).name for file in found.files.values()})
    lines = [
        f"{found.title}: {part.architecture.replace('_', ' ')}",
        f"Options: {options}",
        f"Beside it: {others or 'nothing'}",
        f"From: {', '.join(files)}",
    ]
    return "\n".join(lines)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _field(question: Question) -> Choice | QSpinBox:
    if question.choices:
        items = [Item(_word(choice).replace("_", " "), choice) for choice in question.choices]
        field: Choice | QSpinBox = Choice(items)
    else:
        field = QSpinBox()
        field.setRange(0, MOST)
        field.setKeyboardTracking(False)
    field.setToolTip(question.text)
    _set(field, question.value)
    return field


def _set(field: Choice | QSpinBox, value: Any) -> None:
    field.blockSignals(True)
    if isinstance(field, Choice):
        field.value = value
    else:
        field.setValue(value)
    field.blockSignals(False)


def _value(field: Choice | QSpinBox) -> Any:
    return field.value if isinstance(field, Choice) else field.value()
