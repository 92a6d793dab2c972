"""State dicts of published implementations, cleaned so that our architectures load them."""

from __future__ import annotations

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
    import pickle

    import torch

    try:
        loaded = torch.load(Path(path), map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{path} cannot be loaded as plain tensors ({type(error).__name__}); it is damaged "
            "or contains code, which is never run. Save it again as a state dict."
        ) from error
    return as_state_dict(loaded, str(path))


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
