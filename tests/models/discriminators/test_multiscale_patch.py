from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.multiscale_patch import build


def test_each_scale_is_a_patchgan_of_the_reduced_image() -> None:
    network = build(3, 2, n_layers=2, scales=3)
    image = torch.randn(1, 3, 64, 80)
    found = network(image)
    assert [tuple(scores.shape[2:]) for scores in found] == [(14, 18), (6, 8), (2, 3)]
    for factor, scores, single in zip((1, 2, 4), found, network.scales, strict=True):
        torch.testing.assert_close(scores, single(functional.avg_pool2d(image, factor)))


@pytest.mark.parametrize("scales", [1, 5])
def test_other_numbers_of_scales_are_refused(scales: int) -> None:
    with pytest.raises(ModelError, match="2 to 4 scales"):
        build(scales=scales)


def test_an_image_too_small_for_the_last_scale_is_refused() -> None:
    with pytest.raises(ModelError, match="at least 24 pixels"):
        build(ndf=2, scales=3)(torch.zeros(1, 3, 95, 96))
    build(ndf=2, scales=3)(torch.zeros(1, 3, 96, 96))
