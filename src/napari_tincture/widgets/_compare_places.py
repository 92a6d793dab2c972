"""What the Compare panel shows of the current row: a histogram, a map, and its place.

Maps are read in threads; what comes from one that is no longer asked for is not heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.tasks._boxes import Box
from napari_tincture.tasks._map_places import Worst, clipped, map_plane, whole, worst_place
from napari_tincture.tasks.comparison import Comparison, cell_text
from napari_tincture.widgets._background import Background, in_panel, was_cancelled
from napari_tincture.widgets._compare_result import Result
from napari_tincture.widgets._compare_work import map_values
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._plan import own_letters
from napari_tincture.widgets._regions import look_at, viewport

Maps = Mapping[tuple[str, str], list[Any]]


class Places(QObject):
    """Follows the current row of a result.

    Parameters
    ----------
    viewer : napari.Viewer
        Its camera is moved.
    result
        Whose rows are followed.
    """

    says = Signal(object, str)
    """A level and a text."""

    def __init__(self, viewer: Any, result: Result) -> None:
        super().__init__()
        self._viewer, self._result = viewer, result
        self._found: Comparison | None = None
        self._reference: Any = None
        self._maps: Maps = {}
        self.looking = Background("tincture-map-values")
        self.searching = Background("tincture-worst-place")
        self.looking.finished.connect(lambda shown: result.histogram.show_values(*shown))
        self.searching.finished.connect(self._on_worst)
        for work in (self.looking, self.searching):
            work.failed.connect(self._on_failed)
        result.chosen.connect(self._look)
        result.visit.connect(self._visit)
        result.worst.connect(self._search)

    def follow(self, found: Comparison | None, reference: Any, maps: Maps) -> None:
        """Take another comparison, its reference layer, and the layers of its maps."""
        self._found, self._reference, self._maps = found, reference, maps

    def _look(self) -> None:
        """Find the values of the current row's map."""
        place = self._current_map()
        if place is None:
            self.looking.drop()
            return
        plane, box, name = place
        self.looking.start(partial(map_values, plane, box, self._on_screen(plane), name))

    def _search(self) -> None:
        place = self._current_map()
        if self._found is None or place is None or self._result.column is None:
            return
        plane, box, _ = place
        better = self._found.better[self._result.column]
        self.searching.start(lambda _, token: worst_place(plane, better, box, token))
        self.says.emit(Level.READY, "Searching …")

    def _on_worst(self, worst: Worst | None) -> None:
        if worst is None:
            self.says.emit(Level.NOTE, "The map has no values here.")
            return
        self._show_map()
        (y, _), (x, _) = worst.box
        start = self._start()
        text = f"Worst: {self._result.column} {cell_text(worst.mean)} at "
        self.says.emit(Level.READY, f"{text}y {y + start[0]}, x {x + start[1]}.")
        edges = [(a + d, b + d) for (a, b), d in zip(worst.box, start, strict=True)]
        self._go((edges[0], edges[1]))

    def _on_failed(self, error: Exception) -> None:
        if not was_cancelled(error):
            self.says.emit(Level.PROBLEM, in_panel(error))

    def _visit(self) -> None:
        """Show the map of the current row, and its region, if it has one."""
        row = self._result.row
        self._show_map()
        if self._found is None or row is None:
            return
        box = self._found.box_of(row)
        if box is not None:
            self._go(box)

    def _show_map(self) -> None:
        """Show the map of the current row and column, and no other of this comparison."""
        row = self._result.row
        wanted = None if row is None else (row["image"], self._result.column)
        if wanted in self._maps:
            for key, layers in self._maps.items():
                for layer in layers:
                    layer.visible = key == wanted

    def _go(self, box: Box) -> None:
        if self._reference not in self._viewer.layers:
            self.says.emit(Level.NOTE, "The reference layer is gone.")
            return
        row = self._result.row or {}
        region = {"y": box[0], "x": box[1]}
        region |= {axis: (row[axis], row[axis] + 1) for axis in "tz" if axis in row}
        look_at(self._viewer, self._reference, self._letters(), region)

    def _letters(self) -> str:
        assert self._found is not None
        assert self._found.reference is not None
        return own_letters(self._found.reference)

    def _start(self) -> tuple[int, int]:
        """Where the compared part of the reference begins."""
        assert self._found is not None
        region = self._found.settings["region"]
        return region.get("y", (0, 0))[0], region.get("x", (0, 0))[0]

    def _current_map(self) -> tuple[Raster, Box, str] | None:
        """The map of the current row, which part of it, and its name."""
        row, column = self._result.row, self._result.column
        if self._found is None or row is None or column is None:
            return None
        region = self._found.settings["region"]
        start = {axis: region[axis][0] for axis in "tz" if axis in region}
        plane = map_plane(self._found.maps[row["image"], column], row, start)
        box: Box | None = self._found.box_of(row)
        box = whole(plane) if box is None else clipped(box, plane, self._start())
        name = " · ".join(str(row[key]) for key in ("image", "channel", "region") if key in row)
        return (plane, box, f"{column} of {name}") if box else None

    def _on_screen(self, plane: Raster) -> Box | None:
        if self._reference not in self._viewer.layers:
            return None
        try:
            shown = viewport(self._viewer, self._reference, self._letters())
        except InputError:
            return None
        return clipped((shown["y"], shown["x"]), plane, self._start())
