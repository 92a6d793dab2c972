"""How an image is drawn: sampler, steps, seed, guidance and style."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QSpinBox, QToolButton

from napari_tincture.by_name import own_modules
from napari_tincture.diffusion.noise import LARGEST_SEED as LAST_SEED
from napari_tincture.errors import InputError
from napari_tincture.models.card import ModelCard
from napari_tincture.models.denoising import USUAL as ASKED
from napari_tincture.models.denoising import Denoising
from napari_tincture.widgets._form import Choice, Item, row, show_row
from napari_tincture.widgets._style_row import StyleRow

ROOM = "napari_tincture.diffusion.samplers"
HELP = {
    "ddim": "The same image for a seed at any number of steps; 40 are usual",
    "ddpm": "New noise at each step, as models were published with; wants hundreds of steps",
    "dpm_solver": "Good with few steps; 15 are usual",
    "dpm_solver_sde": "Few steps, with new noise at each",
    "euler": "Simple steps, denser where there is little noise",
    "heun": "As euler, twice as exact and twice as slow per step",
}
USUAL = {"ddpm": 250, "dpm_solver": 15, "dpm_solver_sde": 20}
USUAL_STEPS = 40
LARGEST_SEED = 2**31 - 1
"""That Qt's boxes can show; tasks take larger ones."""
MOST_VARIANTS = 50


def show_seed(box: QSpinBox, given: dict[str, Any]) -> None:
    """Show a recipe's seed and take it off the list, unless it is larger than boxes can be."""
    seed = int(given.get("seed", 0))
    fits = seed <= LARGEST_SEED
    box.setValue(seed if fits else 0)
    if fits:
        given.pop("seed", None)


class SamplerRows(QObject):
    """Rows of a form; those that the chosen model has no use for are hidden."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._model = ""
        names = sorted(own_modules(ROOM, frozenset()))
        self.sampler = Choice(
            [Item(name, name, HELP.get(name, "")) for name in names],
            tooltip="How the image is made of noise",
        )
        self.sampler.value = ASKED["sampler"]
        self.steps, self.seed = QSpinBox(), QSpinBox()
        self.steps.setRange(1, 1000)
        self.steps.setValue(USUAL_STEPS)
        self.steps.setToolTip("More steps: finer, slower")
        self.seed.setRange(0, LARGEST_SEED)
        self.seed.setToolTip("The same seed gives the same image")
        self.dice = QToolButton()
        self.dice.setText("⚄")
        self.dice.setToolTip("Another seed")
        self.guidance = QDoubleSpinBox()
        self.guidance.setRange(1.0, 20.0)
        self.guidance.setSingleStep(0.5)
        self.guidance.setToolTip("How strictly the image follows the map; above 1 twice as slow")
        self.look = StyleRow()
        self.variants = QSpinBox()
        self.variants.setRange(1, MOST_VARIANTS)
        self.variants.setToolTip(
            "How many images one press draws of the map, of this seed and those after it, each in "
            "a layer that bears its seed"
        )
        self.dice.clicked.connect(lambda _: self.seed.setValue(random.randint(0, LARGEST_SEED)))
        self.sampler.chosen.connect(self._on_sampler)
        self.look.changed.connect(self.changed)
        for box in self._boxes().values():
            box.valueChanged.connect(lambda _: self.changed.emit())

    def add_to(self, layout: QFormLayout) -> None:
        """Add the rows to a form."""
        self._form = layout
        layout.addRow("Sampler", self.sampler)
        layout.addRow("Steps", self.steps)
        layout.addRow("Seed", row([self.seed, self.dice]))
        layout.addRow("Guidance", self.guidance)
        self.look.add_to(layout)

    def offer(self, card: ModelCard | None, layers: Sequence[str] = ()) -> None:
        """Show what a model can do, and which image layers can give it a style."""
        denoising = None if card is None else card.denoising
        guided = denoising is not None and denoising.guided
        if denoising is not None and card is not None and card.name != self._model:
            self._suggest(denoising, card.name)
        if denoising is not None:
            self.steps.setRange(1, int(denoising.schedule.get("steps", 1000)))
        for field, shown in ((self.sampler, denoising), (self.steps, denoising)):
            show_row(self._form, field, shown is not None)
        show_row(self._form, self.guidance, guided)
        self.look.offer(card, layers)

    def hold_seed(self, *, held: bool) -> None:
        """Let no seed be chosen while one is set elsewhere."""
        for field in (self.seed, self.dice):
            field.setEnabled(not held)

    def seeds(self, first: int) -> list[int]:
        """Of the images that one press draws.

        Raises
        ------
        InputError
            If there are not so many from the first on.
        """
        left = LAST_SEED + 1 - first
        if self.variants.value() > left:
            raise InputError(
                f"{self.variants.value()} variants from seed {first} on go beyond the last seed, "
                "2⁶⁴ - 1. Choose a smaller seed, or fewer variants."
            )
        return [first + number for number in range(self.variants.value())]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the task."""
        found: dict[str, Any] = {
            "sampler": self.sampler.value, "steps": self.steps.value(), "seed": self.seed.value(),
        }  # fmt: skip
        if self.guidance.isVisibleTo(self.guidance.parentWidget()):
            found["guidance"] = self.guidance.value()
        return found | self.look.options

    def show_options(self, given: dict[str, Any], layers: Sequence[str], card: ModelCard) -> None:
        """Show settings of a recipe and take them off the list; others are as the model says."""
        denoising = card.denoising
        usual = ASKED if denoising is None else denoising.asked(given.get("sampler"))
        self._model = card.name
        self.sampler.value = given.pop("sampler", None) or usual["sampler"]
        for name in ("steps", "guidance"):
            self._boxes()[name].setValue(given.pop(name, None) or usual[name])
        show_seed(self.seed, given)
        self.variants.setValue(1)
        self.look.show_options(given, layers)

    @property
    def state(self) -> dict[str, Any]:
        """What is chosen, to `recall` when the panel is opened again."""
        boxes = {name: box.value() for name, box in self._boxes().items()}
        return {"model": self._model, "sampler": self.sampler.value, **boxes}

    def recall(self, state: Mapping[str, Any]) -> None:
        """Show what was chosen in a panel that was closed."""
        # Its range is known once a model is; what was chosen for one is not suggested over.
        self._model = state["model"]
        self.sampler.value = state["sampler"]
        self.steps.setMaximum(max(self.steps.maximum(), state["steps"]))
        for name, box in self._boxes().items():
            box.setValue(state[name])

    def _boxes(self) -> dict[str, QSpinBox | QDoubleSpinBox]:
        return {
            "steps": self.steps, "seed": self.seed, "guidance": self.guidance,
            "variants": self.variants,
        }  # fmt: skip

    def _suggest(self, denoising: Denoising, model: str) -> None:
        """Show how a model draws best."""
        self._model = model
        asked = denoising.asked()
        self.sampler.value = asked["sampler"]
        self.steps.setMaximum(int(denoising.schedule.get("steps", 1000)))
        self.steps.setValue(asked["steps"])
        self.guidance.setValue(asked["guidance"])

    def _on_sampler(self) -> None:
        self.steps.setValue(USUAL.get(self.sampler.value, USUAL_STEPS))
        self.changed.emit()
