from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from napari_tincture.training.fabric import Peers
from napari_tincture.training.optimisers import Group
from napari_tincture.training.schedule import Schedule

CPU = torch.device("cpu")


def group(network: nn.Module, **settings: Any) -> Group:
    fields = {"steps": 9, "lr": 0.1, "warmup": 0, "decay": "constant", "clip": 0.0, **settings}
    made = Group("generators", [network], Schedule(**fields), CPU, Peers())
    made.begin(0.1)
    return made


def test_adam_decays_all_weights_as_published() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(1, 2, 3)
    other = nn.Conv2d(1, 2, 3)
    other.load_state_dict(network.state_dict())
    ours = group(network, optimiser="adam", betas=(0.5, 0.999), weight_decay=1e-2)
    theirs = torch.optim.Adam(other.parameters(), 0.1, (0.5, 0.999), weight_decay=1e-2)
    for seed in range(3):
        x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
        ours.lower(network(x).square().mean())
        theirs.zero_grad()
        other(x).square().mean().backward()
        theirs.step()
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)  # fused and plain round apart


def test_adamw_spares_biases() -> None:
    network = nn.Conv2d(1, 1, 1)
    before = [p.detach().clone() for p in network.parameters()]
    group(network, optimiser="adamw", weight_decay=0.5).lower(
        0 * network(torch.ones(1, 1, 1, 1)).sum()
    )
    weight, bias = network.parameters()
    torch.testing.assert_close(weight.detach(), before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(bias, before[1])


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_long_gradients_are_shortened_on_request(clip: float) -> None:
    network = nn.Linear(2, 1, bias=False)
    length = group(network, clip=clip).lower(network(torch.tensor([3.0, 4.0])).sum())
    assert float(length) == pytest.approx(5.0)
    assert network.weight.grad is not None
    assert float(network.weight.grad.norm()) == pytest.approx(clip or 5.0)


def test_float16_tries_smaller_gradients_where_they_overflow() -> None:
    network = nn.Linear(1, 1, bias=False)
    made = group(network, precision="float16")
    before = network.weight.detach().clone()
    made.lower(network(torch.ones(1)).sum() * 1e38)
    assert torch.equal(network.weight, before)
    assert made.state_dict()["scaler"]["scale"] == 2.0**15
    again = group(network, precision="float16")
    again.load_state_dict(made.state_dict())
    again.lower(network(torch.ones(1)).sum())
    assert not torch.equal(network.weight, before)
    assert again.scaler.get_scale() == 2.0**15
