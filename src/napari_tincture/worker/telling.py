"""What the worker tells of a training while it runs: steps, figures, previews."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import Cancelled, TinctureError
from napari_tincture.raster import Raster
from napari_tincture.training.begun import Begun
from napari_tincture.training.log import read_rows
from napari_tincture.worker.steering import Steering

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from napari_tincture.training.loop import Trainer
    from napari_tincture.training.preview import Preview
    from napari_tincture.training.translation import TranslationRecipe
    from napari_tincture.worker.drawn_preview import DrawnPreview

PAUSE = 0.25
"""Seconds between messages about steps."""
POINTS = 1000
"""Of each curve that are told when a training goes on."""


class Teller:
    """A log of a training (see `training.log`) that sends what is written to napari's process.

    Parameters
    ----------
    begun
        The training; where it stands is noted in its file.
    send
        Takes a kind, fields, and perhaps an array.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        begun: Begun,
        send: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.send = send
        self._begun, self._clock = begun, clock
        self._saved = begun.step
        self._trainer: Trainer | None = None
        self._sums: dict[str, float] = {}
        self._count, self._told = 0, -PAUSE

    @property
    def step(self) -> int:
        """Steps taken."""
        return self._saved if self._trainer is None else self._trainer.step

    def networks(self) -> Mapping[str, nn.Module]:
        """Those in training, ready for inference."""
        assert self._trainer is not None
        return self._trainer.networks()

    def recipe(self) -> TranslationRecipe:
        """That of the training, as it was fitted to its images."""
        from napari_tincture.training.translation import TranslationRecipe

        assert self._trainer is not None
        return TranslationRecipe.from_dict(self._trainer.recipe)

    def begin(self, trainer: Trainer) -> None:
        """Tell where the training stands, with the curves so far."""
        self._trainer = trainer
        curves: dict[str, list[tuple[int, float]]] = {}
        rows = [row for row in read_rows(self._begun.log) if int(row["step"]) <= trainer.step]
        for row in rows[:: len(rows) // POINTS + 1]:
            for name in self._losses(row):
                if row[name]:
                    curves.setdefault(name, []).append((int(row["step"]), float(row[name])))
        figures = [dict(each) for each in trainer.history]
        self.send(
            "began", name=self._begun.name, step=trainer.step, steps=trainer.schedule.steps,
            curves=curves, figures=figures, recipe=self._begun.recipe,
        )  # fmt: skip

    def resume(self, step: int) -> None:
        """Begin."""

    def write(self, step: int, values: Mapping[str, float], figures: Mapping[str, float]) -> None:
        """Tell the mean losses since they were last told, unless that was a moment ago."""
        for name in self._losses(values):
            self._sums[name] = self._sums.get(name, 0.0) + values[name]
        self._count += 1
        last = step == self._begun.steps
        if figures or last or self._clock() - self._told >= PAUSE:
            self._tell(step, figures)

    def close(self) -> None:
        """Tell that what follows the steps has begun."""
        self.send("finishing")

    def paused(self, held: bool) -> None:
        """Tell that the training is held, or goes on."""
        if self._count:
            self._tell(self.step, {})
        self.send("paused", held=held)

    def after_step(self, step: int) -> None:
        """Note where the training stands if a checkpoint has just been saved."""
        assert self._trainer is not None
        if step % self._trainer.schedule.save_every == 0:
            self._note(step)

    def note(self) -> None:
        """Note where the training stands at its end; without a checkpoint, it never was."""
        if not self._begun.checkpoint.is_file():
            self._begun.discard()
        elif self._trainer is not None:
            self._note(self._trainer.saved)

    def _tell(self, step: int, figures: Mapping[str, float]) -> None:
        self._told = self._clock()
        seconds = None if self._trainer is None else self._trainer.seconds_left()
        losses = {name: total / self._count for name, total in self._sums.items()}
        self.send("step", step=step, losses=losses, figures=dict(figures), seconds=seconds)
        self._sums, self._count = {}, 0

    def _note(self, step: int) -> None:
        self._saved = step
        self._begun.at(step).write()

    @staticmethod
    def _losses(row: Mapping[str, Any]) -> list[str]:
        return [name for name in row if name != "step" and not name.startswith("lr_")]


class Previews:
    """Hooks of a training that show what is on screen; what fails of it is told once."""

    def __init__(
        self,
        preview: Preview | DrawnPreview,
        steering: Steering,
        open_view: Callable[[Mapping[str, Any]], Raster],
        teller: Teller,
    ) -> None:
        self._preview, self._steering, self._teller = preview, steering, teller
        self._open_view = open_view
        self._seen: Mapping[str, Any] | None = None
        self._picture: Any = None

    def after_step(self, step: int, _: Mapping[str, float]) -> None:
        """Show another part at once."""
        self._teller.after_step(step)
        if self._steering.view is not self._seen:
            self(step, self._teller.networks())

    def __call__(self, step: int, networks: Mapping[str, nn.Module]) -> None:
        """Show what is on screen."""
        view = self._steering.view
        try:
            if view is not self._seen:
                self._seen, self._picture = view, None
                if view is not None:
                    self._picture = self._preview.picture(self._open_view(view))
            if view is not None and self._picture is not None:
                self._send(step, view, self._made(networks, view))
        except Cancelled:
            raise
        # A preview that does not work out, for want of memory or channels, ends no training.
        except (TinctureError, RuntimeError, MemoryError) as error:
            self._picture = None
            self._teller.send("warning", message=f"There is no preview: {error}")

    def _made(self, networks: Mapping[str, nn.Module], view: Mapping[str, Any]) -> NDArray[Any]:
        assert self._picture is not None
        rows, columns = (slice(*view["region"][axis]) for axis in "yx")
        return self._preview(networks, self._picture, rows, columns)

    def _send(self, step: int, view: Mapping[str, Any], image: NDArray[Any]) -> None:
        fields = {"step": step, "view": view["number"], "rgb": self._preview.rgb}
        self._teller.send("preview", image, limits=list(self._preview.limits), **fields)
