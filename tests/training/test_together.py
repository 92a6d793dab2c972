from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_tincture.models.discriminators import multiscale_patch, patch, ugatit
from napari_tincture.training.together import together


class Counted(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.passes = network, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.network(x)


A, B = torch.randn(2, 3, 32, 32), torch.randn(1, 3, 32, 32)
LARGE = torch.randn(1, 3, 192, 192)


@pytest.mark.parametrize(
    ("network", "second", "passes"),
    [
        (patch.build(ndf=2, n_layers=2), B, 1),
        (patch.build(ndf=2, n_layers=2), B[:, :, :28], 2),
        (patch.build(ndf=2, n_layers=2, norm="batch"), B, 2),
        (multiscale_patch.build(ndf=2, n_layers=2), B, 1),
    ],
    ids=["instance norm", "other size", "batch norm", "scales"],
)
def test_the_same_numbers_as_one_by_one(
    network: nn.Module, second: torch.Tensor, passes: int
) -> None:
    counted = Counted(network)
    found = together(counted, A, second)
    assert counted.passes == passes
    for result, image in zip(found, (A, second), strict=True):
        # Only the order of sums within a convolution may differ.
        torch.testing.assert_close(result, network(image), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("file", "passes"), [(patch, 2), (ugatit, 1)])
def test_large_images_go_one_by_one_unless_passes_count(file, passes):
    options = {"ndf": 1, "n_layers": 1} if file is patch else {"ndf": 2, "n_layers": 5}
    counted = Counted(file.build(**options))
    together(counted, LARGE, LARGE)
    assert counted.passes == passes
