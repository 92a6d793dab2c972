from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from napari_tincture.errors import ModelError
from napari_tincture.models.encoders.spade_style import build, drawn_styles, sampled, style_of


def test_keys_and_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        state = build().state_dict()
    layers = {key.split(".")[0] for key in state}
    assert layers == {*(f"layer{n}" for n in range(1, 7)), "fc_mu", "fc_var"}
    shapes = [tuple(state[f"layer{n}.0.weight_orig"].shape[:2]) for n in range(1, 7)]
    assert shapes == [(64, 3), (128, 64), (256, 128), (512, 256), (512, 512), (512, 512)]
    assert state["fc_mu.weight"].shape == state["fc_var.weight"].shape == (256, 512 * 16)
    assert "layer1.0.bias" not in state


def test_every_image_is_seen_at_one_size() -> None:
    torch.manual_seed(0)
    network = build(ngf=2, n_layers=3, z_dim=4).eval()
    assert network.side == 32
    image = torch.rand(2, 3, 50, 70)
    resampled = F.interpolate(image, (32, 32), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        found, expected = network(image), network(resampled)
    assert [tuple(v.shape) for v in found] == [(2, 4), (2, 4)]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_style_of_images_is_their_mean_and_always_the_same() -> None:
    torch.manual_seed(0)
    network = build(ngf=2, n_layers=3, z_dim=4).eval()
    images = torch.rand(3, 3, 40, 40)
    found = style_of(network, images)
    assert found.shape == (1, 4)
    torch.testing.assert_close(
        found, torch.cat([network(i[None])[0] for i in images]).mean(0)[None]
    )
    torch.testing.assert_close(style_of(network, images), found, rtol=0, atol=0)


def test_drawn_styles_follow_the_seed() -> None:
    assert torch.equal(drawn_styles(5, 3), drawn_styles(5, 3))
    assert not torch.equal(drawn_styles(5, 3), drawn_styles(5, 4))
    many = drawn_styles(8, 0, count=5000)
    # 40,000 draws: mean and spread are known to 0.5 %.
    assert abs(float(many.mean())) < 0.02
    assert float(many.std()) == pytest.approx(1, abs=0.02)


def test_samples_have_the_mean_and_variance_that_were_said() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.tensor([[2.0]]), torch.tensor([[1.0]])
    draws = torch.cat([sampled(mean, log_variance) for _ in range(5000)])
    assert float(draws.mean()) == pytest.approx(2, abs=0.1)
    assert float(draws.var()) == pytest.approx(math.e, rel=0.1)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ModelError, match="z_dim"):
        build(z_dim=0)
