"""Many label maps: an image of each, or a data set of images with the maps that they show."""

from __future__ import annotations

from typing import Any, ClassVar

from qtpy.QtWidgets import QCheckBox, QFormLayout, QSpinBox

from napari_tincture.errors import InputError
from napari_tincture.widgets._batch import Batch
from napari_tincture.widgets._derive_row import DeriveRow
from napari_tincture.widgets._form import Choice, Item, show_row

MOST = 10_000
_FORMATS = [
    Item("PNG", "png", "Grey and colour images of one plane, which every program reads"),
    Item("OME-Zarr", "ome-zarr", "Any image, with its place and pixel size"),
]


class MapFolder(Batch):
    """A folded form: folders, and whether and how a data set is made; its fields are public."""

    title: ClassVar[str] = "Many maps"
    source: ClassVar[str] = "Maps"

    def add_rows(self, layout: QFormLayout) -> None:
        """Add what a data set is made of."""
        self._form = layout
        self.dataset = QCheckBox("as a data set, each image with its map")
        self.dataset.setToolTip(
            "Folders images and labels of equal names, as Train takes them, and dataset.json, "
            "which says how each was made; what is there is not made again"
        )
        self.format = Choice(_FORMATS, tooltip="Of the files of a data set")
        self.count = QSpinBox()
        self.count.setRange(1, MOST)
        self.count.setToolTip("Images of each map, each of a seed of its own")
        self.derived = QCheckBox("derive a map for each, as under Derive")
        self.derived.setToolTip("Bent, and with its objects elsewhere, as Derive is set above")
        layout.addRow(self.dataset)
        layout.addRow("Format", self.format)
        layout.addRow("Per map", self.count)
        layout.addRow(self.derived)
        self.images.setToolTip("A folder of label maps, or an OME-Zarr plate")
        self.dataset.toggled.connect(self._show_rows)
        news = self.dataset.toggled, self.derived.toggled, self.format.chosen
        for signal in (*news, self.count.valueChanged):
            signal.connect(lambda *_: self.changed.emit())
        self._show_rows(asked=False)

    def options(self, derive: DeriveRow) -> dict[str, Any]:
        """Keyword arguments of `make_dataset` beside those of `synthesize`.

        Raises
        ------
        InputError
            If maps are to be derived, and Derive is set for maps without classes.
        """
        found: dict[str, Any] = {"format": self.format.value, "variants": self.count.value()}
        if not self.derived.isChecked():
            return found
        if derive.numbered:
            raise InputError(
                "Derive moves objects by number, and the maps of a data set have classes. Choose "
                "a class there."
            )
        return {**found, "derive": derive.bounds}

    def show_options(self, given: dict[str, Any], derive: DeriveRow) -> None:
        """Show what a recipe says and take it off the list.

        Raises
        ------
        InputError
            If it derives maps in a way that there are no controls for.
        """
        if not self.dataset.isChecked():
            return
        self.format.value = given.pop("format", "png")
        self.count.setValue(given.pop("variants", 1))
        bounds = given.pop("derive", None)
        self.derived.setChecked(bounds is not None)
        if bounds is not None:
            derive.show_bounds(bounds)

    def _show_rows(self, asked: bool) -> None:
        for field in (self.format, self.count, self.derived):
            show_row(self._form, field, asked)
        self.replace.setVisible(not asked)
