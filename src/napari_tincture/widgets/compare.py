"""The Compare panel.

1. Every change, of a setting or in the viewer, starts a short timer; then it is said what would be
   compared, or why nothing can be.
2. Run compares in a thread of this process, which also prepares the maps.
3. The table appears; what the current row shows is in `_compare_places`.
4. Align compares, too, and then puts layers where their images were found to belong.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_tincture.errors import DataRangeError, TinctureError
from napari_tincture.raster import Raster
from napari_tincture.tasks.comparison import Comparison
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._align_layers import Undo, put
from napari_tincture.widgets._background import Background, in_panel, was_cancelled
from napari_tincture.widgets._compare_form import CompareForm
from napari_tincture.widgets._compare_places import Places
from napari_tincture.widgets._compare_plan import Call, make_call, rasters_of
from napari_tincture.widgets._compare_result import Result
from napari_tincture.widgets._compare_work import Found, check_images, run_call, save_as
from napari_tincture.widgets._form import Level, Message, Scrolling
from napari_tincture.widgets._layers import LayerWatch
from napari_tincture.widgets._map_layers import add_maps
from napari_tincture.widgets._memory import keep, kept
from napari_tincture.widgets._open_recipe import show_opened
from napari_tincture.widgets._run_row import RunRow
from napari_tincture.widgets._viewer import bare
from napari_tincture.worker.recipes import recipe_of_comparison

_PAUSE = 40
"""Milliseconds without a change after which the panel is refreshed."""
_TASK = "compare"
_CHECKING = "checking alignment"


class ComparePanel(QWidget):
    """Compares image or labels layers with a reference layer: a table, and maps as layers.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = bare(napari_viewer)
        self.found: Comparison | None = None
        self._reference: Any = None
        self._layers: dict[str, Any] = {}
        self._aligning = False
        self._undo: list[list[Undo]] = []
        self.form, self.message, self.runner = CompareForm(), Message(), RunRow()
        self.result = Result()
        self.runner.run_button.setToolTip("Compare")
        self.runner.cancel_button.setToolTip("Stop within one area")
        self.recipe = self.runner.offer_recipe(self._recipe, self._layer_names)
        told = self.runner.status.show_text
        self.recipe.opened.connect(partial(show_opened, self.viewer, told))
        self.comparing = Background("tincture-compare")
        self.checking = Background("tincture-alignment")
        self.places = Places(self.viewer, self.result)
        self.saving = Background("tincture-report")
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_PAUSE)
        self._lay_out()
        remembered = kept(_TASK)
        self.form.recall(remembered)
        self.result.table.columns.chosen = dict(remembered.get("columns", {}))
        self._connect()
        self.refresh()

    def run(self, align: str | None = None) -> None:
        """Compare what the panel shows.

        Parameters
        ----------
        align
            As `compare` takes it; None: "check", if that is ticked.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        call = self.call()
        checked = "check" if self.form.align.first.isChecked() else None
        call.arguments["align"] = align or checked
        columns = self.form.choices.maps
        self._aligning = call.arguments["align"] is not None
        self._reference, self._layers = self.form.reference.value, call.layers
        self._begin("comparing")
        self.comparing.start(partial(run_call, call, columns))
        self.refresh()

    def check(self) -> None:
        """Estimate how the images lie.

        Raises
        ------
        InputError
            If there are none, or one cannot be opened.
        """
        reference, *images = rasters_of(self.form.choices)
        self.form.align.clear()
        self.runner.show_progress(0, 0, _CHECKING)
        self.checking.start(partial(check_images, images, reference))
        self.refresh()

    def undo(self) -> None:
        """Put layers back where they were before Align was last pressed."""
        for back in self._undo.pop() if self._undo else ():
            back()
        self.form.align.clear()
        self.refresh()

    def cancel(self) -> None:
        """Stop within one area, or patch."""
        self.comparing.cancel()
        self.checking.cancel()

    def call(self) -> Call:
        """Make a call of `compare` of what the panel shows now.

        Raises
        ------
        InputError
            If something is missing or does not fit.
        """
        return make_call(self.viewer, self.form.choices)

    def _recipe(self) -> Recipe:
        return recipe_of_comparison(self.call().arguments)

    def _layer_names(self) -> list[str]:
        """Of the recipe's images, in its order."""
        arguments = self.call().arguments
        rasters = [*arguments["images"], *(v for v in arguments.values() if isinstance(v, Raster))]
        return [raster.name for raster in rasters]

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
        self._enable()
        keep(_TASK, {**self.form.state(), "columns": self.result.table.columns.chosen})
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
        self.form.reference.chosen.connect(self._on_reference)
        align = self.form.align
        self.runner.run.connect(lambda: self._try(self.run))
        align.check.connect(lambda: self._try(self.check))
        align.align.connect(lambda: self._try(partial(self.run, align.model.value)))
        align.undo.connect(self.undo)
        self.runner.cancel.connect(self.cancel)
        self.comparing.progressed.connect(self._on_progress)
        self.comparing.finished.connect(self._on_found)
        self.checking.progressed.connect(partial(self._tell, _CHECKING))
        self.checking.finished.connect(self._on_checked)
        for work in (self.comparing, self.checking):
            work.failed.connect(self._on_failed)
        self.saving.finished.connect(partial(self.runner.status.show_text, Level.READY))
        self.saving.failed.connect(self._on_not_saved)
        self.result.table.columns.changed.connect(self._later.start)
        self.places.says.connect(self.runner.status.show_text)
        self.result.save.connect(self.save)
        self._watch = LayerWatch(self.viewer, self._later.start, self._later.start, self._on_view)
        self._watch.start()
        application = QApplication.instance()
        for work in (*self._ended_by_closing, self.saving):
            self.destroyed.connect(work.drop)
            if application is not None:
                application.aboutToQuit.connect(work.drop)
        self.destroyed.connect(self._watch.stop)

    def _on_view(self) -> None:
        if self.form.area.value == "viewport":
            self._later.start()

    @property
    def _ended_by_closing(self) -> tuple[Background, ...]:
        return self.comparing, self.checking, self.places.looking, self.places.searching

    @property
    def _busy(self) -> bool:
        return self.comparing.running or self.checking.running

    def _begin(self, text: str) -> None:
        """Forget the last comparison."""
        self.result.show_found(None)
        self.places.follow(None, None, {})
        self.form.align.clear()
        self.runner.show_progress(0, 0, text)

    def _enable(self) -> None:
        """Enable what can be pressed now."""
        align, free = self.form.align, not self._busy
        ready = free and self.message.level is not Level.PROBLEM
        for button in (self.runner.run_button, align.align_button):
            button.setEnabled(ready)
        align.check_button.setEnabled(free and bool(self.form.images.ticked))
        align.undo_button.setEnabled(free)
        align.undo_button.setVisible(bool(self._undo))

    def _try(self, what: Callable[[], None]) -> None:
        try:
            what()
        except TinctureError as error:  # something changed since the last refresh
            self._say(Level.PROBLEM, error)
            self._enable()

    def _on_reference(self) -> None:
        self.form.range.ask(())
        self.form.align.clear()

    def _on_progress(self, done: int, total: int) -> None:
        if self._aligning:  # the first half of the work
            total //= 2
            if done < total:
                self._tell(_CHECKING, done, total)
                return
            done -= total
        text = f"{done} of {total} areas" if done < total else "preparing maps"
        self._tell(text, done, total)

    def _tell(self, text: str, done: int, total: int) -> None:
        self.runner.show_progress(done, total, text)

    def _on_found(self, found: Found) -> None:
        self.found = found.comparison
        maps = add_maps(self.viewer, found.maps)
        self.places.follow(self.found, self._reference, maps)
        if undo := put(self.viewer, self.found, self._layers, found.resampled):
            self._undo.append(undo)
        count = len(self.found.table)
        self.runner.show_end(Level.READY, f"Done: {count} row{'s' * (count != 1)}.")
        self.result.show_found(self.found)
        # The warnings stand above the table.
        self.form.align.show_found(self.found.settings.get("alignment", {}), warn=False)
        self.refresh()

    def _on_checked(self, found: dict[str, Any]) -> None:
        self.runner.show_end(Level.READY, "")
        self.form.align.show_found(found)
        self.refresh()

    def _on_failed(self, error: Exception) -> None:
        self.runner.show_end(Level.NOTE if was_cancelled(error) else Level.PROBLEM, in_panel(error))
        self.refresh()
        if isinstance(error, DataRangeError):
            self.form.range.ask(error.candidates)

    def _on_not_saved(self, error: Exception) -> None:
        if not was_cancelled(error):
            self.runner.status.show_text(Level.PROBLEM, str(error))

    def _say(self, level: Level, text: str | Exception) -> None:
        if isinstance(text, DataRangeError):
            self.form.range.ask(text.candidates)
        elif self.form.range.kind.value == "number":
            self.form.range.ask(())
        self.message.show_text(level, in_panel(text))

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Do nothing while in no window: napari closes a dock by taking the panel out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._watch.stop()
                for work in self._ended_by_closing:
                    work.drop()
                self.runner.show_end(Level.READY, "")
            else:
                self._watch.start()
        super().changeEvent(event)
