"""The Compare panel.

1. Every change, of a setting or in the viewer, starts a short timer; then it is said what would be
   compared, or why nothing can be.
2. Run compares in a thread of this process, which also prepares the maps.
3. The table appears; the current row decides on histogram and camera, found in another thread.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_tincture.errors import DataRangeError, InputError, TinctureError
from napari_tincture.raster import Raster
from napari_tincture.tasks._boxes import Box
from napari_tincture.tasks._map_places import Worst, clipped, map_plane, whole, worst_place
from napari_tincture.tasks.comparison import Comparison, cell_text
from napari_tincture.widgets._background import Background, was_cancelled
from napari_tincture.widgets._compare_form import CompareForm
from napari_tincture.widgets._compare_plan import Call, make_call
from napari_tincture.widgets._compare_result import Result
from napari_tincture.widgets._compare_work import Found, map_values, run_call, save_as
from napari_tincture.widgets._form import Level, Message, Scrolling
from napari_tincture.widgets._layers import LayerWatch
from napari_tincture.widgets._map_layers import add_maps
from napari_tincture.widgets._memory import keep, kept
from napari_tincture.widgets._plan import own_letters
from napari_tincture.widgets._regions import look_at, viewport
from napari_tincture.widgets._run_row import RunRow

_PAUSE = 40
"""Milliseconds without a change after which the panel is refreshed."""
_TASK = "compare"


class ComparePanel(QWidget):
    """Compares image or labels layers with a reference layer: a table, and maps as layers.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        # napari gives plugins a proxy, whose layers are proxies too.
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.found: Comparison | None = None
        self._reference: Any = None
        self._maps: dict[tuple[str, str], list[Any]] = {}
        self.form, self.message, self.runner = CompareForm(), Message(), RunRow()
        self.result = Result()
        self.runner.run_button.setToolTip("Compare")
        self.runner.cancel_button.setToolTip("Stop within one area")
        self.comparing = Background("tincture-compare")
        self.looking = Background("tincture-map-values")
        self.searching = Background("tincture-worst-place")
        self.saving = Background("tincture-report")
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_PAUSE)
        self._lay_out()
        self.form.recall(kept(_TASK))
        self._connect()
        self.refresh()

    def run(self) -> None:
        """Compare what the panel shows.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        call = self.call()
        columns = self.form.choices.maps
        self._reference = self.form.reference.value
        self.result.show_found(None)
        self.comparing.start(partial(run_call, call, columns))
        self.runner.show_progress(0, 0, "comparing")
        self.refresh()

    def cancel(self) -> None:
        """Stop within one area."""
        self.comparing.cancel()

    def call(self) -> Call:
        """Make a call of `compare` of what the panel shows now.

        Raises
        ------
        InputError
            If something is missing or does not fit.
        """
        return make_call(self.viewer, self.form.choices)

    def save(self, path: str) -> None:
        """Write the comparison to a file of the kind that its name says."""
        if self.found is not None:
            self.saving.start(partial(save_as, self.found, path))
            self.runner.status.show_text(Level.READY, f"Saving {Path(path).name} …")

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        self.form.offer(list(reversed(self.viewer.layers)))
        try:
            call = self.call()
        except TinctureError as error:
            self._say(Level.PROBLEM, error)
        else:
            self._say(Level.READY, f"Ready: {call.size}.")
        if self.comparing.running:
            self.runner.run_button.setEnabled(False)
        keep(_TASK, self.form.state())
        self._later.stop()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        for widget in (Scrolling(self.form), self.message, self.runner):
            layout.addWidget(widget)
        layout.addWidget(self.result)
        layout.addStretch(1)

    def _connect(self) -> None:
        self._later.timeout.connect(self.refresh)
        self.form.changed.connect(self._later.start)
        self.form.reference.chosen.connect(lambda: self.form.range.ask(()))
        self.runner.run.connect(self._on_run)
        self.runner.cancel.connect(self.cancel)
        self.comparing.progressed.connect(self._on_progress)
        self.comparing.finished.connect(self._on_found)
        self.comparing.failed.connect(self._on_failed)
        self.looking.finished.connect(lambda shown: self.result.histogram.show_values(*shown))
        self.searching.finished.connect(self._on_worst)
        self.saving.finished.connect(partial(self.runner.status.show_text, Level.READY))
        for other in (self.looking, self.searching, self.saving):
            other.failed.connect(self._on_other_failed)
        self.result.chosen.connect(self._look)
        self.result.visit.connect(self._visit)
        self.result.worst.connect(self._search)
        self.result.save.connect(self.save)
        self._watch = LayerWatch(self.viewer, self._later.start, self._later.start, self._on_view)
        self._watch.start()
        application = QApplication.instance()
        for work in (self.comparing, self.looking, self.searching, self.saving):
            self.destroyed.connect(work.drop)
            if application is not None:
                application.aboutToQuit.connect(work.drop)
        self.destroyed.connect(self._watch.stop)

    def _on_view(self) -> None:
        if self.form.area.value == "viewport":
            self._later.start()

    def _on_run(self) -> None:
        try:
            self.run()
        except TinctureError as error:  # something changed since the last refresh
            self._say(Level.PROBLEM, error)

    def _on_progress(self, done: int, total: int) -> None:
        text = f"{done} of {total} areas" if done < total else "preparing maps"
        self.runner.show_progress(done, total, text)

    def _on_found(self, found: Found) -> None:
        self.found = found.comparison
        self._maps = add_maps(self.viewer, found.maps)
        count = len(self.found.table)
        self.runner.show_end(Level.READY, f"Done: {count} row{'s' * (count != 1)}.")
        self.result.show_found(self.found)
        self.refresh()

    def _on_failed(self, error: Exception) -> None:
        self.runner.show_end(Level.NOTE if was_cancelled(error) else Level.PROBLEM, str(error))
        self.refresh()
        if isinstance(error, DataRangeError):
            self.form.range.ask(error.candidates)

    def _on_other_failed(self, error: Exception) -> None:
        if not was_cancelled(error):
            self.runner.status.show_text(Level.PROBLEM, str(error))

    def _say(self, level: Level, text: str | Exception) -> None:
        if isinstance(text, DataRangeError):
            self.form.range.ask(text.candidates)
        elif self.form.range.kind.value == "number":
            self.form.range.ask(())
        self.message.show_text(level, str(text))
        self.runner.run_button.setEnabled(level is not Level.PROBLEM)

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
        if self.found is None or place is None or self.result.column is None:
            return
        plane, box, _ = place
        better = self.found.better[self.result.column]
        self.searching.start(lambda _, token: worst_place(plane, better, box, token))
        self.runner.status.show_text(Level.READY, "Searching …")

    def _on_worst(self, worst: Worst | None) -> None:
        if worst is None:
            self.runner.status.show_text(Level.NOTE, "The map has no values here.")
            return
        self._show_map()
        (y, _), (x, _) = worst.box
        start = self._start()
        text = f"Worst: {self.result.column} {cell_text(worst.mean)} at "
        self.runner.status.show_text(Level.READY, f"{text}y {y + start[0]}, x {x + start[1]}.")
        edges = [(a + d, b + d) for (a, b), d in zip(worst.box, start, strict=True)]
        self._go((edges[0], edges[1]))

    def _visit(self) -> None:
        """Show the map of the current row, and its region, if it has one."""
        row = self.result.row
        self._show_map()
        if self.found is not None and row is not None and row.get("region") in self.found.regions:
            self._go(self.found.regions[row["region"]])

    def _show_map(self) -> None:
        """Show the map of the current row and column, and no other of this comparison."""
        row = self.result.row
        wanted = None if row is None else (row["image"], self.result.column)
        if wanted in self._maps:
            for key, layers in self._maps.items():
                for layer in layers:
                    layer.visible = key == wanted

    def _go(self, box: Box) -> None:
        if self._reference not in self.viewer.layers:
            self.runner.status.show_text(Level.NOTE, "The reference layer is gone.")
            return
        row = self.result.row or {}
        region = {"y": box[0], "x": box[1]}
        region |= {axis: (row[axis], row[axis] + 1) for axis in "tz" if axis in row}
        look_at(self.viewer, self._reference, self._letters(), region)

    def _letters(self) -> str:
        assert self.found is not None
        assert self.found.reference is not None
        return own_letters(self.found.reference)

    def _start(self) -> tuple[int, int]:
        """Where the compared part of the reference begins."""
        assert self.found is not None
        region = self.found.settings["region"]
        return region.get("y", (0, 0))[0], region.get("x", (0, 0))[0]

    def _current_map(self) -> tuple[Raster, Box, str] | None:
        """The map of the current row, which part of it, and its name."""
        row, column = self.result.row, self.result.column
        if self.found is None or row is None or column is None:
            return None
        region = self.found.settings["region"]
        start = {axis: region[axis][0] for axis in "tz" if axis in region}
        plane = map_plane(self.found.maps[row["image"], column], row, start)
        box: Box | None = whole(plane)
        name = " · ".join(str(row[key]) for key in ("image", "channel", "region") if key in row)
        if row.get("region") in self.found.regions:
            box = clipped(self.found.regions[row["region"]], plane, self._start())
        return (plane, box, f"{column} of {name}") if box else None

    def _on_screen(self, plane: Raster) -> Box | None:
        if self._reference not in self.viewer.layers:
            return None
        try:
            shown = viewport(self.viewer, self._reference, self._letters())
        except InputError:
            return None
        return clipped((shown["y"], shown["x"]), plane, self._start())

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Do nothing while in no window: napari closes a dock by taking the panel out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._watch.stop()
                for work in (self.comparing, self.looking, self.searching):
                    work.drop()
                self.runner.show_end(Level.READY, "")
            else:
                self._watch.start()
        super().changeEvent(event)
