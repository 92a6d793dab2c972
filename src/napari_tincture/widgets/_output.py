"""Where a result goes: into memory, to a file, or on the screen as far as it is looked at."""

from __future__ import annotations

import os
from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QToolButton, QVBoxLayout, QWidget

from napari_tincture.errors import OutputError
from napari_tincture.io.unfinished import is_unfinished
from napari_tincture.widgets._form import Choice, Item, row

KINDS = (
    Item("in memory", "memory", "The new layer is an array in memory"),
    Item("file on disk", "file", "The new layer reads from an OME-Zarr or OME-TIFF"),
    Item("live", "live", "The new layer fills in where you look"),
)
SUFFIXES = (".zarr", ".tif", ".tiff")


class Output(QWidget):
    """Chooses memory, live, or the path of an image file and whether one there is replaced."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.kind = Choice(KINDS, tooltip="Large results belong on disk")
        self._several = False
        self.path = QLineEdit()
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Choose where to save")
        browse.clicked.connect(self._browse)
        self.replace = QCheckBox("replace what is there")
        self.replace.setToolTip("Only for the next run; unticked, an existing file is kept")
        self._file = row([self.path, browse])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget in (self.kind, self._file, self.replace):
            layout.addWidget(widget)
        self.several = False
        self.kind.chosen.connect(self._update)
        self.path.textChanged.connect(self._update)
        self.replace.toggled.connect(lambda _: self.changed.emit())
        self._update()

    def offer_live(self, *, offered: bool) -> None:
        """Say whether results can be computed where somebody looks."""
        items = [item for item in KINDS if offered or item.value != "live"]
        self.kind.set_items(items)

    @property
    def live(self) -> bool:
        """Whether only what is looked at is computed."""
        return bool(self.kind.value == "live")

    @property
    def several(self) -> bool:
        """Whether there are several results, which a folder is needed for."""
        return self._several

    @several.setter
    def several(self, several: bool) -> None:
        self._several = several
        self.path.setPlaceholderText("folder" if several else "result.ome.zarr")
        self.path.setToolTip(
            "A folder, for one .ome.zarr each" if several else "Ends in .ome.zarr or .ome.tif"
        )

    @property
    def save_to(self) -> str | None:
        """The path; None for memory and live.

        Raises
        ------
        OutputError
            If nothing can be written there, or something is there and is to stay.
        """
        if self.kind.value != "file":
            return None
        check = check_folder if self.several else check_path
        return check(self.path.text(), replace=self.replace.isChecked())

    def refresh(self) -> None:
        """Look again whether something is there already."""
        on_disk = self.kind.value == "file"
        self._file.setVisible(on_disk)
        path = self.path.text().strip()
        there = bool(path) and (Path(path).expanduser().exists() or is_unfinished(path))
        self.replace.setVisible(on_disk and there)
        if not there:
            self.replace.setChecked(False)

    def _update(self) -> None:
        self.refresh()
        self.changed.emit()

    def _browse(self) -> None:
        ask = ask_folder if self.several else ask_path
        if path := ask(self, self.path.text()):
            self.path.setText(path)


def ask_path(parent: QWidget, proposed: str) -> str:
    """Ask for the file to save a result in; empty if the person thought better of it."""
    # The panel asks before it replaces; a zarr is a folder, which the dialog would not notice.
    path, _ = QFileDialog.getSaveFileName(
        parent,
        "Save the result as",
        proposed or "result.ome.zarr",
        "OME-Zarr (*.ome.zarr *.zarr);;OME-TIFF (*.ome.tif *.tif *.tiff)",
        options=QFileDialog.Option.DontConfirmOverwrite,
    )
    return str(path)


def ask_folder(parent: QWidget, proposed: str) -> str:
    """Ask for the folder to save results in; empty if the person thought better of it."""
    return str(QFileDialog.getExistingDirectory(parent, "Save the results in", proposed))


def check_folder(text: str, *, replace: bool) -> str:
    """Give the path of a folder that several results can be written to.

    Raises
    ------
    OutputError
        Saying what is wrong with it.
    """
    if not text.strip():
        raise OutputError("Choose the folder to save the results in.")
    path = Path(text.strip()).expanduser()
    if path.suffix.lower() in SUFFIXES or path.is_file():
        raise OutputError(f"{path.name!r} is one file; choose a folder for several results.")
    place = path if path.is_dir() else path.parent
    if not place.is_dir():
        raise OutputError(f"There is no folder {place}; create it or choose another.")
    if not os.access(place, os.W_OK):
        raise OutputError(f"Nothing can be written in {place}; choose another folder.")
    there = sorted(found.name for found in path.glob("*.ome.zarr")) if path.is_dir() else []
    if there and ".outputs.ome.zarr" not in there and not replace:
        raise OutputError(
            f"{path.name!r} holds {there[0]}: tick 'replace what is there', or choose another."
        )
    return str(path)


def check_path(text: str, *, replace: bool) -> str:
    """Give the path of a result that can be written.

    Raises
    ------
    OutputError
        Saying what is wrong with it.
    """
    if not text.strip():
        raise OutputError("Choose the file to save the result in, e.g. result.ome.zarr.")
    path = Path(text.strip()).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path.name!r} must end in .ome.zarr or .ome.tif.")
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"There is no folder {folder}; create it or choose another.")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"Nothing can be written in {folder}; choose another folder.")
    if path.exists() and not replace:
        raise OutputError(f"{path.name!r} exists: tick 'replace what is there', or rename it.")
    return str(path)
