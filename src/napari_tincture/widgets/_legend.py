"""How far a live result is, in words, and on the canvas."""

from __future__ import annotations

from typing import Any, ClassVar

from napari_tincture.tiling.live import LiveStatus


def legend_text(status: LiveStatus) -> str:
    """Say how far a live result is.

    Returns
    -------
    str
        One line: tiles done, tiles queued and the seconds that they take, and what else a person
        should know.
    """
    parts = [f"{status.done} of {status.total} tiles"]
    if status.queued:
        left = "" if status.seconds is None else f", {_duration(status.seconds)} for the screen"
        parts.append(f"{status.queued} queued{left}")
    if status.overview:
        parts.append("zoom in to compute more")
    if status.finishing:
        parts.append("computing the rest")
    if status.sampled:
        parts.append("values of the whole image from samples, to be refined")
    if status.problem:
        parts.append(status.problem)
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Legend:
    """A line on the canvas, unless a person's own text is there.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose canvas it is.
    """

    _ours: ClassVar[dict[int, str]] = {}
    """What was last written into each overlay, whichever legend wrote it."""

    def __init__(self, viewer: Any) -> None:
        canvas = getattr(viewer, "canvas", None)
        # napari 0.9 moved overlays to the canvas.
        self._overlay = viewer.text_overlay if canvas is None else canvas.overlays.text

    def show(self, status: LiveStatus | None) -> None:
        """Write how far it is; nothing for None."""
        overlay = self._overlay
        if overlay.visible and overlay.text and overlay.text != self._ours.get(id(overlay)):
            return  # a person's own
        text = "" if status is None else f"live: {legend_text(status)}"
        if text != overlay.text:
            overlay.text = self._ours[id(overlay)] = text
        if overlay.visible != bool(text):
            overlay.visible = bool(text)
        if not text:
            self._ours.pop(id(overlay), None)
