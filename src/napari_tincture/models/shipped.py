"""Models by name or path: the shipped starter weights, the user's library and other files."""

from __future__ import annotations

import os
import re
import warnings
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tincture.errors import ModelError, TinctureWarning
from napari_tincture.models.card import ModelCard
from napari_tincture.models.weights import read_card

if TYPE_CHECKING:
    from napari_tincture.models.model import Model


def shipped_folder() -> Path:
    """Folder of the weights that the package ships."""
    return Path(str(files("napari_tincture") / "samples" / "weights"))


VARIABLE = "NAPARI_TINCTURE_MODELS"
"""Names the environment variable that names the folder of the user's own models."""


def library_folder() -> Path:
    """Folder of the user's own models; it need not exist."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-tincture", appauthor=False) / "models"


def file_stem(name: str) -> str:
    """The name of a model as its file bears it: letters, digits, and . _ + - between them."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "model"


def unused_path(name: str) -> Path:
    """A file of the user's library for a model of this name, numbered if there is one."""
    stem = file_stem(name)
    taken = {*_shipped(), *(path.stem for path in library_folder().glob("*.safetensors"))}
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    free = next(candidate for candidate in names if candidate not in taken)
    return library_folder() / f"{free}.safetensors"


def list_models() -> list[ModelCard]:
    """Cards of all shipped models, then of the user's own, each sorted by name.

    Reads headers only, no torch. Files of the user's library that cannot be read are left out,
    with a warning.
    """
    return [*map(read_card, _shipped().values()), *_library().values()]


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """The weight file of a model that is listed, or of a path.

    Raises
    ------
    ModelError
        If it is neither; the message lists the names there are.
    """
    known = _known()
    if isinstance(name_or_path, str) and name_or_path in known:
        return known[name_or_path]
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    raise ModelError(
        f"Unknown model {str(name_or_path)!r}: it is neither a file nor one of the models "
        f"{', '.join(known) or '(none installed)'}."
    )


def find_card(name_or_path: str | os.PathLike[str]) -> ModelCard:
    """The card of a model that is listed, or of a path, without torch."""
    path = find_model(name_or_path)
    return _library().get(path) or read_card(path)


def load_model(name_or_path: str | os.PathLike[str] | Model) -> Model:
    """Load a model by listed name or path; a `Model` is given back as it is.

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
    paths = shipped_folder().glob("*.safetensors")
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem)}


def _known() -> dict[str, Path]:
    return {path.stem: path for path in _library()} | _shipped()


def _library() -> dict[Path, ModelCard]:
    """Cards of the user's models by file; each is called what its file is called."""
    found = {}
    shipped = _shipped()
    for path in sorted(library_folder().glob("*.safetensors"), key=lambda path: path.stem):
        card = _read_or_warn(path, path.stat().st_mtime_ns)
        if card is not None and path.stem not in shipped:
            found[path] = card.replace(name=path.stem)
    return found


@lru_cache(maxsize=1024)
def _read_or_warn(path: Path, _changed: int) -> ModelCard | None:
    """Read a card once; a file that is unreadable is told of once."""
    try:
        return read_card(path)
    except ModelError as error:
        warnings.warn(f"A model was left out of the list: {error}", TinctureWarning, stacklevel=2)
        return None
