"""Who hears what a job finds out on its way; nobody does unless told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tincture.tiling.inputs import Plane
    from napari_tincture.tiling.whole import PlaneValues


class Listener:
    """Hears nothing; overridden by those who want to."""

    def settled(self, plane: Plane, values: PlaneValues) -> None:
        """Hear of a plane's values, before any block takes them."""

    def shrunk(self, memory: dict[str, Any]) -> None:
        """Hear what memory allows from now on, as `Portions.to_json` gives it."""

    def left_out(self, event: str) -> None:
        """Hear of a place that could not be read, once, before its value is taken."""
