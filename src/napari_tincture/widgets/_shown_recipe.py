"""A recipe as a panel shows it: what it has a control for is set, what not is kept and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QToolButton, QWidget

from napari_tincture.errors import InputError
from napari_tincture.io.provenance import plain
from napari_tincture.tasks._settings import usual_settings
from napari_tincture.tasks.channels import is_place
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._form import OneLine, row
from napari_tincture.widgets._inputs import Origin, origins
from napari_tincture.widgets._regions import GIVEN

if TYPE_CHECKING:
    from napari_tincture.widgets._task_panel import TaskPanel


class FurtherRow(QWidget):
    """Settings of a recipe that the panel has no control for, and a button that drops them."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {}
        self.text, self.drop_button = OneLine(), QToolButton()
        self.drop_button.setText("×")
        self.drop_button.setToolTip("Go on without what the recipe sets beside the controls")
        self.drop_button.clicked.connect(lambda _: self.show_values({}))
        row([self.text, self.drop_button], self)
        self.show_values({})

    @property
    def values(self) -> dict[str, Any]:
        """Keyword arguments of the task."""
        return dict(self._values)

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Replace what is set."""
        self._values = dict(values)
        said = ", ".join(f"{name} = {value}" for name, value in values.items())
        self.text.setText(f"Also {said}")
        self.text.setToolTip(f"What the recipe sets beside the controls: {said}")
        self.setVisible(bool(values))
        self.changed.emit()


def show_recipe(panel: TaskPanel, recipe: Recipe, layers: Sequence[str]) -> None:
    """Set a panel's controls as a recipe says.

    Parameters
    ----------
    panel
        Of the recipe's task.
    recipe
        Settings with the task's default say nothing.
    layers
        Names of the layers that are the recipe's images, in order.

    Raises
    ------
    TinctureError
        If there is no such model or layer, or a setting does not fit them.
    """
    recipe.check()
    usual = usual_settings(recipe.task)
    given = {
        name: value
        for name, value in recipe.settings.items()
        if value is not None and plain(value) != plain(usual.get(name))
    }
    panel.model.choose(recipe.model)
    panel.chosen.choose(layers[0])
    panel.further.show_values({})
    _show_region(panel, given.pop("region", None))
    panel.refresh()  # what is offered depends on model and layer
    _show_channels(panel, given.pop("channels", None), layers)
    panel.show_options(given, layers)
    _show_output(panel, recipe)
    panel.further.show_values(given)
    panel.refresh()


def _show_region(panel: TaskPanel, region: Mapping[str, Any] | None) -> None:
    panel.show_box({axis: (int(a), int(b)) for axis, (a, b) in (region or {}).items()})
    panel.region.value = GIVEN if region else "layer"
    panel.planes.value = "all"


def _show_channels(panel: TaskPanel, given: Any, layers: Sequence[str]) -> None:
    if given is None:
        return
    names = [channel.name for channel in panel.card.image_inputs]
    wanted = [given[name] for name in names] if isinstance(given, Mapping) else list(given)
    offered = origins(panel.chosen.open_all(), layers[0])
    panel.channels.origins = [_origin(each, offered, layers) for each in wanted]


def _origin(choice: Any, offered: Sequence[Origin], layers: Sequence[str]) -> Origin:
    """Where an input comes from, of a recipe's words for it."""
    axis, place, layer = "", choice, layers[0]
    if isinstance(choice, Mapping):
        place, layer = 0, layers[int(choice["source"])]
    elif is_place(choice):
        axis, place = choice
    for each in offered:
        if each.layer == layer and axis in ("", each.axis) and place in (each.index, each.name):
            return each
    raise InputError(f"Layer {layer!r} has no {axis or 'channel'} {place} as the recipe wants.")


def _show_output(panel: TaskPanel, recipe: Recipe) -> None:
    if recipe.folder:
        panel.batch.images.setText(recipe.folder)
        panel.batch.results.setText(recipe.save_to)
        panel.batch.unfolded = True
    panel.output.kind.value = "file" if recipe.save_to and not recipe.folder else "memory"
    if recipe.save_to and not recipe.folder:
        panel.output.path.setText(recipe.save_to)
