"""Drawing anew what changed of planes that were drawn before."""

from __future__ import annotations

from typing import Any

from napari_tincture.diffusion.drawing import Drawn, Pen
from napari_tincture.diffusion.keeping import Keeping
from napari_tincture.diffusion.repainting import repaint
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.tasks._artist import Drawer, Source
from napari_tincture.tasks._look import Plane
from napari_tincture.tasks._scene import Scene, Show


class Repainter:
    """Draws planes of which another drawing is known, and a map that was changed since.

    Attributes
    ----------
    shown
        What planes showed when they were drawn.
    changed
        By plane, rectangles that were looked at.
    """

    def __init__(self, drawer: Drawer, known: Scene, margin: int) -> None:
        self.drawer, self.known, self.margin = drawer, known, margin
        self.shown: dict[Plane, Subject] = {}
        self.changed: dict[Plane, list[Any]] = {}

    def draw(
        self, plane: Plane, progress: Progress, cancel: CancelToken, show: Show, keeping: Keeping
    ) -> Drawn:
        """Draw what changed of a plane."""
        known = self.known.plane(plane, cancel=cancel)
        before = self.known.artist.remember(plane)
        after = self.shown.get(plane) or self.drawer.source.subject(plane)

        start = self.drawer.start(after)

        def work(pen: Pen) -> tuple[Drawn, list[Any]]:
            return repaint(pen, known, before, after, self.margin, start)

        drawn, places = self.drawer.trying(work, plane, progress, cancel, show, keeping)
        self.shown[plane] = after
        self.changed[plane] = [[[s.start, s.stop] for s in place] for place in places]
        return drawn  # type: ignore[no-any-return]

    def remember(self, plane: Plane) -> Subject:
        """What a drawn plane shows."""
        if plane not in self.shown:
            self.shown[plane] = self.source.subject(plane)
        return self.shown[plane]

    @property
    def source(self) -> Source:
        """What planes show."""
        return self.drawer.source

    def facts(self) -> dict[str, Any]:
        """Where it was drawn, and which rectangles."""
        drawn = {",".join(map(str, plane)): places for plane, places in self.changed.items()}
        return {**self.drawer.facts(), "repainted": drawn}

    def identity(self) -> dict[str, Any]:
        """The drawing before, and what is drawn now."""
        return {
            **self.drawer.identity(), "before": self.known.identity(), "margin": self.margin,
        }  # fmt: skip
