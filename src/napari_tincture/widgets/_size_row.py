"""Which sizes objects may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QWidget

from napari_tincture.widgets._form import Choice, Item, row

UNITS = (
    Item("px", "pixel", "Areas in pixels"),
    Item("µm²", "um2", "Areas in µm²; the layer must have a pixel size"),
)
LARGEST = 1e9


class SizeRow(QWidget):
    """The least and the greatest area of an object; empty fields set no limit."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.least = _area("model's", "Smaller objects are dropped; 0: as the model says")
        self.most = _area("any", "Larger objects are dropped; 0: none is")
        self.unit = Choice(UNITS, tooltip="What areas are given in")
        self.unit.setMinimumContentsLength(3)
        row([self.least, QLabel("to"), self.most, self.unit], self)
        for field in (self.least, self.most):
            field.valueChanged.connect(lambda _: self.changed.emit())
        self.unit.chosen.connect(self.changed)

    @property
    def limits(self) -> tuple[float | None, float | None, str]:
        """The least and the greatest area, None: no limit; and their unit."""
        return self.least.value() or None, self.most.value() or None, self.unit.value

    @property
    def options(self) -> dict[str, Any]:
        """Limits that are set, as `segment` takes them."""
        given = zip(("min_size", "max_size"), self.limits[:2], strict=True)
        found: dict[str, Any] = {name: limit for name, limit in given if limit is not None}
        return found and {**found, "size_unit": self.unit.value}

    @options.setter
    def options(self, values: Mapping[str, Any]) -> None:
        self.least.setValue(values.get("min_size", 0))
        self.most.setValue(values.get("max_size", 0))
        self.unit.value = values.get("size_unit", "pixel")


class _Area(QDoubleSpinBox):
    def textFromValue(self, value: float) -> str:  # noqa: N802 - Qt's name
        """Say no more digits than there are."""
        return f"{value:.10g}"

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to the panel."""
        event.ignore()


def _area(unset: str, tooltip: str) -> QDoubleSpinBox:
    field = _Area()
    field.setRange(0, LARGEST)
    field.setDecimals(3)
    field.setSpecialValueText(unset)
    field.setToolTip(tooltip)
    field.setMinimumWidth(64)
    field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    return field
