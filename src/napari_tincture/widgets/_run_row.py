"""Run, Cancel, and how far the job is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._form import Level, Message, Wrapped
from napari_tincture.widgets._progress_bar import ProgressBar
from napari_tincture.widgets._recipe_menu import RecipeMenu
from napari_tincture.worker.jobs import Job, State


class RunRow(QWidget):
    """Buttons, a bar that counts tiles, and what became of the last job."""

    run = Signal()
    cancel = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.run_button, self.cancel_button = QPushButton("Run"), QPushButton("Cancel")
        self.run_button.setToolTip("Start, or queue behind what is running")
        self.cancel_button.setToolTip("Stop within one tile")
        self.run_button.clicked.connect(lambda _: self.run.emit())
        self.cancel_button.clicked.connect(lambda _: self.cancel.emit())
        self.bar = ProgressBar()
        self.progress = Wrapped()
        self.status = Message()
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(6)
        self._buttons.addWidget(self.run_button, 2)
        self._buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._buttons)
        for widget in (self.bar, self.progress, self.status):
            layout.addWidget(widget)
        self.show_job(None, ())

    def offer_recipe(
        self, recipe: Callable[[], Recipe], layers: Callable[[], Sequence[str]]
    ) -> RecipeMenu:
        """Put a `RecipeMenu` beside the buttons."""
        menu = RecipeMenu(recipe, layers)
        menu.told.connect(self.status.show_text)
        self._buttons.addWidget(menu)
        return menu

    def show_job(self, job: Job | None, queue: Sequence[Job]) -> None:
        """Show how far a job is.

        Parameters
        ----------
        job
            The panel's latest job; None if there was none.
        queue
            What all panels have under way; its first runs.
        """
        if job is None or job.state.final:
            self.show_end(*_outcome(job))
            return
        self.show_progress(job.done, job.total, _progress_text(job, queue))
        self.progress.setToolTip("\n".join(f"{each.title}: {each.state.value}" for each in queue))

    def show_progress(self, done: int, total: int, text: str) -> None:
        """Show how far what is under way is."""
        self._set_under_way(True)
        self.status.show_text(Level.READY, "")
        self.bar.show_done(done, total)
        self.progress.setText(text)

    def show_end(self, level: Level, text: str) -> None:
        """Say what became of it; an empty text says nothing."""
        self._set_under_way(False)
        self.status.show_text(level, text)

    def _set_under_way(self, under_way: bool) -> None:
        for widget in (self.bar, self.progress):
            widget.setVisible(under_way)
        self.cancel_button.setEnabled(under_way)


def _progress_text(job: Job, queue: Sequence[Job]) -> str:
    if job.state is State.QUEUED:
        before = queue.index(job) if job in queue else 0
        return f"waiting for {before} job{'s' * (before > 1)}" if before else "starting"
    behind = f", {len(queue) - 1} waiting" if len(queue) > 1 else ""
    if job.settings.images is not None and job.total:
        return f"{job.done} of {job.total} images{behind}\n{job.detail}".rstrip()
    return (f"{job.done} of {job.total} tiles" if job.total else "preparing") + behind


def _outcome(job: Job | None) -> tuple[Level, str]:
    if job is None or not job.state.final:
        return Level.READY, ""
    if job.state is State.FINISHED:
        level = Level.NOTE if "failed" in job.summary else Level.READY
        return level, f"Done: {job.title}. {job.summary}".rstrip()
    level = Level.PROBLEM if job.state is State.FAILED else Level.NOTE
    return level, str(job.error)
