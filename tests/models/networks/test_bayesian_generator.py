from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.bayesian_generator import build
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
NOISE = 1.9e-6
"""What float32 and float64 runs of the published implementation differ by."""


@pytest.mark.parametrize(
    ("name", "image", "latent", "output"),
    [
        ("G_A", "x", "z", "G_A"),
        ("G_B", "x", "z", "G_B"),
        ("G_A", "train_A", "infer_z_y", "infer_fake_B"),
        ("G_B", "train_B", "infer_z_x", "infer_fake_A"),
    ],
)
def test_a_published_checkpoint_gives_the_published_numbers(
    name: str, image: str, latent: str, output: str
) -> None:
    network = build(ngf=8, n_blocks_global=3).eval()
    file = DATA / "bayes_cyclegan_tiny_z" / f"latest_net_{name}.pth"
    fill_network(network, read_checkpoint(file), file.name)
    recorded = np.load(DATA / "bayes_cyclegan_tiny_z.npz")
    images = recorded[image]
    latents = np.broadcast_to(recorded[latent], (len(images), 1, *images.shape[2:]))
    with torch.inference_mode():
        result = network(torch.from_numpy(np.concatenate([images, latents], 1))).numpy()
    np.testing.assert_allclose(result, recorded[output], rtol=0, atol=10 * NOISE)


def test_residual_branches_only_add() -> None:
    torch.manual_seed(0)
    network = build(ngf=2, n_blocks_global=1)
    block = network.model[10]
    x = torch.randn(1, 8, 8, 8)
    assert bool((block(x) >= x).all())
    assert network.latent_channels == 1


@pytest.mark.parametrize("options", [{"in_channels": 1}, {"ngf": 0}, {"n_blocks_global": -1}])
def test_impossible_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ModelError):
        build(**options)
