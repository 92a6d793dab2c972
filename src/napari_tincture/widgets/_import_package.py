"""Importing a model package: what is in it is shown, what it may run is agreed to, or not.

1. The worker says what the package is, running nothing of it.
2. Import asks it to make a model of it, with the programs whose boxes are ticked and no others.
3. What goes wrong is told in the dialog, whose fields stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._form import (
    LABEL_WIDTH,
    Choice,
    Item,
    Level,
    Message,
    Scrolling,
    Wrapped,
    align_labels,
    form,
    show_row,
)
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._programs import Programs
from napari_tincture.worker.questions import Answer

KINDS = {
    "pytorch_state_dict": "PyTorch state dict", "torchscript": "TorchScript", "onnx": "ONNX",
}  # fmt: skip
TASKS = {"segment": "segmenting", "stain": "staining"}
WIDTH = 520
"""Pixels."""


class PackageDialog(QDialog):
    """Shows what a package is, and imports it.

    Parameters
    ----------
    path
        A ``.zip`` or a folder.
    hub
        Asks the worker.
    task
        That of the panel; empty for all.
    origin
        Where it was downloaded from.
    """

    imported = Signal(str, str)
    """Name and task of the model that is in the user's library now."""

    def __init__(
        self, path: Path, hub: JobHub, task: str, parent: QWidget | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.setWindowTitle(f"Import {path.name}")
        self.setMinimumWidth(WIDTH)
        self._path, self._hub, self._panel_task, self._origin = path, hub, task, origin
        self._open = True
        self.found: Mapping[str, Any] | None = None
        self.about, self.message, self.programs = QGridLayout(), Message(), Programs()
        self.about.setHorizontalSpacing(8)
        self.about.setVerticalSpacing(4)
        self.about.setColumnStretch(1, 1)
        self._make_fields()
        self.import_button = QPushButton("Import")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.buttons.addButton(self.import_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self._lay_out()
        self.task.chosen.connect(self._note)
        self.programs.changed.connect(self._note)
        self.buttons.accepted.connect(self.bring)
        self.buttons.rejected.connect(self.reject)
        self._wait("Looking at the package …")
        hub.ask("inspect_package", self._if_open(self._show), path=str(path))

    def bring(self) -> None:
        """Make a model of the package in the user's library."""
        assert self.found is not None
        self._wait("Importing, and trying the package's test …")
        task = self.task.value
        self._hub.ask(
            "import_package", self._if_open(self._end), path=str(self._path),
            consent=self.programs.agreed, name=self.name.text().strip(),
            task=None if task == self.found["task"] else task,
            weights=self.weights.value, output=self.output.value or "",
            pixel_size=self.pixel_size.value() or None,
            on_mismatch="warn" if self.any_result.isChecked() else "error", origin=self._origin,
        )  # fmt: skip

    def done(self, result: int) -> None:
        """Hear nothing more."""
        self._open = False
        super().done(result)

    def _if_open(self, listener: Any) -> Any:
        return lambda answer: listener(answer) if self._open else None

    def _make_fields(self) -> None:
        self.name = QLineEdit()
        self.task = Choice(
            [Item(text, task) for task, text in TASKS.items()],
            tooltip="Which panel will offer it",
        )
        self.weights = Choice(tooltip="Which of the package's weights are used")
        self.output = Choice(tooltip="Which of the package's results is taken")
        self.pixel_size = QDoubleSpinBox()
        self.pixel_size.setRange(0, 1000)
        self.pixel_size.setDecimals(4)
        self.pixel_size.setSuffix(" µm")
        self.pixel_size.setSpecialValueText("as the package says")
        self.pixel_size.setToolTip("Of the images that it was trained on")
        self.any_result = QCheckBox("even if its test fails")
        self.any_result.setToolTip(
            "Import it although it does not give the result that its package holds"
        )

    def _lay_out(self) -> None:
        self._form = form()
        for label, field in (
            ("Name", self.name), ("Made for", self.task), ("Weights", self.weights),
            ("Output", self.output), ("Pixel size", self.pixel_size), ("Import", self.any_result),
        ):  # fmt: skip
            self._form.addRow(label, field)
        align_labels(self._form)
        body = QWidget()
        inner = QVBoxLayout(body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(10)
        for part in (self.about, self._form):
            inner.addLayout(part)
        inner.addWidget(self.programs)
        inner.addStretch(1)
        layout = QVBoxLayout(self)
        for widget in (Scrolling(body), self.message):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(self.buttons)

    def _wait(self, text: str) -> None:
        self.import_button.setEnabled(False)
        self.message.show_text(Level.NOTE, text)

    def _show(self, answer: Answer) -> None:
        if answer.error is not None:
            self.message.show_text(Level.PROBLEM, in_panel(answer.error))
            return
        self.found = found = answer.values
        self._describe(found)
        self.name.setText(found["name"])
        self.task.value = found["task"]
        usable = [entry["kind"] for entry in found["weights"] if not entry["lacking"]]
        self.weights.set_items(
            [
                Item("the first that can be used", "auto"),
                *(Item(KINDS.get(kind, kind), kind) for kind in usable),
            ]
        )
        self.output.set_items(Item(name, name) for name in found["outputs"])
        show_row(self._form, self.output, len(found["outputs"]) > 1)
        show_row(self._form, self.any_result, found["tested"])
        self.programs.show_programs(found["programs"])
        self.import_button.setEnabled(True)
        self._note()
        QTimer.singleShot(0, self.adjustSize)  # once the texts know how high they are

    def _describe(self, found: Mapping[str, Any]) -> None:
        for number, (label, text) in enumerate(described(found)):
            title, value = QLabel(label), Wrapped()
            title.setMinimumWidth(LABEL_WIDTH)
            value.setText(text)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            # In a form, the label would stand in the middle of a long text.
            self.about.addWidget(title, number, 0, Qt.AlignmentFlag.AlignTop)
            self.about.addWidget(value, number, 1)

    def _note(self) -> None:
        """Say what a person should know before the import."""
        if self.found is None or not self.import_button.isEnabled():
            return
        notes = []
        if self._panel_task not in ("", self.task.value):
            notes.append(f"It is for {TASKS[self.task.value]}; this panel will not offer it.")
        if not self.found["tested"]:
            notes.append("It holds no test: its result cannot be checked.")
        if self.programs.boxes and not self.programs.agreed:
            notes.append("No code is allowed: it is imported only if it can do without.")
        level = Level.NOTE if notes else Level.READY
        self.message.show_text(level, "\n".join([*notes, "Check the fields, then import it."]))

    def _end(self, answer: Answer) -> None:
        if answer.error is not None:
            self.message.show_text(Level.PROBLEM, in_panel(answer.error))
            self.import_button.setEnabled(True)
            return
        self.imported.emit(answer.values["name"], answer.values["task"])
        self.accept()


def described(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a package is, by what a person calls it; what it does not say is left out."""
    files = {program["sha256"]: program["file"] for program in found["programs"]}
    usable, others = [], []
    for entry in found["weights"]:
        name = KINDS.get(entry["kind"], entry["kind"])
        runs = f"runs {files[entry['runs']]}" if entry["runs"] else "can be used"
        if entry["lacking"]:
            others.append(f"{name}: {entry['lacking'].removeprefix(entry['kind']).strip()}")
        else:
            usable.append(f"{name}: {runs}")
    rows = [
        ("Package", f"{found['name']} (format {found['version']})"),
        ("About", found["description"]),
        ("Licence", found["licence"] or "not stated"),
        ("Cite", found["citation"]),
        ("Takes", ", ".join(found["inputs"])),
        ("Gives", ", ".join(found["outputs"])),
        ("Weights", "\n".join([*usable, *others])),
    ]
    return [(label, text) for label, text in rows if text]
