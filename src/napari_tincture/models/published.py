"""State dicts of published implementations, cleaned so that our architectures load them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor, nn


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read a ``.pth`` state dict without running any code of it.

    Raises
    ------
    ModelError
        If the file is missing, damaged, holds anything but tensors, or is no state dict.
    """
    return as_state_dict(load_plain(path), str(path))


def read_state_dicts(path: str | PathLike[str]) -> dict[str, dict[str, Tensor]]:
    """Read a file of several state dicts by name, as U-GAT-IT has them, running no code of it.

    Raises
    ------
    ModelError
        If the file is missing, damaged, holds anything but tensors, or has another form.
    """
    loaded = load_plain(path)
    if not isinstance(loaded, Mapping) or not loaded:
        raise ModelError(
            f"{path} holds a {type(loaded).__name__}, expected a dict of state dicts by name."
        )
    return {str(name): as_state_dict(part, f"{path}[{name!r}]") for name, part in loaded.items()}


def load_plain(path: str | PathLike[str], content: bytes | None = None) -> Any:
    """Load whatever plain tensors a file of torch holds, on the CPU, running no code of it.

    Tensors of current files are mapped, and read when they are used. With `content`, that of a
    file that is part of another, no file is opened.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or holds anything but plain data.
    """
    import pickle
    import zipfile

    import torch

    try:
        if content is not None:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        mapped = zipfile.is_zipfile(path)
        return torch.load(Path(path), map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{path} cannot be loaded as plain tensors ({type(error).__name__}); it is damaged "
            "or contains code, which is never run. Save it again as a state dict."
        ) from error


def as_state_dict(loaded: Any, origin: str) -> dict[str, Tensor]:
    """Check that a loaded object maps names to tensors; drop ``module.`` before the names."""
    import torch

    if not isinstance(loaded, Mapping) or not loaded:
        raise ModelError(f"{origin} holds a {type(loaded).__name__}, expected a state dict.")
    strange = [key for key, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ModelError(f"{origin} is no bare state dict: {strange[:3]} are no tensors.")
    return {key.removeprefix("module."): value for key, value in loaded.items()}


def drop_running_statistics(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Remove running statistics that the network does not have.

    Files of PyTorch before 0.4 carry them for instance norms, which never used them.
    """
    names = ("running_mean", "running_var", "num_batches_tracked")
    known = network.state_dict().keys()
    return {
        key: value
        for key, value in state.items()
        if key in known or key.rpartition(".")[2] not in names
    }


def to_classic_spectral_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give spectrally normalised weights the keys of classic torch: ``weight_orig/_u/_v``.

    ``torch.nn.utils.parametrizations.spectral_norm`` writes the others; all else stays.
    """
    classic = {
        ".parametrizations.weight.original": ".weight_orig",
        ".parametrizations.weight.0._u": ".weight_u",
        ".parametrizations.weight.0._v": ".weight_v",
    }

    def renamed(key: str) -> str:
        for ending, other in classic.items():
            if key.endswith(ending):
                return key.removesuffix(ending) + other
        return key

    return {renamed(key): value for key, value in state.items()}
