from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.laplacian_translator import (
    LaplacianTranslator,
    build,
    double,
)


class Constant(nn.Module):
    def __init__(self, value: float, channels: int = 3) -> None:
        super().__init__()
        self.value, self.channels = value, channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x[:, : self.channels], self.value)


def translator(mask: float, **options: int) -> LaplacianTranslator:
    network = build(width=4, nrb_low=1, nrb_high=1, **options)
    network.low, network.high = Constant(0.0), Constant(mask)
    network.refine = nn.ModuleList(Constant(0.0) for _ in network.refine)
    return network


@pytest.mark.parametrize("levels", [1, 3])
def test_kept_details_and_kept_colours_are_the_image(levels: int) -> None:
    torch.manual_seed(0)
    # Where values are small the tanh of the small image changes nothing.
    image = 1e-4 * torch.randn(1, 3, 32, 48)
    result = translator(1.0, levels=levels)(image)
    torch.testing.assert_close(result, image, rtol=1e-4, atol=1e-9)


def test_without_details_the_small_image_is_left() -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 3, 32, 48)
    network = translator(0.0, levels=2)
    _, low = network._analyse(image)
    assert low.shape == (1, 3, 8, 12)
    torch.testing.assert_close(network(image), double(double(low.tanh())))


def test_details_of_a_flat_image_are_zero() -> None:
    details, low = build(width=4)._analyse(torch.full((1, 3, 32, 32), 0.3))
    assert len(details) == 3
    for band in (*details, low - 0.3):
        torch.testing.assert_close(band, torch.zeros_like(band), rtol=0, atol=1e-6)


def test_size_and_weights_that_learn() -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        assert sum(p.numel() for p in build().parameters()) == 618_988
    network = build(1, 3, levels=2, nrb_low=1, nrb_high=1, width=4)
    network(torch.randn(1, 1, 16, 16)).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ModelError, match="levels"):
        build(levels=0)
