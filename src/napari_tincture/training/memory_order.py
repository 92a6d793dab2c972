"""Networks and batches in the order of memory that convolutions are fastest in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its weights in the memory order that convolutions are fastest in."""
    # torch's type stubs lack this overload.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def moved(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch on the device of the networks, its images in their order."""
    there = {name: item.to(device) for name, item in batch.items()}
    return {
        name: item.contiguous(memory_format=torch.channels_last) if item.ndim == 4 else item
        for name, item in there.items()
    }
