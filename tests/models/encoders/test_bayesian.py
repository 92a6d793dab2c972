from __future__ import annotations

import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.encoders.bayesian import build


def test_the_map_is_drawn_from_nothing_and_has_mean_0_and_variance_1() -> None:
    torch.manual_seed(0)
    network = build(nef=4)
    image = torch.randn(2, 3, 16, 20)
    found = network.detailed(image)
    assert found["image"].shape == (2, 1, 16, 20)
    assert found["mean"].shape == found["log_variance"].shape == (2, 8)
    torch.testing.assert_close(network(image), found["image"], rtol=0, atol=0)
    torch.testing.assert_close(found["image"].mean((2, 3)), torch.zeros(2, 1), rtol=0, atol=1e-5)
    torch.testing.assert_close(found["image"].var((2, 3)), torch.ones(2, 1), rtol=0, atol=1e-2)


def test_heads_tell_images_apart() -> None:
    torch.manual_seed(0)
    network = build(nef=4)
    one, other = network.detailed(torch.randn(2, 3, 16, 20))["mean"]
    assert (one - other).abs().max() > 1e-3


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ModelError, match="latent_size"):
        build(latent_size=0)
