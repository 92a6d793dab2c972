"""Compared with torch's classic spectral norm, whose keys the published files have."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from napari_tincture.models.layers.spectral_norm import (
    SpectralConv2d,
    SpectralLinear,
    plain_or_spectral,
)
from napari_tincture.models.published import to_classic_spectral_norm


def classic(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated; here it is the reference
        return nn.utils.spectral_norm(layer)


def pairs() -> list[tuple[nn.Module, nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    return [
        (SpectralConv2d(3, 5, 4, 2), classic(nn.Conv2d(3, 5, 4, 2)), torch.rand(2, 3, 9, 8)),
        (
            SpectralConv2d(3, 5, 3, padding=1), classic(nn.Conv2d(3, 5, 3, padding=1)),
            torch.rand(2, 3, 9, 8) / 4,
        ),
        (SpectralLinear(6, 1), classic(nn.Linear(6, 1, bias=False)), torch.rand(2, 6)),
    ]  # fmt: skip


@pytest.mark.parametrize(("own", "theirs", "x"), pairs(), ids=["convolution", "padded", "linear"])
def test_passes_in_training_and_after_are_those_of_torch(
    own: nn.Module, theirs: nn.Module, x: torch.Tensor
) -> None:
    own.load_state_dict(theirs.state_dict())
    # The second pass must not disturb the first one's graph.
    losses = [(net(x) ** 2).sum() + (net(2 * x) ** 3).sum() for net in (own, theirs)]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(own.weight_orig.grad, theirs.weight_orig.grad)
    for net in (own, theirs):
        net.eval()
    torch.testing.assert_close(own(x), theirs(x))
    before = own.weight_u.clone()
    own(x)
    torch.testing.assert_close(own.weight_u, before, rtol=0, atol=0)
    torch.testing.assert_close(own.state_dict(), dict(theirs.state_dict()))


def test_the_keys_of_newer_torch_are_mapped() -> None:
    newer = nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(3, 5, 4, 2))).eval()
    own = nn.Sequential(SpectralConv2d(3, 5, 4, 2)).eval()
    own.load_state_dict(to_classic_spectral_norm(newer.state_dict()))
    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(own(x), newer(x))


def test_a_fresh_weight_is_near_norm_one_after_some_passes() -> None:
    torch.manual_seed(0)
    layer = SpectralConv2d(3, 8, 4)
    with torch.no_grad():
        for _ in range(30):
            layer(torch.zeros(1, 3, 4, 4))
        weight = (layer.weight_orig * layer.eval().inverse_norm()).flatten(1)
        assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("spectral", [False, True])
def test_a_convolution_is_plain_or_spectral(spectral: bool) -> None:
    torch.manual_seed(0)
    layer = plain_or_spectral(spectral, 3, 5, 4, 2, False, 2).eval()
    assert layer(torch.zeros(1, 3, 8, 8)).shape == (1, 5, 5, 5)
    expected = {"weight_orig", "weight_u", "weight_v"} if spectral else {"weight"}
    assert set(layer.state_dict()) == expected
