"""The user's own models: put into their library, renamed, removed. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from napari_tincture.errors import ModelError
from napari_tincture.models.shipped import (
    file_stem,
    find_card,
    find_model,
    library_folder,
    list_models,
    shipped_folder,
    unused_path,
)
from napari_tincture.models.weights import has_card, read_card, replace_card


def add_model(path: str | PathLike[str], name: str | None = None) -> Path:
    """Copy a model file of this package into the user's library.

    Parameters
    ----------
    path
        A ``.safetensors`` file with a card.
    name
        What it is called there; as its card says if not given. Numbered if there is one.

    Raises
    ------
    ModelError
        If the file is damaged, or has no card.
    OutputError
        If the library cannot be written.
    """
    card = read_card(path)
    target = unused_path(name or card.name)
    return replace_card(path, card.replace(name=target.stem), target)


def note_origin(path: str | PathLike[str], origin: Mapping[str, Any]) -> Path:
    """Write into a model's card where it was downloaded from."""
    return replace_card(path, read_card(path).replace(origin=dict(origin)), Path(path))


def is_own(name: str) -> bool:
    """Whether a listed model is the user's own, and not shipped."""
    return find_model(name).parent == library_folder()


def is_own_file(path: Path) -> bool:
    """Whether a file was written by this package, card and all.

    Raises
    ------
    ModelError
        If it is a damaged ``.safetensors`` file.
    """
    return path.suffix == ".safetensors" and path.is_file() and has_card(path)


def remove_model(name: str) -> Path:
    """Remove a model of the user's library from the disk, and tell which file it was.

    Raises
    ------
    ModelError
        If there is no such model, or it is shipped or lies elsewhere.
    """
    path = _own(name, "removed")
    path.unlink()
    return path


def rename_model(name: str, new: str) -> Path:
    """Give a model of the user's library another name; returns its file.

    Parameters
    ----------
    name
        As `list_models` has it.
    new
        Letters, digits, and ``. _ + -`` between them; of no other model.

    Raises
    ------
    ModelError
        If there is no such model, it is shipped or lies elsewhere, or the new name is taken or
        cannot be that of a file.
    OutputError
        If the library cannot be written.
    """
    path = _own(name, "renamed")
    if new == name:
        return path
    if new != file_stem(new):
        raise ModelError(
            f"{new!r} cannot be the name of a model: expected letters, digits, and . _ + - between "
            f"them, such as {file_stem(new)!r}."
        )
    target = path.with_name(f"{new}.safetensors")
    # Some disks tell no capitals from small letters.
    taken = {card.name.lower(): card.name for card in list_models() if card.name != name}
    if new.lower() in taken or (target.exists() and not target.samefile(path)):
        raise ModelError(
            f"{taken.get(new.lower(), new)!r} is the name of another model; choose another, or "
            "remove or rename that one first."
        )
    same = target.exists()
    replace_card(path, find_card(name).replace(name=new), target)
    if same:
        return path.rename(target)
    path.unlink()
    return target


def _own(name: str, done: str) -> Path:
    path = find_model(name)
    if path.parent != library_folder():
        where = "shipped with the package" if path.parent == shipped_folder() else str(path)
        raise ModelError(
            f"{name!r} is {where}, and none of your own models in {library_folder()}; only these "
            f"are {done}."
        )
    return path
