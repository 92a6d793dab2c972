"""Pictures of what models do: a sample image, and what a model makes of it. No torch."""

from __future__ import annotations

from pathlib import Path

from napari_tincture.models.shipped import shipped_folder

DRAWN = {"em-membranes": "The image was drawn by em-tissue: no real micrograph is shipped."}
"""What else is to be said of a picture, by model."""


def picture_path(name: str) -> Path:
    """Where the picture of a shipped model lies; it need not exist."""
    return shipped_folder().with_name("pictures") / f"{name}.png"


def find_picture(name: str) -> Path | None:
    """The picture of a model, None if there is none."""
    path = picture_path(name)
    return path if path.is_file() else None
