from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.unet import UNet, build, fold_batch_norm


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
    drops = [[m.p for m in block if isinstance(m, nn.Dropout)] for block in network.down]
    assert drops == [[], [], [], [0.5], [0.5]]


@pytest.mark.parametrize("residual", [False, True])
def test_weights_begin_as_he_et_al_have_them(residual: bool) -> None:
    torch.manual_seed(0)
    network = build(3, 2, depth=2, width=32, residual=residual)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # A pixel of a 2×2 kernel at stride 2 is made of one pixel of each channel.
            up = isinstance(layer, nn.ConvTranspose2d)
            inputs = layer.in_channels * (1 if up else layer.kernel_size[0] ** 2)
            ratio = layer.weight.std() * (inputs / 2) ** 0.5
            # Five standard errors of a standard deviation.
            assert abs(ratio - 1) < 5 / (2 * layer.weight.numel()) ** 0.5, name
            assert layer.bias is None or not layer.bias.any(), name


@pytest.mark.parametrize(("depth", "residual"), [(1, False), (2, False), (3, False), (2, True)])
def test_margin_and_legal_sizes_of_other_depths(depth: int, residual: bool) -> None:
    network = build(1, 1, depth, width=2, residual=residual).eval()
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


@pytest.mark.parametrize("more", [{}, {"residual": True, "attention": True}])
def test_folded_normalisation_gives_the_same_numbers(more: dict[str, bool]) -> None:
    trained = _trained(dropout=0.1, **more).double()
    folded = build(2, 3, depth=2, width=4, padded=True, norm="none", dropout=0.0, **more)
    folded.double().eval()
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


def test_all_skip_connections_but_the_finest_are_gated() -> None:
    torch.manual_seed(0)
    gated = build(1, 1, depth=3, width=4, padded=True, attention=True).eval()
    assert [gate.psi.in_channels for gate in gated.gates] == [16, 8]
    plain = build(1, 1, depth=3, width=4, padded=True).eval()
    plain.load_state_dict(gated.state_dict(), strict=False)
    image = torch.randn(1, 1, 16, 24)
    with torch.no_grad():
        assert not torch.allclose(gated(image), plain(image))
        for gate in gated.gates:
            gate.psi.bias.fill_(50)
    # sigmoid(50) is 1 in float32: the gates are open, and skip connections as they were.
    torch.testing.assert_close(gated(image), plain(image), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"depth": 0}, "depth"),
        ({"norm": "layer"}, "'layer'.*group"),
        ({"head": "tanh"}, "'tanh'.*softmax"),
        ({"attention": True}, "padded=True"),
        ({"attention": True, "padded": True, "depth": 1}, "depth ≥ 2"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        build(**options)
