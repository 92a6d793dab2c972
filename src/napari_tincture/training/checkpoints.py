"""One file from which an interrupted training goes on."""

from __future__ import annotations

import functools
import glob
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_tincture.durable import write_file
from napari_tincture.errors import InputError, OutputError

FORMAT = 1
RAISABLE = "schedule.steps"
"""The field of a recipe that may be larger when its training goes on."""
FREE = "schedule.precision"
"""The field of a recipe that may be another one: it is a matter of the device."""
SHOWN = 6
PLAIN = {bool, int, float, str, bytes, type(None)}


def save_checkpoint(path: Path, state: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Write a checkpoint; one that is there is replaced when this one is complete on the disk.

    Raises
    ------
    OutputError
        It cannot be written; the one that was there is untouched.
    """
    _check_plain(state)
    whole = {**state, "format": FORMAT, "recipe": json.dumps(recipe)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        write_file(path, functools.partial(torch.save, whole))
    except (OSError, RuntimeError) as error:
        cause = _os_error(error)  # torch reports a full disk as damage of its own archive
        if cause is None:
            raise
        kept = "The previous checkpoint is kept" if path.exists() else "There is none before it"
        raise OutputError(
            f"Cannot write the checkpoint {path}: {cause}. {kept}. "
            "Make room or choose another folder, and start again to go on."
        ) from error


def load_checkpoint(
    path: Path,
    recipe: Mapping[str, Any],
    device: torch.device,
    as_now: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> dict[str, Any]:
    """Read a checkpoint of this recipe; no code in it is run.

    It may have fewer steps, or another precision.

    Tensors come to `device`, except those that were saved from the CPU. `as_now` completes a
    recipe that an earlier release wrote by the fields that it did not know.

    Raises
    ------
    InputError
        The file is damaged, something else, or of another recipe: the fields are named.
    """

    def place(storage: Any, origin: str) -> Any:
        if origin == "cpu":
            return storage
        return torch.serialization.default_restore_location(storage, str(device))

    advice = "Move it away to begin anew."
    try:
        state = torch.load(path, map_location=place, weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} cannot be read as a checkpoint. {advice}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint that this release can go on from. {advice}")
    found: dict[str, Any] = state
    begun = as_now(json.loads(found["recipe"]))
    # Earlier releases computed all steps in what the recipe said, which was never "auto".
    said = begun.get("schedule", {}).get("precision", "float32")
    found.setdefault("precisions", {said: found["step"]})
    differing = differences(json.loads(json.dumps(begun)), json.loads(json.dumps(recipe)))
    if differing:
        shown = ", ".join(differing[:SHOWN]) + (", …" if len(differing) > SHOWN else "")
        raise InputError(
            f"{path} is the checkpoint of another recipe, which differs in {shown}. "
            "Only the number of steps may be raised, and the precision be changed. "
            f"Restore the recipe, or: {advice}"
        )
    return found


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Name the fields in which a recipe differs from the one that was begun, with their values."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        pairs = [(key, before.get(key), now.get(key)) for key in keys]
        return [
            difference
            for key, old, new in pairs
            for difference in differences(old, new, f"{path}.{key}" if path else key)
        ]
    if before == now or path == FREE or (path == RAISABLE and before < now):
        return []
    return [f"{path} ({_short(before)} → {_short(now)})"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _remove_leftovers(path: Path) -> None:
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
        part.unlink(missing_ok=True)


def _os_error(error: BaseException | None) -> OSError | None:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _check_plain(value: Any) -> None:
    # Found when the file is read, this would be too late.
    if isinstance(value, Mapping):
        for item in value.values():
            _check_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(item)
    elif not isinstance(value, Tensor) and type(value) not in PLAIN:
        raise TypeError(f"A checkpoint holds tensors and plain values, got {type(value)}.")
