from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_tincture.models.layers.spectral_norm import SpectralConv2d
from napari_tincture.training.averages import Averages


def test_averages_follow_the_weights_at_first_quickly() -> None:
    network = nn.BatchNorm2d(1)
    averages = Averages({"forward": network}, 0.9)
    expected = 1.0
    for step in range(1, 200):
        network.weight.data.fill_(float(step))
        network.num_batches_tracked += 1
        averages.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    kept = averages.networks["forward"]
    assert kept.weight.item() == pytest.approx(expected, rel=1e-5)
    assert int(kept.num_batches_tracked) == 199
    assert not kept.weight.requires_grad
    assert not kept.training


def test_without_averages_nothing_is_copied() -> None:
    network = nn.Conv2d(1, 1, 1)
    averages = Averages({"forward": network}, 0.0)
    assert averages.networks["forward"] is network
    assert averages.state_dict() == {}
    kept = averages.copied()
    network.weight.data.fill_(7.0)
    averages.load_state_dict(kept)
    assert network.weight.item() != 7.0


def test_vectors_of_spectral_norm_keep_their_length() -> None:
    torch.manual_seed(0)
    network = SpectralConv2d(3, 4, 3)
    averages = Averages({"forward": network}, 0.9)
    for step in range(1, 5):
        network.weight_orig.data.normal_()
        network(torch.zeros(1, 3, 8, 8))
        averages.update(step)
    kept = averages.networks["forward"]
    for key in ("weight_u", "weight_v"):
        assert torch.equal(getattr(kept, key), getattr(network, key))
    assert not torch.equal(kept.weight_orig, network.weight_orig)
