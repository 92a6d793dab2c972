from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.discriminators.multiscale_ugatit import build
from napari_tincture.models.layers.evened import drift, evened
from napari_tincture.models.realism import Realism


def test_each_scale_is_a_discriminator_of_the_reduced_image() -> None:
    network = build(3, 2, n_layers=3, scales=3).eval().double()
    image = torch.randn(1, 3, 64, 80, dtype=torch.float64)
    scores, known = network(image), network.detailed(image)
    for index, single in enumerate(network.scales):
        expected = single.detailed(functional.avg_pool2d(image, 2**index))
        torch.testing.assert_close(scores[index], expected["scores"])
        for name in ("scores", "cam_logit"):
            torch.testing.assert_close(known[name][index], expected[name])
    assert known["heatmap"].shape == (1, 1, *(n + 1 for n in scores[0].shape[2:]))
    assert network.extras == {"heatmap": 1}


def test_realism_is_the_mean_of_the_scales_each_in_place() -> None:
    torch.manual_seed(0)
    network = build(3, 2, n_layers=4, scales=2).eval()
    even = evened(network)
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        assert [tuple(s.shape[2:]) for s in even(image)] == [(16, 24), (8, 12)]
        found = Realism([network]).scores(image, image)
        fine, coarse = (
            Realism([single]).scores(x, x)
            for single, x in zip(
                network.scales, (image, functional.avg_pool2d(image, 2)), strict=True
            )
        )
    assert drift(network, 2) == drift(network.scales[0])
    # Away from the border, where maps that are moved by other numbers of pixels end.
    wide = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
    expected = (fine + wide) / 2
    inner = (..., slice(24, -24), slice(24, -24))
    torch.testing.assert_close(found[inner], expected[inner], rtol=0.05, atol=0.05 * fine.std())


@pytest.mark.parametrize("scales", [1, 5])
def test_other_numbers_of_scales_are_refused(scales: int) -> None:
    with pytest.raises(ModelError, match="2 to 4 scales"):
        build(scales=scales)


def test_an_image_too_small_for_the_last_scale_is_refused() -> None:
    network = build(3, 2, n_layers=4, scales=2)
    with pytest.raises(InputError, match="at least 12 pixels"):
        network(torch.zeros(1, 3, 23, 24))
    network(torch.zeros(1, 3, 24, 24))
