"""Import… of a panel: a checkpoint or a package is chosen, and the dialog for it opened."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QDialog, QFileDialog

from napari_tincture.models.checkpoints._files import SUFFIXES
from napari_tincture.models.packages._archive import DESCRIPTIONS
from napari_tincture.widgets._import import open_import
from napari_tincture.widgets._import_package import PackageDialog
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._model_row import ModelRow

PACKAGE = ".zip"


def choose_import(row: ModelRow, hub: JobHub) -> None:
    """Let a person choose a checkpoint or a package; once it is imported, the row offers it.

    A package that is a folder is chosen by its description.
    """
    packages = " ".join([f"*{PACKAGE}", *DESCRIPTIONS])
    checkpoints = " ".join(f"*{suffix}" for suffix in SUFFIXES)
    kinds = [f"BioImage.IO packages ({packages})"]
    if row.task == "stain":
        every = f"Models ({packages} {checkpoints})"
        kinds = [every, *kinds, f"Checkpoints ({checkpoints})"]
    path, _ = QFileDialog.getOpenFileName(row, "Import a model", "", ";;".join(kinds))
    if path:
        open_any(Path(path), row, hub).open()


def open_any(path: Path, row: ModelRow, hub: JobHub) -> QDialog:
    """The dialog for a checkpoint or a package, whose model the row will offer and choose."""
    if path.name in DESCRIPTIONS:
        return open_package(path.parent, row, hub)
    if path.suffix.lower() == PACKAGE or path.is_dir():
        return open_package(path, row, hub)
    return open_import(path, row, hub)


def open_package(path: Path, row: ModelRow, hub: JobHub) -> PackageDialog:
    """A dialog whose model the row will offer and choose; other panels offer it, too."""
    dialog = PackageDialog(path, hub, row.task, row)

    def take(name: str, task: str) -> None:
        row.look_again()
        hub.models_changed.emit()
        if task == row.task:
            row.choose(name)

    dialog.imported.connect(take)
    dialog.finished.connect(dialog.deleteLater)
    return dialog
