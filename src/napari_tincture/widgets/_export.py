"""Exporting a model as a package for other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.models.card import ModelCard
from napari_tincture.models.packages._say import LICENCES, licence_of
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._form import Level, Message, Wrapped, form, row
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._plan import Plan
from napari_tincture.widgets._progress_bar import ProgressBar
from napari_tincture.worker.jobs import Job, State

TASK = "export_package"
WIDTH = 460
"""Pixels."""
STEPS = ("Measuring the network …", "Reading the image …", "Running the test, and writing …")


class ExportDialog(QDialog):
    """Asks for what a package says beside the model, and has the worker write it.

    Parameters
    ----------
    plan
        Model and image of the panel; the middle of the part that it has chosen becomes the
        package's test.
    card
        Of the model.
    hub
        Runs the job.
    """

    def __init__(
        self, plan: Plan, card: ModelCard, hub: JobHub, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Export {card.name}")
        self.setMinimumWidth(WIDTH)
        self._plan, self._hub = plan, hub
        self.job: Job | None = None
        self.authors, self.path = QLineEdit(), QLineEdit()
        self.authors.setPlaceholderText("names, with ; between them")
        self.licence = QComboBox()
        self.licence.setEditable(True)
        self.licence.addItems(["", *sorted(set(LICENCES.values()))])
        self.licence.setCurrentText(licence_of(card, None) or "")
        self.licence.setToolTip("SPDX identifier, under which others may use the model")
        self.path.setPlaceholderText(f"{card.name}.zip")
        self.message, self.bar = Message(), ProgressBar()
        self.bar.setVisible(False)
        self.export_button = QPushButton("Export")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.addButton(self.export_button, QDialogButtonBox.ButtonRole.ActionRole)
        self._lay_out()
        self.export_button.clicked.connect(lambda _: self.write())
        self.buttons.rejected.connect(self.reject)
        self.path.textChanged.connect(lambda _: self._refresh())
        hub.changed.connect(self._on_job)
        self._refresh()

    def write(self) -> None:
        """Have the package written where the field says."""
        settings = self._plan.settings
        kept = {k: v for k, v in settings.options.items() if k == "direction"}
        options = {
            **kept,
            "path": self._target(),
            "authors": [name.strip() for name in self.authors.text().split(";") if name.strip()],
            "licence": self.licence.currentText().strip(),
        }
        settings = replace(settings, task=TASK, options=options, save_to=None, overwrite=False)
        self.job = self._hub.start(None, settings, self._plan.sources)
        self._on_job(self.job)

    def done(self, result: int) -> None:
        """Stop what is under way."""
        self._hub.changed.disconnect(self._on_job)
        if self.job is not None and not self.job.state.final:
            self._hub.client.cancel(self.job)
        super().done(result)

    def _lay_out(self) -> None:
        fields = form()
        source = Wrapped()
        source.setText(f"the middle of {self._plan.sources[0].name}, at most some hundred pixels")
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Choose the file")
        browse.clicked.connect(self._browse)
        fields.addRow("Authors", self.authors)
        fields.addRow("Licence", self.licence)
        fields.addRow("Test image", source)
        fields.addRow("File", row([self.path, browse]))
        layout = QVBoxLayout(self)
        layout.addLayout(fields)
        for widget in (self.bar, self.message):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(self.buttons)

    def _target(self) -> str:
        path = Path(self.path.text().strip()).expanduser()
        return str(path if path.suffix.lower() == ".zip" else path.with_name(f"{path.name}.zip"))

    def _browse(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the package as", self.path.text() or self.path.placeholderText(),
            "Packages (*.zip)", options=QFileDialog.Option.DontConfirmOverwrite,
        )  # fmt: skip
        if path:
            self.path.setText(path)

    def _refresh(self) -> None:
        """Say what can be done now."""
        ready = bool(self.path.text().strip())
        self.export_button.setEnabled(ready)
        text = "The test image and its result become part of the package: everyone can see them."
        self.message.show_text(Level.NOTE, text if ready else f"{text}\nChoose the file to write.")

    def _on_job(self, job: Job) -> None:
        if job is not self.job:
            return
        under_way = not job.state.final
        self.bar.setVisible(under_way)
        self.export_button.setEnabled(not under_way)
        if under_way:
            self.bar.show_done(job.done, len(STEPS))
            self.message.show_text(Level.NOTE, _step(job))
        elif job.state is State.FINISHED:
            self.message.show_text(Level.READY, f"Written: {job.settings.options['path']}")
        else:
            self.message.show_text(Level.PROBLEM, in_panel(job.error or ""))


def _step(job: Job) -> str:
    if job.state is State.QUEUED:
        return "Waiting for the worker …"
    return STEPS[min(job.done, len(STEPS) - 1)]


def open_export(plan: Plan, card: ModelCard, hub: JobHub, parent: QWidget) -> ExportDialog:
    """A dialog that is gone once it is closed."""
    dialog = ExportDialog(plan, card, hub, parent)
    dialog.finished.connect(dialog.deleteLater)
    return dialog
