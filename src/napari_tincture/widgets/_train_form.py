"""What is trained: family, size, name, and all other settings, folded away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from napari_tincture.by_name import own_modules
from napari_tincture.errors import InputError
from napari_tincture.widgets._fields import Field, Fields
from napari_tincture.widgets._form import Choice, Folding, Item, Wrapped, align_labels, form
from napari_tincture.widgets._recipe_fields import (
    DATA,
    DERIVED,
    INTERVALS,
    LEARNING,
    NO_RECIPE,
    parse_channels,
    shown_fields,
    usual_values,
)
from napari_tincture.widgets._recipe_file import RecipeFile

ROOM = "napari_tincture.training.objectives"
SIZES = {
    "tiny": "Narrow networks, for a processor or a first try",
    "standard": "As published, for a graphics card",
    "large": "Wider and deeper, for a large graphics card",
}
SECTIONS = {
    "Data": "Which crops are learned from, and how they are varied",
    "Learning": "How long and how fast",
    "Networks": "How they are built",
    "Losses": "What counts how much",
    "Every so many steps": "Previews, validations, checkpoints",
}
LOADED = "loaded"
FAMILY = "cyclegan"
"""Which is chosen where nobody has chosen."""


class TrainForm(QWidget):
    """Family, size and name; below, all settings of the recipe, usual ones left empty.

    The families' titles and settings come from `offer`: their files import torch.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.family = Choice(
            [Item(name, name) for name in sorted(own_modules(ROOM, frozenset()))],
            tooltip="What is trained, and how",
        )
        self.family.value = FAMILY
        self.preset = Choice(
            [Item(name, name, text) for name, text in SIZES.items()],
            tooltip="How wide and deep the networks are",
        )
        self.name = QLineEdit()
        self.name.setPlaceholderText("family and size")
        self.name.setToolTip("Of the model, as Stain will offer it")
        self.device = Choice(
            [Item("auto", "auto", "A GPU if there is one, else the processor")],
            tooltip="Where it learns",
        )
        self.about = Wrapped()
        self.about.setStyleSheet("font-size: 11px; padding: 0px;")
        self.data, self.learning = Fields(DATA), Fields(LEARNING)
        self.networks, self.losses, self.intervals = Fields(), Fields(), Fields(INTERVALS)
        self.file = RecipeFile()
        self._families: dict[str, Mapping[str, Any]] = {}
        self._loaded: dict[str, Any] | None = None
        self._options: list[str] = []
        self._lay_out()
        self._connect()

    @property
    def sections(self) -> dict[str, Fields]:
        """The folded fields, by their titles."""
        return {
            "Data": self.data, "Learning": self.learning, "Networks": self.networks,
            "Losses": self.losses, "Every so many steps": self.intervals,
        }  # fmt: skip

    @property
    def ready(self) -> bool:
        """Whether what families take is known."""
        return bool(self._families)

    @property
    def described(self) -> Mapping[str, Any]:
        """What is known of the chosen family.

        Raises
        ------
        InputError
            If that is nothing yet.
        """
        if self.family.value not in self._families:
            raise InputError("One moment: the families are being listed.")
        return self._families[self.family.value]

    @property
    def base(self) -> dict[str, Any] | None:
        """A loaded recipe, unless another family or size was chosen since."""
        return self._loaded if self.preset.value == LOADED else None

    def offer(self, families: Sequence[Mapping[str, Any]]) -> None:
        """Take what is known of the families."""
        self._families = {family["name"]: family for family in families}
        self.family.set_items(
            [Item(each["title"], each["name"], each["citation"]) for each in families]
        )
        self._on_family()

    def value(self, name: str) -> Any:
        """A setting, by the name of its field.

        Raises
        ------
        InputError
            If it is no number.
        """
        section = next(each for each in self.sections.values() if name in each.widgets)
        return section.value(name)

    def channels(self) -> dict[str, tuple[int | str, ...] | None]:
        """Which channels of either domain are learned from."""
        return {side: parse_channels(str(self.value(f"channels_{side}"))) for side in "ab"}

    def settings(self) -> dict[str, Any]:
        """Fields of `TrainSettings` that do not depend on images.

        Raises
        ------
        InputError
            If a field is no number.
        """
        family = self.described
        changes: dict[str, Any] = {}
        for section in (self.data, self.learning, self.intervals):
            changes |= section.values
        own = {name: changes.pop(name, None) for name in NO_RECIPE}
        base = self.base or {}
        changes |= self._grouped(base)
        if own["validation"] is not None:
            changes["split"] = {**base.get("split", {}), "validation": own["validation"]}
        size = self.preset.value
        name = self.name.text().strip() or f"{family['name']} {base.get('name', size)}"
        return {
            "name": name, "family": family["name"], "size": "standard" if base else size,
            "networks": {} if base else self.networks.values, "changes": changes,
            "base": self.base, "preview_every": self.value("preview_every"),
            "device": self.device.value,
        }  # fmt: skip

    def load(self, recipe: Mapping[str, Any]) -> None:
        """Take a recipe's settings.

        Raises
        ------
        InputError
            If it is no recipe of a family that is known.
        """
        needed = {"name", "schedule", "sampling", "networks", "data"}
        if recipe.get("family") not in self._families or not needed <= set(recipe):
            raise InputError(
                f"This is no recipe of {', '.join(self._families)}; choose one that was saved here."
            )
        self._loaded = dict(recipe)
        for section in self.sections.values():
            section.reset()
        self.family.value = recipe["family"]
        self._offer_sizes()
        self.preset.value = LOADED
        self.name.setText(str(recipe["name"]))
        self._on_family()

    def offer_devices(self, known: Mapping[str, str]) -> None:
        """Offer devices by name, with a description each."""
        items = [Item(name, name, text) for name, text in (known or {"cpu": ""}).items()]
        self.device.set_items([Item("auto", "auto", "A GPU, else the processor"), *items])

    def state(self) -> dict[str, Any]:
        """What is shown, for when the panel is opened again."""
        texts = {title: section.texts for title, section in self.sections.items()}
        own = {"family": self.family.value, "size": self.preset.value, "name": self.name.text()}
        return {**own, "texts": texts, "loaded": self._loaded}

    def recall(self, state: Mapping[str, Any]) -> None:
        """Show it again; the families must be known."""
        self._loaded = state["loaded"]
        self.family.value = state["family"]
        self._offer_sizes()
        self.preset.value = state["size"]
        self._on_family()
        self.name.setText(state["name"])
        for title, texts in state["texts"].items():
            self.sections[title].texts = texts

    def _grouped(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """Weights and options of the losses, beside those that a loaded recipe has."""
        found = self.losses.values
        weights = {name: value for name, value in found.items() if name not in self._options}
        options = {name: value for name, value in found.items() if name in self._options}
        groups = {"weights": weights, "options": options}
        return {name: {**base.get(name, {}), **values} for name, values in groups.items() if values}

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(8, 0, 0, 0)
        column.setSpacing(2)
        self.foldings = {
            name: Folding(name, fields, tooltip=SECTIONS[name])
            for name, fields in self.sections.items()
        }
        device = form()
        device.addRow("Device", self.device)
        align_labels(device)
        column.addLayout(device)
        for folding in self.foldings.values():
            column.addWidget(folding)
        column.addWidget(self.file)
        self.advanced = Folding("Advanced", inner, tooltip="All that is in the recipe")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.form = form()
        self.form.addRow("Family", self.family)
        self.form.addRow("Size", self.preset)
        self.form.addRow(self.about)
        self.form.addRow("Name", self.name)
        align_labels(self.form)
        layout.addLayout(self.form)
        layout.addWidget(self.advanced)

    def _connect(self) -> None:
        self.family.chosen.connect(self._on_choice)
        self.preset.chosen.connect(self._on_family)
        self.name.textChanged.connect(lambda _: self.changed.emit())
        self.device.chosen.connect(self.changed)
        for section in self.sections.values():
            section.changed.connect(self._on_field)

    def _on_choice(self) -> None:
        """Another family: a loaded recipe is another's."""
        if self._loaded is not None and self._loaded["family"] != self.family.value:
            self._loaded = None
        self._offer_sizes()
        self._on_family()

    def _offer_sizes(self) -> None:
        items = [Item(name, name, text) for name, text in SIZES.items()]
        if self._loaded is not None:
            items.append(Item(f"as in {self._loaded['name']}", LOADED, "Networks of the recipe"))
        self.preset.set_items(items)

    def _on_family(self) -> None:
        if not self.ready:
            return
        family, base = self.described, self.base
        usual = usual_values(base or family["sizes"][self.preset.value])
        if base is None:
            usual |= dict.fromkeys(DERIVED)
        for section in self.sections.values():
            section.blockSignals(True)
        self._offer_losses(family, base or {})
        self.networks.set_fields(map(Field.described, family["networks"]))
        self.networks.set_usual({field["name"]: field["default"] for field in family["networks"]})
        for section in (self.data, self.learning, self.intervals):
            section.set_usual(usual)
        for section in self.sections.values():
            section.blockSignals(False)
        self.foldings["Networks"].setVisible(base is None and bool(family["networks"]))
        self._on_field()

    def _offer_losses(self, family: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        fields = [*family["weights"], *family["options"]]
        self._options = [field["name"] for field in family["options"]]
        usual = {field["name"]: field["default"] for field in fields}
        self.losses.set_fields(map(Field.described, fields))
        self.losses.set_usual({**usual, **base.get("weights", {}), **base.get("options", {})})

    def _on_field(self) -> None:
        """Hide fields that mean nothing now, and count those that were set."""
        if not self.ready:
            return
        decay, unit = (self.learning.widgets[name].value for name in ("decay", "unit"))  # type: ignore[union-attr]
        self.learning.show_only(shown_fields(decay or "", unit or ""))
        total = 0
        for title, section in self.sections.items():
            try:
                count = len(section.values)
            except InputError:
                count = 1
            self.foldings[title].summarise(f"{count} set" if count else "")
            total += count
        self.advanced.summarise(f"{total} set" if total else "")
        with suppress(InputError):
            about = SIZES.get(self.preset.value, "As the recipe says")
            crop, steps = self.value("crop"), self.value("steps")
            self.about.setText(f"{about}; crops of {crop} px, {steps:,} steps")
        self.changed.emit()
