from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.unet_generator import build
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
CHECKPOINT = DATA / "pix2pix_tiny_unet256" / "latest_net_G.pth"


@pytest.mark.parametrize(("num_downs", "count"), [(8, 54_413_955), (7, 41_828_995)])
def test_published_sizes(num_downs: int, count: int) -> None:
    with torch.device("meta"):
        network = build(num_downs=num_downs)
        side = 2**num_downs
        assert network(torch.empty(1, 3, side, 2 * side)).shape == (1, 3, side, 2 * side)
    assert sum(p.numel() for p in network.parameters()) == count


def test_published_keys() -> None:
    with torch.device("meta"):
        state = build().state_dict()
    assert state["model.model.0.weight"].shape == (64, 3, 4, 4)
    assert state["model.model.1.model.3.model.1.weight"].shape == (256, 128, 4, 4)
    assert state["model.model.1.model.6.running_var"].shape == (64,)
    assert state["model.model.3.weight"].shape == (128, 3, 4, 4)


def test_dropout_moves_no_key() -> None:
    with torch.device("meta"):
        with_it, without = build(dropout=True), build(dropout=False)
    assert with_it.state_dict().keys() == without.state_dict().keys()


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_biases_follow_the_norm(norm: str) -> None:
    with torch.device("meta"):
        state = build(num_downs=5, ngf=2, norm=norm).state_dict()
    assert ("model.model.0.bias" in state) == (norm == "instance")
    assert "model.model.3.bias" in state


@pytest.mark.parametrize(
    ("batch", "output", "noise"), [(False, "y_eval", 5.4e-7), (True, "y_train", 2.3e-6)]
)
def test_a_published_checkpoint_gives_the_published_numbers(
    batch: bool, output: str, noise: float
) -> None:
    network = build(ngf=4, batch_statistics=batch).eval()
    fill_network(network, read_checkpoint(CHECKPOINT), CHECKPOINT.name)
    recorded = np.load(DATA / "pix2pix_tiny_unet256.npz")
    with torch.inference_mode():
        result = network(torch.from_numpy(recorded["x"])).numpy()
    # `noise`: what float32 and float64 runs of the published implementation differ by.
    np.testing.assert_allclose(result, recorded[output], rtol=0, atol=10 * noise)


def test_batch_statistics_leave_the_running_averages_alone() -> None:
    torch.manual_seed(0)
    network = build(num_downs=5, ngf=2, batch_statistics=True).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    first = network(torch.randn(1, 3, 64, 64))
    other = network(torch.randn(1, 3, 64, 64) * 5)
    assert not torch.equal(first, other)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_the_skip_carries_the_activated_input() -> None:
    block = build(num_downs=5, ngf=2, norm="none").eval().model.model[1]
    x = torch.randn(1, 2, 32, 32)
    joined = block(x)
    torch.testing.assert_close(joined[:, :2], torch.where(x > 0, x, 0.2 * x))


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ModelError, match="num_downs"):
        build(num_downs=3)
