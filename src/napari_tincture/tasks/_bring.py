"""Whatever a model can be made of, as a model: a package, a checkpoint, a file of our own."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import InputError
from napari_tincture.models.library import add_model, is_own_file, note_origin
from napari_tincture.models.packages._archive import is_package
from napari_tincture.models.weights import read_card, replace_card
from napari_tincture.tasks.import_checkpoint import LIBRARY, import_checkpoint
from napari_tincture.tasks.packages import import_package

if TYPE_CHECKING:
    from napari_tincture.models.model import Model


def bring(
    path: Path,
    *,
    name: str | None = None,
    consent: Mapping[str, bool] | None = None,
    save_to: str | PathLike[str] | None = LIBRARY,
    origin: Mapping[str, Any] | None = None,
    **options: Any,
) -> Model:
    """Import a file or folder as what it is.

    Parameters
    ----------
    path
        A package, a checkpoint, or a file with a card.
    name, save_to, **options
        As of `import_package` and `import_checkpoint`.
    consent
        Of `import_package`; not used for others.
    origin
        Where it was downloaded from, for the card.

    Raises
    ------
    InputError
        If there are options for a file that needs none.
    ModelError, ConsentError, OutputError
        As of those.
    """
    from napari_tincture.models import load_model

    if is_package(path):
        home = path.parent if path.is_file() and path.suffix.lower() != ".zip" else path
        model = import_package(home, consent=consent, name=name, save_to=save_to, **options)
    elif is_own_file(path):
        if options:
            raise InputError(
                f"{path.name} says itself what it is; {', '.join(options)} cannot be given with it."
            )
        model = load_model(_taken(path, name, save_to))
    else:
        model = import_checkpoint(path, name=name, save_to=save_to, **options)
    if origin and save_to is not None and model.path is not None:
        return load_model(note_origin(model.path, origin))
    return model.with_card(model.card.replace(origin=dict(origin))) if origin else model


def _taken(path: Path, name: str | None, save_to: str | PathLike[str] | None) -> Path:
    if save_to == LIBRARY:
        return add_model(path, name)
    if save_to is None:
        return path
    card = read_card(path)
    return replace_card(path, card.replace(name=name or card.name), Path(save_to))
