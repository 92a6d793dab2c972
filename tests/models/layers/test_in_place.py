"""Activations work in place where that changes nothing, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from models import image_of, job_of, model_of, result_of, whole
from torch import nn

from napari_tincture.models.layers.in_place import activate_in_place
from napari_tincture.models.networks import resnet_generator

EXAMPLE = torch.randn(1, 2, 24, 24, generator=torch.Generator().manual_seed(0))


def block(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), *layers)


class Tapped(nn.Module):
    """Reads the map before its activation, as networks do that give features of many layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = block(nn.ReLU())

    def forward(self, x):
        before = self.layers[0](x)
        after = self.layers[1](before)
        return after + before


class Shared(nn.Module):
    """One activation in two places, the other of which is no convolution's."""

    def __init__(self) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.layers = block(self.activation)

    def forward(self, x):
        return self.layers(x) + self.activation(x).sum(1, keepdim=True) + x.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("network", "changed"),
    [
        (block(nn.ReLU()), 1),
        (block(nn.BatchNorm2d(3), nn.LeakyReLU(0.2), nn.Conv2d(3, 1, 1), nn.SiLU()), 2),
        (block(nn.InstanceNorm2d(3), nn.ReLU(inplace=True)), 0),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(2, 1, 1)), 0),
        (nn.Sequential(nn.Identity(), nn.ReLU()), 0),
        (block(nn.Tanh()), 0),
        (Tapped(), 0),
        (Shared(), 0),
        (block(nn.Dropout(), nn.Conv2d(3, 3, 1), nn.ReLU()), 0),  # random in training mode
    ],
)
def test_what_is_changed(network, changed):
    def run():
        torch.manual_seed(0)
        with torch.inference_mode():
            return network(given)

    given = EXAMPLE.clone()
    expected = run()
    before = [getattr(module, "inplace", False) for module in network.modules()]
    assert activate_in_place(network, given) == changed
    after = [getattr(module, "inplace", False) for module in network.modules()]
    assert sum(after) - sum(before) == changed
    assert torch.equal(run(), expected)
    assert torch.equal(given, EXAMPLE)


def test_what_is_changed_of_a_network_that_learns():
    network = block(nn.BatchNorm2d(3), nn.LeakyReLU(0.2), nn.Conv2d(3, 2, 1), nn.SiLU()).eval()
    network.append(nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU()))

    def gradients():
        network.zero_grad()
        network(EXAMPLE).square().sum().backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    expected = gradients()
    # The gradient of a SiLU needs what it was given.
    assert activate_in_place(network, EXAMPLE, learning=True) == 2
    assert all(torch.equal(a, b) for a, b in zip(gradients(), expected, strict=True))


def test_a_network_that_fails_on_the_example_is_left_alone():
    assert activate_in_place(nn.Sequential(nn.Conv2d(5, 1, 1), nn.ReLU()), EXAMPLE) == 0


def test_the_users_network_stays_as_it_is():
    network = block(nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1), nn.ReLU())
    model, image = model_of(network), image_of((2, 50, 60))
    job = job_of(model, image, core=20)
    found = result_of(job)
    assert [m.inplace for m in job.engine._network.modules() if isinstance(m, nn.ReLU)] == [
        True
    ] * 2
    assert not any(m.inplace for m in network.modules() if isinstance(m, nn.ReLU))
    torch.testing.assert_close(found, whole(model, image).astype(found.dtype), rtol=0, atol=1e-6)


def test_the_generators_own_instance_norm_gives_a_map_of_its_own() -> None:
    network = resnet_generator.build(ngf=2, n_blocks=2).eval()
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    assert activate_in_place(network, torch.rand(1, 3, 16, 16)) == len(relus)
