from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_tincture.models.features.vgg import SHARES
from napari_tincture.training.perceptual import perceptual


class Scaled(nn.Module):
    """Five maps, each another multiple of the image."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [n * x for n in range(1, 6)]


def test_features_are_weighted_and_the_target_learns_nothing() -> None:
    made, target = (torch.full((1, 3, 4, 4), v, requires_grad=True) for v in (0.5, 0.25))
    loss = perceptual(Scaled(), made, target)  # type: ignore[arg-type]
    expected = sum(share * n * 0.25 for share, n in zip(SHARES, range(1, 6), strict=True))
    torch.testing.assert_close(loss.detach(), torch.tensor(expected))
    loss.backward()
    assert made.grad is not None
    assert target.grad is None
