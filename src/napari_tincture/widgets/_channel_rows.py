"""One drop-down per model input: the channel, plane or layer that it is taken from."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_tincture.widgets._form import Choice, Folding, Item, form
from napari_tincture.widgets._inputs import Origin, guess, summary


class ChannelRows(Folding):
    """Maps model inputs to origins; opens itself where a person must choose."""

    changed = Signal()

    def __init__(self) -> None:
        self._layout = form()
        body = QWidget()
        body.setLayout(self._layout)
        super().__init__("Inputs", body, tooltip="Which channel or plane is which model input")
        self._inputs: tuple[str, ...] = ()
        self._rows: list[Choice] = []
        self._chosen_layer = ""
        self._by_itself = False
        self._origins: list[Origin] = []

    @property
    def origins(self) -> list[Origin | None]:
        """The origin of each input, in order; None where none is chosen yet."""
        return [choice.value for choice in self._rows]

    @origins.setter
    def origins(self, values: Sequence[Origin | None]) -> None:
        for choice, value in zip(self._rows, values, strict=True):
            choice.value = value

    def offer(
        self, inputs: Sequence[tuple[str, str]], choices: Sequence[Origin], chosen: str
    ) -> None:
        """Show the inputs of a model.

        Parameters
        ----------
        inputs
            Name and description of each.
        choices
            All origins there are.
        chosen
            Name of the layer that the panel works on.
        """
        names = tuple(name for name, _ in inputs)
        if names != self._inputs:
            self._build(inputs)
        fresh = names != self._inputs or chosen != self._chosen_layer
        same = list(choices) == self._origins
        self._inputs, self._chosen_layer, self._origins = names, chosen, list(choices)
        if same and not fresh:
            return
        items = [Item("choose …", None), *(Item(o.name, o) for o in choices)]
        proposed = guess(names, choices, chosen)
        for choice, origin in zip(self._rows, proposed, strict=True):
            choice.blockSignals(True)
            choice.set_items(items)
            if fresh or choice.value is None:
                choice.value = origin
            choice.blockSignals(False)
        self._unfold_where_needed()
        self._tell()

    def _unfold_where_needed(self) -> None:
        """Unfold where something is to be chosen; fold again what was unfolded for that."""
        if None in self.origins and not self.unfolded:
            self.unfolded = self._by_itself = True
        elif None not in self.origins and self._by_itself:
            self.unfolded = self._by_itself = False

    def _build(self, inputs: Sequence[tuple[str, str]]) -> None:
        while self._layout.rowCount():
            self._layout.removeRow(0)
        self._rows = []
        for name, description in inputs:
            choice = Choice(tooltip=description or f"Where the model's input {name} comes from")
            choice.chosen.connect(self._tell)
            self._rows.append(choice)
            self._layout.addRow(name, choice)

    def _tell(self) -> None:
        self.summarise(summary(self.origins))
        self.changed.emit()
