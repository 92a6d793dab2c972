from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_tincture.models.registry import build_network
from napari_tincture.training.memory import recompute

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet_generator": {"ngf": 4, "n_blocks": 3, "norm": "batch", "dropout": True},
    "unet_generator": {"ngf": 2, "num_downs": 5, "dropout": True},
    "unet": {"in_channels": 3, "depth": 2, "width": 4, "padded": True, "norm": "instance"},
}


def learn(network: nn.Module, x: Tensor) -> tuple[int, list[Tensor], dict[str, Tensor]]:
    """Bytes that the graph holds, gradients, and buffers after one step."""
    held: dict[int, int] = {}
    weights = {weight.data_ptr() for weight in network.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            held[tensor.data_ptr()] = tensor.nbytes
        return tensor

    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = network(x).square().mean()
    loss.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return sum(held.values()), gradients, dict(network.named_buffers())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_gradients_with_less_memory(name: str) -> None:
    torch.manual_seed(0)
    plain = build_network(name, NETWORKS[name])
    spared = copy.deepcopy(plain)
    assert recompute(spared) > 0
    assert recompute(spared) == 0
    spared = copy.deepcopy(spared)  # a copy is one of its own
    x = torch.rand(2, 3, 64, 64)
    (much, expected, statistics), (little, found, again) = learn(plain, x), learn(spared, x)
    assert len(expected) == len(found) == len(list(plain.parameters()))
    for a, b in zip(expected, found, strict=True):
        assert torch.equal(a, b)
    for key, value in statistics.items():
        assert torch.equal(value, again[key]), key
    assert little < 0.75 * much
    assert spared.state_dict().keys() == plain.state_dict().keys()


def test_blocks_with_a_memory_of_their_own_are_left_alone() -> None:
    blocks = [nn.Sequential(spectral_norm(nn.Conv2d(1, 1, 1)), nn.ReLU()) for _ in range(2)]
    assert recompute(nn.Sequential(*blocks)) == 0
    assert recompute(nn.Sequential(*[nn.Conv2d(1, 1, 1)] * 3)) == 0
