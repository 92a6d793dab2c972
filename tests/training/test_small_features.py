from __future__ import annotations

import torch
from torch.nn import functional

from napari_tincture.training.judge import distances
from napari_tincture.training.small_features import WIDTHS, SmallFeatures


def textures(count: int, blur: int, seed: int) -> list[torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 3, 32 + blur, 32 + blur, generator=draws)
    smooth = functional.avg_pool2d(noise, blur, 1)[..., :32, :32]
    return list(smooth / smooth.std())


def test_features_are_fixed_and_describe_each_image_by_itself() -> None:
    images = torch.stack(textures(2, 3, 0))
    first, second = SmallFeatures(3)(images), SmallFeatures(3)(images)
    assert first.shape == (2, 2 * (3 + sum(WIDTHS)))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first[:1], SmallFeatures(3)(images[:1]))
    torch.testing.assert_close(first[:, :3], images.mean((2, 3)))
    torch.testing.assert_close(first[:, 3:6], images.std((2, 3)))


def test_distances_grow_with_how_unlike_textures_are() -> None:
    real = textures(24, 2, 1)
    found = [distances(textures(24, blur, 2), real) for blur in (2, 3, 6)]
    for name in ("frechet", "kernel"):
        same, near, far = (values[name] for values in found)
        assert same < 0.7 * near
        assert near < 0.4 * far
    darker = [image - 1 for image in textures(24, 2, 2)]
    assert distances(darker, real)["frechet"] > 2 * found[0]["frechet"]
