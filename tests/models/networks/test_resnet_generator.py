from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.resnet_generator import InstanceNorm, build
from napari_tincture.models.published import drop_running_statistics, read_checkpoint
from napari_tincture.models.registry import build_network
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
CHECKPOINT = DATA / "cyclegan_tiny_resnet9" / "latest_net_G_A.pth"
NOISE = 2.3e-6
"""What float32 and float64 runs of the published implementation differ by."""


@pytest.mark.parametrize(("blocks", "count"), [(9, 11_378_179), (6, 7_837_699)])
def test_published_sizes(blocks: int, count: int) -> None:
    with torch.device("meta"):
        network = build(n_blocks=blocks)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize(("x", "y"), [("x", "G_A"), ("x_rect", "G_A_rect")])
def test_a_published_checkpoint_gives_the_published_numbers(x: str, y: str) -> None:
    network = build(ngf=8).eval()
    fill_network(network, read_checkpoint(CHECKPOINT), CHECKPOINT.name)
    recorded = np.load(DATA / "cyclegan_tiny_resnet9.npz")
    with torch.inference_mode():
        result = network(torch.from_numpy(recorded[x])).numpy()
    np.testing.assert_allclose(result, recorded[y], rtol=0, atol=10 * NOISE)


def test_running_statistics_of_old_files_are_dropped() -> None:
    state = read_checkpoint(CHECKPOINT)
    network = build(ngf=8)
    old = {**state, "model.2.running_mean": torch.zeros(8), "model.2.running_var": torch.ones(8)}
    assert drop_running_statistics(old, network).keys() == state.keys()
    with pytest.raises(ModelError, match="running_mean"):
        fill_network(network, old, "old.pth")


def test_dropout_moves_the_second_convolution() -> None:
    with torch.device("meta"):
        plain, dropped = build(n_blocks=1), build(n_blocks=1, dropout=True)
    assert "model.10.conv_block.5.weight" in plain.state_dict()
    assert "model.10.conv_block.6.weight" in dropped.state_dict()


def test_without_norm_there_is_no_bias() -> None:
    with torch.device("meta"):
        names = build(n_blocks=1, norm="none").state_dict().keys()
    assert [name for name in names if name.endswith("bias")] == ["model.18.bias"]


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zero"])
def test_every_padding_keeps_the_size(padding: str) -> None:
    network = build_network("resnet_generator", {"ngf": 2, "n_blocks": 1, "padding": padding})
    assert network.eval()(torch.zeros(1, 3, 12, 20)).shape == (1, 3, 12, 20)


@pytest.mark.parametrize("options", [{"ngf": 0}, {"norm": "group"}, {"padding": "wrap"}])
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        build(**options)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_training_and_inference_normalise_alike(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = (3 + torch.randn(2, 4, 9, 11)).contiguous(memory_format=layout).requires_grad_()
    norm = InstanceNorm(4)
    trained, applied = norm(x), norm.eval()(x)
    # Kernels sum in another order; so do their gradients.
    torch.testing.assert_close(trained, applied, rtol=1e-5, atol=1e-5)
    assert trained.is_contiguous(memory_format=layout)
    toward = torch.randn_like(x)
    found, expected = (torch.autograd.grad(y, x, toward)[0] for y in (trained, applied))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
