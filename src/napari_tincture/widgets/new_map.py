"""*File › New layer › Label map for synthesis*."""

from __future__ import annotations

from napari.viewer import Viewer

from napari_tincture.widgets._open_recipe import open_panel


def new_label_map(viewer: Viewer) -> None:
    """Open the Synthesize panel, and paint on an empty map of its model's classes."""
    # The layer is not returned: napari would add it once more.
    open_panel(viewer, "Synthesize").map.make()
