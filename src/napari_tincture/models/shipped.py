"""Models by name or path: the shipped starter weights and the user's own files."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tincture.errors import ModelError
from napari_tincture.models.card import ModelCard
from napari_tincture.models.weights import read_card

if TYPE_CHECKING:
    from napari_tincture.models.model import Model


def shipped_folder() -> Path:
    """Folder of the weights that the package ships."""
    return Path(str(files("napari_tincture") / "samples" / "weights"))


def list_models() -> list[ModelCard]:
    """Cards of all shipped models, sorted by name; reads headers only, no torch."""
    return [read_card(path) for path in _shipped().values()]


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """The weight file of a shipped name or of a path.

    Raises
    ------
    ModelError
        If it is neither; the message lists the names there are.
    """
    shipped = _shipped()
    if isinstance(name_or_path, str) and name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    raise ModelError(
        f"Unknown model {str(name_or_path)!r}: it is neither a file nor one of the shipped "
        f"models {', '.join(shipped) or '(none installed)'}."
    )


def find_card(name_or_path: str | os.PathLike[str]) -> ModelCard:
    """The card of a shipped name or of a path, without torch."""
    return read_card(find_model(name_or_path))


def load_model(name_or_path: str | os.PathLike[str] | Model) -> Model:
    """Load a model by shipped name or path; a `Model` is given back as it is.

    The card is read and checked at once; the weights on first use.

    Raises
    ------
    ModelError
        If there is no such model, or its file is damaged, foreign or of an unknown architecture.
    """
    from napari_tincture.models.model import Model

    if isinstance(name_or_path, Model):
        return name_or_path
    return Model.from_file(find_model(name_or_path))


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(shipped_folder().glob("*.safetensors"))}
