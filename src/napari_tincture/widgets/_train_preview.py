"""What a model in training makes of what is on screen: a layer in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster
from napari_tincture.widgets._form import Choice, Item
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._plan import own_letters
from napari_tincture.widgets._regions import Region, shown_planes, viewport
from napari_tincture.worker.training_job import Shown, TrainingJob

LARGEST, LARGEST_DRAWN = 512, 256
"""Side in pixels of a preview, and of one by a denoiser, which takes several passes."""
_LOOK = 250
"""Milliseconds without a change of the view after which the worker is told of it."""
_FIRST, _NONE = "first", "none"
MARK = "napari-tincture preview"
"""In the metadata of previews, which are nothing to learn from."""
PLACE = ("scale", "translate", "rotate", "shear", "affine")


class PreviewLayer:
    """One layer per channel of the latest preview; a person may delete them.

    Parameters
    ----------
    viewer : napari.Viewer
        Shows the source, and gets the layers.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._name = ""
        self._known: dict[Any, Raster] = {}
        self._places: dict[int, dict[str, Any]] = {}
        self.layers: list[Any] = []
        self.largest = LARGEST

    def begin(self, name: str) -> None:
        """Show previews of a training of this name; those of another stay as they are."""
        if name != self._name:
            self.layers = []
        self._name, self._known, self._places = name, {}, {}

    def view(self, layer: Any, axes: Mapping[str, str], *, stack: bool) -> tuple[Raster, Region]:
        """What is on screen of a layer, at most `largest` pixels wide and high.

        Parameters
        ----------
        stack
            Whether planes along z are channels.

        Returns
        -------
        raster, region
            The plane that is shown, the same object each time, and y and x within it.

        Raises
        ------
        InputError
            If nothing of it is on screen.
        """
        whole = open_image(layer, axes=axes.get(layer.name) or None)
        letters = own_letters(whole)
        shown = viewport(self._viewer, layer, letters)
        planes = shown_planes(self._viewer, layer, letters)
        planes = {a: s for a, s in planes.items() if a != "c" and not (stack and a == "z")}
        if not {"y", "x"} <= set(shown):
            raise InputError("Rows or columns of the layer are behind a slider; show both.")
        key = (id(layer.data), *sorted(planes.items()))
        if key not in self._known:
            self._known[key] = whole.crop({a: slice(*bounds) for a, bounds in planes.items()})
        return self._known[key], {axis: self._middle(*shown[axis]) for axis in "yx"}

    def _middle(self, start: int, stop: int) -> tuple[int, int]:
        spare = max(stop - start - self.largest, 0)
        return start + spare // 2, stop - spare + spare // 2

    def place(self, number: int, raster: Raster, region: Region) -> None:
        """Remember where previews of a view belong."""
        part = raster.crop({axis: slice(*region[axis]) for axis in "yx"})
        for axis in "cz":
            if part.sizes.get(axis, 1) > 1 or (axis == "c" and "c" in part.axes):
                part = part.plane(**{axis: 0})
        _, options, _ = part.to_layer()
        known = {
            name: options[name] for name in (*PLACE, "units", "axis_labels") if name in options
        }
        self._places[number] = {**known, "leading": len(part.axes) - 2}

    def show(self, shown: Shown) -> bool:
        """Bring the layers up to date; give False if a person has deleted one."""
        if any(layer not in self._viewer.layers for layer in self.layers):
            self.layers = []
            return False
        if shown.view in self._places:
            place = dict(self._places[shown.view])
            leading = (1,) * place.pop("leading")
            images = [np.moveaxis(shown.image, 0, -1)] if shown.rgb else list(shown.image)
            arrays = [image.reshape(leading + image.shape) for image in images]
            if self.layers:
                self._update(arrays, place)
            else:
                self._add(arrays, place, shown)
        return True

    def _update(self, arrays: list[np.ndarray], place: Mapping[str, Any]) -> None:
        for layer, array in zip(self.layers, arrays, strict=True):
            layer.data = array
            for name in set(PLACE) & set(place):
                setattr(layer, name, place[name])

    def _add(self, arrays: list[np.ndarray], place: Mapping[str, Any], shown: Shown) -> None:
        selected = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        options: dict[str, Any] = {**place, "rgb": shown.rgb, "metadata": {MARK: shown.step}}
        if not shown.rgb:
            options["contrast_limits"] = shown.limits
        for number, array in enumerate(arrays):
            name = f"{self._name} preview" + (f" {number}" if len(arrays) > 1 else "")
            blending = {"blending": "additive"} if number else {}
            layer = self._viewer.add_image(array, name=name, **options, **blending)
            self.layers.append(layer)
        # The next run of another panel is hardly meant for a preview.
        self._viewer.layers.selection = selected
        self._viewer.layers.selection.active = active


class Previews(QObject):
    """Tells the worker what is on screen while it trains, and shows what comes back.

    Parameters
    ----------
    first
        Gives the first layer that the model is to be shown on, what is known of axes, and whether
        planes along z are channels.
    """

    def __init__(
        self, viewer: Any, hub: JobHub, first: Callable[[], tuple[Any, dict[str, str], bool]]
    ) -> None:
        super().__init__()
        self._viewer, self._hub, self._first = viewer, hub, first
        self._job: TrainingJob | None = None
        self._seen, self._looking = 0, False
        self.shown = PreviewLayer(viewer)
        self.choice = Choice(tooltip="The layer of which the model's progress is shown")
        self.later = QTimer(self)
        self.later.setSingleShot(True)
        self.later.setInterval(_LOOK)
        self.later.timeout.connect(self.look)
        self.choice.chosen.connect(self.later.start)
        self.offer([])

    def offer(self, layers: Sequence[Any], side: str = "From", *, drawn: bool = False) -> None:
        """Offer the first layer of a side, none, or one of these; `drawn`: by a denoiser."""
        self.shown.largest = LARGEST_DRAWN if drawn else LARGEST
        fixed = [Item(f"the first layer of {side}", _FIRST), Item("none", _NONE)]
        self.choice.set_items([*fixed, *(Item(layer.name, layer) for layer in layers)])

    def follow(self, job: TrainingJob | None) -> None:
        """Show previews of this training from now on."""
        self._job, self._seen, self._looking = job, 0, False

    def hear(self) -> None:
        """Take news of the training."""
        job = self._job
        if job is None or not job.total:
            return
        if not self._looking:
            self._looking = True
            self.shown.begin(job.name)
            self.look()
        if job.shown is not None and job.shown.step != self._seen:
            self._seen = job.shown.step
            if not self.shown.show(job.shown):
                self.choice.value = _NONE  # a person has deleted it

    def look(self) -> None:
        """Tell the worker what is on screen."""
        job = self._job
        if job is None or not job.total or job.state.final:
            return
        first, axes, stack = self._first()
        layer = first if self.choice.value == _FIRST else self.choice.value
        if layer is None or layer == _NONE or layer not in self._viewer.layers:
            self._hub.trainer.look(job, None, {})
            return
        try:
            raster, region = self.shown.view(layer, axes, stack=stack)
        except TinctureError:
            return  # nothing of it is on screen; the last preview stays
        self.shown.place(self._hub.trainer.look(job, raster, region), raster, region)
