"""Import… of a panel: a checkpoint or a package is chosen, and the dialog for it opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QDialog, QFileDialog

from napari_tincture.models.checkpoints._files import SUFFIXES
from napari_tincture.models.packages._archive import DESCRIPTIONS, is_package
from napari_tincture.widgets._import import open_import
from napari_tincture.widgets._import_package import PackageDialog
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._offering import Offering

PACKAGE = ".zip"


def choose_import(row: Offering, hub: JobHub) -> None:
    """Let a person choose a checkpoint or a package; once it is imported, the row offers it."""
    if path := choose_file(row):
        open_any(path, row, hub).open()


def choose_file(row: Offering) -> Path | None:
    """Let a person choose a file that a model for the row can be made of.

    A package that is a folder is chosen by its description.
    """
    packages = " ".join([f"*{PACKAGE}", *DESCRIPTIONS])
    checkpoints = " ".join(f"*{suffix}" for suffix in SUFFIXES)
    kinds = [f"BioImage.IO packages ({packages})"]
    if row.takes("stain"):
        every = f"Models ({packages} {checkpoints})"
        kinds = [every, *kinds, f"Checkpoints ({checkpoints})"]
    path, _ = QFileDialog.getOpenFileName(row, "Import a model", "", ";;".join(kinds))
    return Path(path) if path else None


def open_any(
    path: Path, row: Offering, hub: JobHub, origin: Mapping[str, Any] | None = None
) -> QDialog:
    """The dialog for a checkpoint or a package, whose model the row will offer and choose."""
    if path.name in DESCRIPTIONS:
        return open_package(path.parent, row, hub, origin)
    if path.is_dir() or is_package(path):
        return open_package(path, row, hub, origin)
    return open_import(path, row, hub, origin)


def open_package(
    path: Path, row: Offering, hub: JobHub, origin: Mapping[str, Any] | None = None
) -> PackageDialog:
    """A dialog whose model the row will offer and choose; other panels offer it, too."""
    dialog = PackageDialog(path, hub, row.task, row, origin)

    def take(name: str, task: str) -> None:
        row.take(name, task)
        hub.models_changed.emit()

    dialog.imported.connect(take)
    dialog.finished.connect(dialog.deleteLater)
    return dialog
