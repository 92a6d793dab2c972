from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_tincture.errors import InputError
from napari_tincture.models.discriminators.patch import build
from napari_tincture.models.layers.spectral_norm import SpectralConv2d
from napari_tincture.training.initialise import initialise

FAN_IN, FAN_OUT = 64 * 16, 128 * 16
"""Of the second convolution of a PatchGAN."""
SPREADS = {
    "normal": 0.02,
    "xavier": 0.02 * (2 / (FAN_IN + FAN_OUT)) ** 0.5,
    "kaiming": (2 / FAN_IN) ** 0.5,
    # Rows of an orthogonal matrix have length 1.
    "orthogonal": 0.02 * (1 / FAN_IN) ** 0.5,
}


@pytest.mark.parametrize("kind", SPREADS)
def test_spreads_are_those_of_the_kind(kind: str) -> None:
    network = build(norm="batch", n_layers=2)
    nn.init.ones_(network.model[0].bias)
    initialise(network, kind, generator=torch.Generator().manual_seed(0))
    network.requires_grad_(False)
    weight = network.model[2].weight
    # 131,072 draws: the standard deviation is known to 0.2 %.
    assert float(weight.std()) == pytest.approx(SPREADS[kind], rel=0.01)
    assert float(weight.mean().abs()) < 0.02 * SPREADS[kind]
    assert not network.model[0].bias.any()
    assert float(network.model[3].weight.mean()) == pytest.approx(1, abs=0.01)
    assert float(network.model[3].weight.std()) == pytest.approx(0.02, rel=0.3)
    assert not network.model[3].bias.any()


def test_weights_under_a_norm_are_drawn_themselves() -> None:
    new = spectral_norm(nn.Conv2d(8, 8, 3))
    old = nn.utils.spectral_norm(nn.Conv2d(8, 8, 3))
    own = SpectralConv2d(8, 8, 3)
    raws = new.parametrizations.weight.original, old.weight_orig, own.weight_orig
    for module, raw in zip((new, old, own), raws, strict=True):
        before = raw.detach().clone()
        initialise(module)
        raw = raw.detach()
        assert not torch.equal(raw, before)
        assert float(raw.std()) == pytest.approx(0.02, rel=0.15)


def test_the_same_generator_gives_the_same_weights() -> None:
    first, second = build(ndf=2), build(ndf=2)
    for network in (first, second):
        initialise(network, generator=torch.Generator().manual_seed(3))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="orthogonal"):
        initialise(build(ndf=2), "uniform")
