"""Settings that are described elsewhere: a form of fields, of which empty ones mean the usual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QSpinBox, QVBoxLayout, QWidget

from napari_tincture.errors import InputError
from napari_tincture.widgets._form import Choice, Item, align_labels, form, show_row

UNCHANGED = object()
_KINDS = {"int": int, "float": float}


@dataclass(frozen=True, slots=True)
class Field:
    """One setting.

    Attributes
    ----------
    name
        As whoever takes it calls it.
    label
        As a person reads it.
    kind
        "int", "float", "text", or "choice".
    choices
        Values and their names; of a "choice".
    help
        Tooltip.
    """

    name: str
    label: str
    kind: str = "float"
    choices: tuple[tuple[Any, str], ...] = ()
    help: str = ""

    @classmethod
    def described(cls, values: Mapping[str, Any]) -> Field:
        """Of what `training.families` says of one."""
        name, kind = values["name"], values["kind"]
        choices = [False, True] if kind == "bool" else values["choices"]
        named = tuple((choice, _word(choice)) for choice in choices)
        label = name.replace("_", " ").capitalize()
        return cls(name, label, "choice" if named else kind, named, values["help"])


class Fields(QWidget):
    """A form; a field that is left as it is shows what is usual, and gives no value."""

    changed = Signal()

    def __init__(self, fields: Iterable[Field] = ()) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._body = QWidget()
        self._layout.addWidget(self._body)
        self._fields: dict[str, Field] = {}
        self._usual: dict[str, Any] = {}
        self._hidden: set[str] = set()
        self.widgets: dict[str, QLineEdit | Choice] = {}
        self.set_fields(fields)

    def set_fields(self, fields: Iterable[Field]) -> None:
        """Replace the form; values of fields that stay are kept."""
        fields = list(fields)
        if self.widgets and fields == list(self._fields.values()):
            return
        before = self.texts
        self._fields = {field.name: field for field in fields}
        self._layout.removeWidget(self._body)
        self._body.deleteLater()
        self._body, self._form = QWidget(), form()
        self._body.setLayout(self._form)
        self.widgets = {field.name: self._make(field) for field in fields}
        for field in fields:
            self._form.addRow(field.label, self.widgets[field.name])
        align_labels(self._form)
        self._layout.addWidget(self._body)
        self.texts = before

    def set_usual(self, values: Mapping[str, Any]) -> None:
        """Say what is usual: the values of fields that are left as they are."""
        for name, widget in self.widgets.items():
            value = values.get(name)
            if isinstance(widget, Choice):
                untouched = name not in self._usual or widget.value == self._usual[name]
                self._usual[name] = value
                if untouched:
                    widget.value = value
            else:
                self._usual[name] = value
                widget.setPlaceholderText("auto" if value is None else _word(value))

    def usual(self, name: str) -> Any:
        """What a field is that is left as it is."""
        return self._usual.get(name)

    def value(self, name: str) -> Any:
        """What a field is, left as it is or not.

        Raises
        ------
        InputError
            If it is no number.
        """
        found = self._read(name)
        return self._usual.get(name) if found is UNCHANGED else found

    @property
    def values(self) -> dict[str, Any]:
        """Those that differ from the usual.

        Raises
        ------
        InputError
            If one is no number.
        """
        read = {name: self._read(name) for name in self.widgets}
        return {name: value for name, value in read.items() if value is not UNCHANGED}

    @property
    def texts(self) -> dict[str, Any]:
        """What the fields show, to be set again."""
        return {
            name: widget.value if isinstance(widget, Choice) else widget.text()
            for name, widget in self.widgets.items()
        }

    @texts.setter
    def texts(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            widget = self.widgets.get(name)
            if isinstance(widget, Choice):
                widget.value = value
            elif widget is not None:
                widget.setText(value if isinstance(value, str) else _word(value))

    def reset(self) -> None:
        """Leave all as they usually are."""
        for name, widget in self.widgets.items():
            if isinstance(widget, Choice):
                widget.value = self._usual.get(name)
            else:
                widget.clear()

    def show_only(self, shown: Mapping[str, bool]) -> None:
        """Show or hide some fields; hidden ones are left as they usually are."""
        self._hidden = {name for name, visible in shown.items() if not visible}
        for name, visible in shown.items():
            show_row(self._form, self.widgets[name], visible)

    def _make(self, field: Field) -> QLineEdit | Choice:
        if field.kind == "choice":
            choice = Choice([Item(text, value) for value, text in field.choices])
            choice.setToolTip(field.help)
            choice.chosen.connect(self.changed)
            return choice
        line = QLineEdit()
        line.setToolTip(field.help)
        line.textChanged.connect(lambda _: self.changed.emit())
        return line

    def _read(self, name: str) -> Any:
        widget, field = self.widgets[name], self._fields[name]
        if name in self._hidden:
            return UNCHANGED
        if isinstance(widget, Choice):
            same = widget.value == self._usual.get(name, widget.value)
            return UNCHANGED if same else widget.value
        text = widget.text().strip()
        if not text:
            return UNCHANGED
        if field.kind == "text":
            return text
        try:
            return _KINDS[field.kind](text)
        except ValueError:
            what = "a whole number" if field.kind == "int" else "a number"
            raise InputError(
                f"{field.label}: expected {what}, got {text!r}. Empty the field for the usual."
            ) from None


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "auto" if value is None else str(value).replace("_", " ")


def pixels_box(value: int, largest: int, smallest: int = 0, *, zero: str = "") -> QSpinBox:
    """A box for a number of pixels; `zero`: how the smallest is called."""
    box = QSpinBox()
    box.setRange(smallest, largest)
    box.setSuffix(" px")
    box.setSpecialValueText(zero)
    box.setValue(value)
    return box
