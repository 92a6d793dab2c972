"""What the model predicts of what is on screen: a Labels layer over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.widgets._plan import own_letters
from napari_tincture.widgets._regions import shown_planes, viewport
from napari_tincture.widgets._teach_layer import TeachClass, colours
from napari_tincture.widgets._train_preview import MARK, PLACE
from napari_tincture.worker.teaching_job import Piece

LARGEST = 2048
"""Side in pixels of what is predicted at most: the middle of what is on screen."""
OPACITY = 0.4


@dataclass(frozen=True, slots=True)
class Look:
    """A window of a plane, in pixels of the image."""

    plane: tuple[int, ...]
    y: tuple[int, int]
    x: tuple[int, int]


def look_at_screen(viewer: Any, layer: Any, image: Raster) -> Look:
    """What is on screen of an image.

    Raises
    ------
    InputError
        If nothing of it is.
    """
    letters = own_letters(image)
    window, planes = viewport(viewer, layer, letters), shown_planes(viewer, layer, letters)
    if not {"y", "x"} <= set(window):
        raise InputError("Rows or columns of the image are behind a slider; show both.")
    place = tuple(planes[axis][0] for axis in image.axes if axis in "tz")
    return Look(place, _middle(*window["y"]), _middle(*window["x"]))


class Overlay:
    """The layer of predictions; a person may delete it, and the next prediction brings it back.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the layer.
    image
        Of which predictions are.
    above
        The layer of strokes, which stays on top.
    """

    def __init__(
        self, viewer: Any, image: Raster, above: Any, classes: Sequence[TeachClass]
    ) -> None:
        self._viewer, self._image, self._above = viewer, image, above
        self._classes = classes
        self._looks: dict[int, Look] = {}
        self._shown: Look | None = None
        self._labels = np.zeros((0, 0), np.uint8)
        self.layer: Labels | None = None

    def expect(self, number: int, look: Look) -> None:
        """Remember where predictions of a view belong."""
        self._looks = {n: known for n, known in self._looks.items() if known == self._shown}
        self._looks[number] = look

    def show(self, pieces: Sequence[Piece]) -> None:
        """Take pieces of predictions; those of views that are gone are left out."""
        wanted = [piece for piece in pieces if piece.view in self._looks]
        for piece in wanted:
            look = self._looks[piece.view]
            dtype = np.promote_types(self._labels.dtype, piece.labels.dtype)
            if look != self._shown or dtype != self._labels.dtype:
                self._move(look, dtype)
            height, width = piece.labels.shape
            self._labels[piece.y : piece.y + height, piece.x : piece.x + width] = piece.labels
        if wanted:
            self._draw()

    def recolour(self, classes: Sequence[TeachClass]) -> None:
        """Show the classes in these colours."""
        self._classes = classes
        if self.layer is not None:
            self.layer.colormap = colours(classes)

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        if self.layer is not None and self.layer in self._viewer.layers:
            self._viewer.layers.remove(self.layer)
        self.layer = None

    def _move(self, look: Look, dtype: np.dtype[Any]) -> None:
        """Begin another window, with what is known of it already."""
        labels = np.zeros((look.y[1] - look.y[0], look.x[1] - look.x[0]), dtype)
        before = self._shown
        if before is not None and before.plane == look.plane:
            y, x = _common(look.y, before.y), _common(look.x, before.x)
            if y[0] < y[1] and x[0] < x[1]:
                labels[_within(y, look.y), _within(x, look.x)] = self._labels[
                    _within(y, before.y), _within(x, before.x)
                ]
        self._labels, self._shown = labels, look

    def _draw(self) -> None:
        assert self._shown is not None
        place = self._place(self._shown)
        data = self._labels.reshape((1,) * (len(place["scale"]) - 2) + self._labels.shape)
        if self.layer is None or self.layer not in self._viewer.layers:
            self._add(data, place)
            return
        self.layer.data = data
        for name in PLACE:
            if not np.array_equal(np.asarray(getattr(self.layer, name)), np.asarray(place[name])):
                setattr(self.layer, name, place[name])

    def _add(self, data: np.ndarray, place: dict[str, Any]) -> None:
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        self.layer = Labels(
            data, name="prediction", opacity=OPACITY, colormap=colours(self._classes),
            metadata={MARK: True}, **place,
        )  # fmt: skip
        at = layers.index(self._above) if self._above in layers else len(layers)
        layers.insert(at, self.layer)
        # Who paints goes on painting.
        layers.selection = selected
        layers.selection.active = active

    def _place(self, look: Look) -> dict[str, Any]:
        flat = self._image.plane(c=0) if "c" in self._image.axes else self._image
        leading = [axis for axis in flat.axes if axis in "tz"]
        planes = {a: slice(p, p + 1) for a, p in zip(leading, look.plane, strict=True)}
        part = flat.crop({**planes, "y": slice(*look.y), "x": slice(*look.x)})
        _, options, _ = part.to_layer()
        return {name: options[name] for name in (*PLACE, "units", "axis_labels")}


def _middle(start: int, stop: int) -> tuple[int, int]:
    spare = max(stop - start - LARGEST, 0)
    return start + spare // 2, stop - spare + spare // 2


def _common(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), min(one[1], other[1])


def _within(part: tuple[int, int], whole: tuple[int, int]) -> slice:
    return slice(part[0] - whole[0], part[1] - whole[0])
