from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_tincture.models.layers.opaque import OpaqueNetwork, Sizes


class Strict(nn.Module):
    """Blurs images of legal sizes, and takes no others."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        for length, least, step in zip(
            x.shape[-2:], self.sizes.minimum, self.sizes.step, strict=True
        ):
            assert length == least if step == 0 else (length - least) % step == 0 <= length - least
        kernel = torch.ones(1, 1, 3, 3)
        return nn.functional.conv2d(x, kernel, padding=1 - self.sizes.margin)


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes((16, 8), (4, 8), halo=1),
        Sizes((12, 16), (0, 0), halo=1),
        Sizes((13, 10), (0, 2), halo=0, margin=1),
    ],
    ids=["steps", "fixed", "unpadded"],
)
@pytest.mark.parametrize("shape", [(30, 41), (7, 9), (16, 16)])
def test_images_of_any_size_give_what_the_whole_gives(sizes: Sizes, shape: tuple[int, int]) -> None:
    image = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    found = OpaqueNetwork(Strict(sizes), sizes)(image)
    whole = nn.functional.conv2d(image, torch.ones(1, 1, 3, 3))
    # Inside, where the padding of neither acts.
    found = found[..., 1:-1, 1:-1] if not sizes.margin else found
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)
