from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_tincture.errors import ModelError
from napari_tincture.models.unet import UNet, build, fold_batch_norm


def test_the_published_network_has_the_published_size() -> None:
    with torch.device("meta"):
        network = build(1, 2)
        assert sum(p.numel() for p in network.parameters()) == 31_030_658
        convolutions = [
            m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
        ]
        assert len(convolutions) == 23
        assert network(torch.empty(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    assert (network.margin, network.residue) == (92, 12)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_margin_and_legal_sizes_of_other_depths(depth: int) -> None:
    network = build(1, 1, depth, width=2).eval()
    size = 2 * network.margin + 2**depth
    size += (network.residue - size) % 2**depth
    assert network(torch.zeros(1, 1, size, size)).shape[-1] == size - 2 * network.margin


def test_channels_stop_growing_at_the_maximum() -> None:
    network = build(1, 1, depth=4, width=8, max_width=16, padded=True)
    assert max(p.shape[0] for p in network.parameters()) == 16
    assert network(torch.zeros(1, 1, 32, 48)).shape == (1, 1, 32, 48)


def _trained(**options: object) -> UNet:
    torch.manual_seed(0)
    network = build(2, 3, depth=2, width=4, padded=True, norm="batch", **options)
    for _ in range(5):
        network(torch.randn(4, 2, 16, 16) * 3 + 1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network.eval()


def test_folded_normalisation_gives_the_same_numbers() -> None:
    trained = _trained(dropout=0.1).double()
    folded = build(2, 3, depth=2, width=4, padded=True, norm="none", dropout=0.0).double().eval()
    folded.load_state_dict(fold_batch_norm(trained.state_dict()))
    image = torch.randn(2, 2, 32, 32, dtype=torch.float64)
    # float64 rounding through a dozen layers.
    torch.testing.assert_close(folded(image), trained(image), rtol=1e-9, atol=1e-9)


def test_heads() -> None:
    image = torch.randn(1, 1, 8, 8)
    plain, sigmoid, softmax = (
        build(1, 3, 1, 2, padded=True, head=head).eval() for head in ("none", "sigmoid", "softmax")
    )
    sigmoid.load_state_dict(plain.state_dict())
    softmax.load_state_dict(plain.state_dict())
    torch.testing.assert_close(sigmoid(image), torch.sigmoid(plain(image)))
    torch.testing.assert_close(softmax(image).sum(1), torch.ones(1, 8, 8))


@pytest.mark.parametrize("options", [{"depth": 0}, {"norm": "layer"}, {"head": "tanh"}])
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        build(**options)
