"""Run the panel's settings on all images of a folder or a plate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.errors import InputError
from napari_tincture.widgets._form import Folding, align_labels, form, row
from napari_tincture.widgets._inputs import Origin
from napari_tincture.worker.settings import JobSettings


class Batch(Folding):
    """A folded form: which folder, where the results go, and a button; its fields are public."""

    title: ClassVar[str] = "Many images"
    source: ClassVar[str] = "Images"
    run = Signal()
    changed = Signal()

    def __init__(self) -> None:
        self.images, self.results = QLineEdit(), QLineEdit()
        self.images.setToolTip("A folder of images, or an OME-Zarr plate")
        self.results.setToolTip("A folder that gets one OME-Zarr per image")
        self.replace = QCheckBox("replace results")
        self.replace.setToolTip("Otherwise images with a result of these settings are skipped")
        self.button = QPushButton("Run on all")
        self.button.setToolTip("All of the folder, one after the other; Cancel stops")
        layout, body = form(), QWidget()
        layout.addRow(self.source, row([self.images, _browse(self.images)]))
        layout.addRow("Results", row([self.results, _browse(self.results)]))
        self.add_rows(layout)
        align_labels(layout)
        whole = QVBoxLayout(body)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(layout)
        whole.addWidget(row([self.replace, self.button]))
        super().__init__(self.title, body, tooltip="A folder or a plate")
        self.button.clicked.connect(lambda _: self.run.emit())
        for line in (self.images, self.results):
            line.textChanged.connect(self._update)
        self._update()

    @property
    def folders(self) -> tuple[str, str]:
        """Where the images are, and where the results go.

        Raises
        ------
        InputError
            If one is missing.
        """
        images, results = (line.text().strip() for line in (self.images, self.results))
        if not images or not Path(images).expanduser().exists():
            raise InputError(f"There is no folder {images!r}; choose the one with the images.")
        if not results:
            raise InputError("Choose a folder for the results.")
        return images, results

    @property
    def filled(self) -> bool:
        """Whether both folders are named."""
        return all(line.text().strip() for line in (self.images, self.results))

    def add_rows(self, layout: QFormLayout) -> None:
        """Add what only one task has; for a subclass."""

    def _update(self) -> None:
        self.button.setEnabled(self.filled)
        self.summarise(Path(self.images.text().strip()).name)
        self.changed.emit()


def batch_settings(
    task: str,
    model: str,
    folders: tuple[str, str],
    origins: Sequence[Origin | None],
    **more: Any,
) -> JobSettings:
    """Make a job of many images of what a panel shows.

    Channels and planes chosen from the panel's layer are taken of every image; where the layer
    is taken as it is, or nothing is chosen, each image must fit the model by itself.

    Raises
    ------
    InputError
        If an input comes from a second layer, which no other image has.
    """
    known = [origin for origin in origins if origin is not None]
    if len({origin.layer for origin in known}) > 1:
        raise InputError(
            "The inputs come from several layers; images of a folder are one each. Choose all "
            "inputs from one layer."
        )
    channels = None
    if known and len(known) == len(origins) and any(origin.axis for origin in known):
        channels = tuple((0, origin.axis, origin.index) for origin in known)
    images, results = folders
    return JobSettings(
        task=task, model=model, channels=channels, images=images, save_to=results, **more
    )


def batch_choices(more: Any) -> Mapping[str, str]:
    """The options of a panel that are settings of a job."""
    return {name: getattr(more, name).value for name in ("context", "device", "precision")}


def _browse(line: QLineEdit) -> QToolButton:
    button = QToolButton()
    button.setText("…")
    button.setToolTip("Choose a folder")

    def choose() -> None:
        folder = QFileDialog.getExistingDirectory(button, "Choose a folder", line.text())
        if folder:
            line.setText(folder)

    button.clicked.connect(choose)
    return button
