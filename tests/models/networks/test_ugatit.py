from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_tincture.errors import ModelError
from napari_tincture.models import Channel, Model, ModelCard
from napari_tincture.models.layers.fixed_size import find_held, holding, reduced, trained_side
from napari_tincture.models.networks.ugatit import SMALL, UgatitGenerator, build
from napari_tincture.models.published import read_state_dicts
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
CHECKPOINT = DATA / "ugatit_tiny_full_params_0000000.pt"
NOISE = 1.0e-5
"""What float32 and float64 runs of the published implementation differ by."""


def published(name: str) -> UgatitGenerator:
    network = build(ch=4, n_res=2, img_size=96).eval()
    fill_network(network, read_state_dicts(CHECKPOINT)[name], CHECKPOINT.name)
    return network


def model_of(network: UgatitGenerator) -> Model:
    channels = tuple(Channel(f"c{i}") for i in range(3))
    card = ModelCard("m", "stain", "ugatit", channels, channels, border="clip", stride=4)
    return Model(network, card)


@pytest.mark.parametrize(("light", "count"), [(False, 278_959_808), (True, 10_589_888)])
def test_published_sizes(light: bool, count: int) -> None:
    with torch.device("meta"):
        network = build(light=light)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("name", ["genA2B", "genB2A"])
def test_a_published_checkpoint_gives_the_published_numbers(name: str) -> None:
    recorded = np.load(DATA / "ugatit_tiny_full.npz")
    network = published(name)
    x = torch.from_numpy(recorded["x"])
    with torch.inference_mode():
        known = network.detailed(x)
        torch.testing.assert_close(known["image"], network(x), rtol=0, atol=0)
    keys = {"cam_logit": "cam_logit", "heatmap": "heatmap"}
    keys |= {"image": "out"} if name == "genA2B" else {}
    for key, ending in keys.items():
        expected = recorded[f"{name}_{ending}"]
        np.testing.assert_allclose(known[key].numpy(), expected, rtol=0, atol=10 * NOISE)


def test_what_is_promised_beside_the_image_has_its_size_and_channels() -> None:
    network = build(**SMALL).eval()
    with torch.inference_mode():
        known = network.detailed(torch.rand(2, 2, 24, 36))
    for name, channels in network.extras.items():
        assert known[name].shape == (2, channels, 6, 9)
    assert bool((known["heatmap"] >= 0).all())


def test_the_light_one_takes_any_size_the_full_one_its_own() -> None:
    light, full = (build(ch=1, n_res=1, img_size=32, light=light) for light in (True, False))
    image = torch.rand(1, 3, 36, 32)
    assert light(image).shape == image.shape
    assert (trained_side(light), trained_side(full)) == (None, 32)
    with pytest.raises(ModelError, match="32 × 32 pixels, got 36 × 32"):
        full(image)


def test_at_another_size_the_full_one_is_styled_by_the_reduced_image() -> None:
    model = model_of(published("genA2B"))
    images = torch.from_numpy(np.load(DATA / "ugatit_tiny_full.npz")["x"])
    image = torch.cat([images, images.flip(2)], 2)
    with torch.inference_mode():
        expected: list[Tensor] = []
        for item in image.split(1):
            values = find_held(model.network, reduced(item, 96))
            with holding(model.network, values):
                expected.append(model.network(item))
    found = model.predict(image)
    # Another memory layout takes other kernels, which round differently.
    torch.testing.assert_close(found, torch.cat(expected), rtol=0, atol=10 * NOISE)
    plain = model.predict(images)
    torch.testing.assert_close(plain, model.network(images), rtol=0, atol=10 * NOISE)


@pytest.mark.parametrize("options", [{"ch": 0}, {"n_res": -1}, {"img_size": 30}])
def test_impossible_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ModelError):
        build(**options)
