"""Train, Pause, Stop and keep, Cancel; how far the training is, and its curves."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.widgets._curves import Curves
from napari_tincture.widgets._form import Choice, Item, Level, Message, Wrapped, row
from napari_tincture.widgets._progress_bar import ProgressBar
from napari_tincture.worker.jobs import Job, State
from napari_tincture.worker.training_job import TrainingJob


class TrainRow(QWidget):
    """Buttons, a bar that counts steps, plots, and what became of the training."""

    train = Signal()
    pause = Signal()
    stop = Signal()
    cancel = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.train_button = _button("Train", "Begin, in a process of its own", self.train)
        self.pause_button = _button("Pause", "Hold the training after this step", self.pause)
        self.stop_button = _button(
            "Stop and keep", "End after this step and keep the model as it is", self.stop
        )
        self.cancel_button = _button(
            "Cancel", "End after this step without a model; it can be resumed", self.cancel
        )
        self.bar = ProgressBar()
        self.progress, self.status = Wrapped(), Message()
        self.losses, self.figures = Curves(), Curves()
        self.log = QCheckBox("log")
        self.log.setToolTip("Losses on a logarithmic axis")
        self.figure = Choice(tooltip="Which figure of the validation is drawn")
        self._plots = QWidget()
        self._lay_out()
        self.log.toggled.connect(self.losses.set_log)
        self.figure.chosen.connect(self._draw_figure)
        self._job: TrainingJob | None = None
        self.show_job(None)

    def show_job(self, job: TrainingJob | None) -> None:
        """Show how far a training is, or what became of it."""
        self._job = job
        under_way = job is not None and not job.state.final
        for widget in (self.bar, self.progress):
            widget.setVisible(under_way)
        running = under_way and job is not None and job.state is State.RUNNING and job.total > 0
        for button in (self.pause_button, self.stop_button):
            button.setEnabled(running and not (job is not None and job.detail))
        self.cancel_button.setEnabled(under_way)
        self.pause_button.setText("Resume" if job is not None and job.paused else "Pause")
        self.status.show_text(*_outcome(job))
        self._plots.setVisible(job is not None and bool(job.losses))
        if job is not None:
            self.bar.show_done(job.done, job.total)
            self.progress.setText(progress_text(job))
            self.show_curves(job)

    def show_curves(self, job: TrainingJob) -> None:
        """Draw the curves of a training."""
        self.losses.show_curves(dict(job.losses), job.total)
        self.figure.set_items([Item(name.replace("_", " "), name) for name in job.figures])
        for widget in (self._figure_label, self.figure, self.figures):
            widget.setVisible(bool(job.figures))
        self._draw_figure()

    def _draw_figure(self) -> None:
        job, name = self._job, self.figure.value
        points = [] if job is None or name is None else job.figures.get(name, [])
        self.figures.show_curves({name: points}, 0 if job is None else job.total)

    def _lay_out(self) -> None:
        self._figure_label = QLabel("Validation")
        plots = QVBoxLayout(self._plots)
        plots.setContentsMargins(0, 0, 0, 0)
        plots.setSpacing(4)
        for widget in (
            row([QLabel("Losses"), self.log]), self.losses,
            row([self._figure_label, self.figure]), self.figures,
        ):  # fmt: skip
            plots.addWidget(widget)
        buttons = QGridLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.train_button, 0, 0)
        buttons.addWidget(self.pause_button, 0, 1)
        buttons.addWidget(self.stop_button, 1, 0)
        buttons.addWidget(self.cancel_button, 1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        for widget in (self.bar, self.progress, self.status, self._plots):
            layout.addWidget(widget)


def _button(text: str, tooltip: str, signal: Signal) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.clicked.connect(lambda _: signal.emit())
    return button


def progress_text(job: TrainingJob) -> str:
    """Say how far a training is, and how long it will take."""
    if not job.total:
        return "waiting for another training" if job.state is State.QUEUED else "preparing"
    steps = f"step {job.done:,} of {job.total:,}"
    if job.detail:
        return f"{steps}, {job.detail}"
    if job.paused:
        return f"{steps}, paused"
    return steps if job.seconds is None else f"{steps}, {duration(job.seconds)} left"


def duration(seconds: float) -> str:
    """A time span in the two units that matter."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d"


def _outcome(job: Job | None) -> tuple[Level, str]:
    if job is None or not job.state.final:
        warnings = [] if job is None else job.warnings
        return Level.NOTE, "\n".join(warnings)
    if job.state is State.FINISHED:
        return Level.READY, f"Done: {job.title}, {job.summary}"
    level = Level.PROBLEM if job.state is State.FAILED else Level.NOTE
    return level, str(job.error)
