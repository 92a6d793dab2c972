"""Networks of our own, written to disk as published programs write theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.models.networks.resnet_generator import make_norm
from napari_tincture.models.registry import ROOM, build_network

INSTANCE = type(make_norm("instance", 1))
CLASSIC = {
    ".weight_orig": ".parametrizations.weight.original",
    ".weight_u": ".parametrizations.weight.0._u",
    ".weight_v": ".parametrizations.weight.0._v",
}


def made(architecture: str, room: str = ROOM, **options: Any) -> nn.Module:
    """A network with random weights and running statistics."""
    network = build_network(architecture, options, room).eval()
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.add_(torch.randn_like(value) * 0.1)
    return network


def write(folder: Path, networks: Mapping[str, nn.Module], epoch: str = "latest") -> Path:
    """One file per network, ``EPOCH_net_ROLE.pth``."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, network in networks.items():
        torch.save(network.state_dict(), folder / f"{epoch}_net_{role}.pth")
    return folder


def with_old_statistics(network: nn.Module) -> dict[str, Tensor]:
    """A state dict as torch 0.3 wrote it: instance norm has running statistics, no counters."""
    state = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
    for name, module in network.named_modules():
        if isinstance(module, INSTANCE):
            state[f"{name}.running_mean"] = torch.zeros(module.num_features)
            state[f"{name}.running_var"] = torch.ones(module.num_features)
    return state


def with_new_spectral_norm(network: nn.Module) -> dict[str, Tensor]:
    """A state dict as torch's parametrisations name it."""

    def renamed(key: str) -> str:
        for old, new in CLASSIC.items():
            key = key.replace(old, new)
        return key

    return {renamed(key): value for key, value in network.state_dict().items()}


def wrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of a network in DataParallel."""
    return {f"module.{key}": value for key, value in state.items()}
