"""Networks and steps of published implementations, recorded in tests/data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_tincture.models.card import Part
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.registry import ROOM, build_network, room_of
from napari_tincture.models.weights import fill_network
from napari_tincture.training.objective import Update

DATA = Path(__file__).parents[1] / "data"


def reference_network(file: str, architecture: str, room: str = ROOM, **options: Any) -> nn.Module:
    """A network filled with a published checkpoint of tests/data."""
    network = build_network(architecture, options, room)
    fill_network(network, read_checkpoint(DATA / file), file)
    return network


def recorded(name: str) -> dict[str, Tensor]:
    """The arrays of a recording, as tensors."""
    with np.load(DATA / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def networks_of(parts: Mapping[str, Part]) -> dict[str, nn.Module]:
    """Fresh networks of an objective's parts."""
    return {
        name: build_network(part.architecture, part.options, room_of(name))
        for name, part in parts.items()
    }


def adam(
    networks: Mapping[str, nn.Module], groups: Mapping[str, tuple[str, ...]], lr: float = 2e-4
) -> Update:
    """Updates as published for CycleGAN and pix2pix: plain Adam per group."""
    optimisers = {
        group: torch.optim.Adam(
            [p for name in names for p in networks[name].parameters()], lr=lr, betas=(0.5, 0.999)
        )
        for group, names in groups.items()
    }

    def update(group: str, loss: Tensor) -> None:
        optimisers[group].zero_grad()
        loss.backward()
        optimisers[group].step()

    return update
