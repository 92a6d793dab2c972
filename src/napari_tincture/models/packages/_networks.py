"""Networks of packages: built as they are described, filled with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.consent import sha256_of
from napari_tincture.models.packages._archive import Archive
from napari_tincture.models.packages._choose import Choice
from napari_tincture.models.packages._description import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_tincture.models.card import Part

State = Mapping[str, "Tensor"]


def read_state(archive: Archive, weights: Weights) -> Any:
    """What a file of weights holds, running no code of it.

    Raises
    ------
    ModelError
        If it is damaged or holds anything but plain data.
    """
    content = archive.read(weights.file, weights.sha256)
    if weights.file.endswith(".safetensors"):
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(content)
        except SafetensorError as error:
            raise ModelError(f"{weights.file} is damaged: {error}. Get it again.") from error
    from napari_tincture.models.published import load_plain

    return load_plain(weights.file, content)


def recognised(archive: Archive, choice: Choice) -> tuple[Part, State] | None:
    """The published architecture whose tensors a state dict holds, and these by its names."""
    from napari_tincture.models.imported import generator_of

    try:
        return generator_of(read_state(archive, choice.weights), choice.weights.file)
    except ModelError:
        return None


def described(archive: Archive, choice: Choice, sizes: Mapping[str, Any], dtype: str) -> Any:
    """The option `network` of the architecture "packaged" for weights of a package.

    Raises
    ------
    ModelError
        If a state dict takes integers.
    """
    weights, program = choice.weights, choice.program
    if weights.kind != "pytorch_state_dict":
        content = archive.read(weights.file, weights.sha256)
        return {
            "kind": weights.kind, "sizes": dict(sizes), "size": len(content),
            "sha256": sha256_of(content), "file": weights.file, "dtype": dtype,
        }  # fmt: skip
    if dtype not in ("float32", "float64"):
        raise ModelError(f"The package's network takes {dtype}, expected float32.")
    if program is None:
        return {"architecture": choice.architecture, "options": dict(weights.kwargs)}
    text = archive.read(str(weights.code), program.sha256).decode()
    return {
        "text": text, "sha256": program.sha256, "file": str(weights.code),
        "name": weights.callable, "kwargs": dict(weights.kwargs),
    }  # fmt: skip


def fill(archive: Archive, weights: Weights, network: nn.Module) -> None:
    """Fill a network that was built as described.

    Raises
    ------
    ModelError
        If the weights do not fit.
    """
    import numpy as np
    import torch

    from napari_tincture.models.programs import ProgramCall
    from napari_tincture.models.published import as_state_dict
    from napari_tincture.models.weights import fill_network

    if isinstance(network, ProgramCall):
        content = archive.read(weights.file, network.source.sha256)
        network.program.copy_(torch.from_numpy(np.frombuffer(content, np.uint8).copy()))
        return
    state = as_state_dict(read_state(archive, weights), weights.file)
    if weights.strict:
        fill_network(network, state, weights.file)
        return
    try:
        network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{weights.file} does not fit its network: {error}.") from error
