from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_maps import label_channels
from torch.nn import functional as F

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.pix2pixhd import build
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
NOISE = 2.6e-6
"""What float32 and float64 runs of the published implementation differ by."""
LOCAL = {
    "in_channels": 3, "ngf": 2, "n_downsample_global": 1, "n_blocks_global": 1,
    "netG": "local", "n_blocks_local": 2,
}  # fmt: skip


def test_published_size() -> None:
    with torch.device("meta"):
        network = build()
    assert sum(p.numel() for p in network.parameters()) == 182_546_755


def test_a_published_checkpoint_gives_the_published_numbers() -> None:
    network = build(6, ngf=4, n_downsample_global=3, n_blocks_global=2).eval()
    file = DATA / "pix2pixhd_tiny_global" / "latest_net_G.pth"
    fill_network(network, read_checkpoint(file), file.name)
    recorded = np.load(DATA / "pix2pixhd_tiny_global.npz")
    labels, instances = (torch.from_numpy(recorded[name]) for name in ("label", "inst"))
    with torch.inference_mode():
        result = network(label_channels(labels, 5, instances)).numpy()
    np.testing.assert_allclose(result, recorded["G"], rtol=0, atol=10 * NOISE)


def test_keys_of_a_local_enhancer() -> None:
    with torch.device("meta"):
        state = build(**LOCAL).state_dict()
    places = {".".join(key.split(".")[:-1]) for key in state}
    assert places == {
        # the global generator without its last layers, whose place the enhancer's blocks take
        "model.1", "model.4", "model.7.conv_block.1", "model.7.conv_block.5", "model.8",
        "model1_1.1", "model1_1.4",
        *(f"model1_2.{n}.conv_block.{m}" for n in (0, 1) for m in (1, 5)),
        "model1_2.2", "model1_2.6",
    }  # fmt: skip
    assert state["model.1.weight"].shape == (4, 3, 7, 7)
    assert state["model1_1.1.weight"].shape == (2, 3, 7, 7)
    assert state["model1_2.6.weight"].shape == (3, 2, 7, 7)


def test_an_enhancer_adds_its_features_to_those_of_the_reduced_image() -> None:
    torch.manual_seed(0)
    network = build(**LOCAL).eval()
    image = torch.randn(1, 3, 16, 24)
    # Means over 3 x 3 pixels, fewer at the border.
    sums = F.conv2d(F.pad(image, (1, 1, 1, 1)), torch.ones(3, 1, 3, 3), stride=2, groups=3)
    counts = F.conv2d(F.pad(torch.ones(1, 1, 16, 24), (1,) * 4), torch.ones(1, 1, 3, 3), stride=2)
    coarse, fine, rest = network.model, network.model1_1, network.model1_2
    expected = rest(fine(image) + coarse(sums / counts))
    torch.testing.assert_close(network(image), expected, rtol=0, atol=1e-5)


def test_every_further_enhancer_doubles_the_size() -> None:
    network = build(**LOCAL, n_local_enhancers=2).eval()
    assert network(torch.zeros(1, 3, 16, 24)).shape == (1, 3, 16, 24)
    assert network.get_submodule("model.1").out_channels == 8
    names = {name for name, p in network.named_parameters() if id(p) in map(id, network.finest())}
    assert {name.split(".")[0] for name in names} == {"model2_1", "model2_2"}


def test_convolutions_have_biases_beside_batch_norm() -> None:
    with torch.device("meta"):
        state = build(3, ngf=2, n_blocks_global=1, norm="batch").state_dict()
    assert "model.1.bias" in state
    assert "model.16.conv_block.5.bias" in state
    assert "model.16.conv_block.6.running_mean" in state


@pytest.mark.parametrize(
    "options",
    [{"ngf": 0}, {"norm": "none"}, {"netG": "encoder"}, {"n_blocks_global": -1}],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        build(**options)
