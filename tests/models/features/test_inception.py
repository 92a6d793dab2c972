from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import architecture_names
from napari_tincture.models.features.inception import (
    BlockA,
    BlockC,
    BlockE,
    Inception,
    check_dims,
    load_inception,
)
from napari_tincture.models.user_weights import INCEPTION


@pytest.fixture(scope="module")
def network() -> Inception:
    torch.manual_seed(0)
    made = Inception()
    for name, buffer in made.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return made.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def file(network: Inception, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


def test_it_has_the_published_number_of_weights(network: Inception) -> None:
    # torchvision's Inception v3 without its auxiliary classifier has 23,834,568 for 1000 classes.
    assert sum(p.numel() for p in network.parameters()) == 23_834_568 + 8 * 2049
    assert "inception" not in architecture_names()


def test_the_weights_have_torchvisions_names(network: Inception) -> None:
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch3x3dbl_3.bn.running_var"] == (96,)
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    assert shapes["Mixed_6b.branch7x7dbl_2.conv.weight"] == (128, 128, 7, 1)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3a.conv.weight"] == (384, 384, 1, 3)
    assert shapes["fc.weight"] == (1008, 2048)


@pytest.mark.parametrize("dims", [64, 192, 768, 2048])
def test_features_are_those_of_the_layer(network: Inception, dims: int) -> None:
    images = torch.rand(2, 3, 40, 51)
    maps = []
    wanted = {
        64: network.Conv2d_2b_3x3, 192: network.Conv2d_4a_3x3, 768: network.Mixed_6e,
        2048: network.Mixed_7c,
    }[dims]  # fmt: skip
    hook = wanted.register_forward_hook(lambda module, inputs, output: maps.append(output))
    features = network(images, dims)
    hook.remove()
    found = maps[0]
    if dims in (64, 192):
        found = torch.nn.MaxPool2d(3, 2)(found)
    side = {64: 73, 192: 35, 768: 17, 2048: 8}[dims]
    assert found.shape == (2, dims, side, side)
    torch.testing.assert_close(features, torch.nn.AdaptiveAvgPool2d(1)(found).flatten(1))
    assert torch.equal(features, network(images, dims))


def test_images_are_resized_without_aligned_corners_to_the_range_of_the_network(
    network: Inception,
) -> None:
    images = torch.rand(1, 3, 100, 80)
    seen = []
    hook = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda module, x: seen.append(x[0]))
    network(images, 64)
    hook.remove()
    # Row 0 of 299 lies at (0 + 0.5) · 100/299 - 0.5, above the first row; row 150 in between.
    at = (150 + 0.5) * np.array([100, 80]) / 299 - 0.5
    y, x = np.floor(at).astype(int)
    v, u = at - (y, x)
    corner = images[0, :, y : y + 2, x : x + 2].double().numpy()
    weights = np.outer([1 - v, v], [1 - u, u])
    expected = 2 * (corner * weights).sum((1, 2)) - 1
    np.testing.assert_allclose(seen[0][0, :, 150, 150], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(seen[0][0, :, 0, 0], 2 * images[0, :, 0, 0] - 1)


def _pooled_input(block: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the pooling branch of a block convolves."""
    seen = []
    hook = block.branch_pool.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    block.eval()(x)
    hook.remove()
    return seen[0][0]


@pytest.mark.parametrize(
    ("block", "channels"),
    [(BlockA(192, 32), 192), (BlockC(768, 128), 768), (BlockE(1280, "average"), 1280)],
    ids=["A", "C", "E1"],
)
def test_average_pools_leave_padding_out(block: torch.nn.Module, channels: int) -> None:
    x = torch.rand(1, channels, 5, 6)
    found = _pooled_input(block, x)
    counts = functional.avg_pool2d(torch.ones_like(x), 3, 1, 1)
    torch.testing.assert_close(found, torch.nn.AvgPool2d(3, 1, 1)(x) / counts)
    # A corner sees 4 pixels, not 9.
    torch.testing.assert_close(found[..., 0, 0], x[..., :2, :2].mean((2, 3)))


def test_the_last_block_pools_by_maximum(network: Inception) -> None:
    assert (network.Mixed_7b.pool, network.Mixed_7c.pool) == ("average", "maximum")
    x = -torch.rand(1, 2048, 4, 4)
    found = _pooled_input(BlockE(2048, "maximum"), x)
    torch.testing.assert_close(found, torch.nn.MaxPool2d(3, 1, 1)(x))


@pytest.mark.parametrize("kind", ["pth", "safetensors", "old", "variable"])
def test_the_users_file_is_loaded(
    network: Inception, file: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = network.state_dict()
    path: Path | None = file
    if kind == "safetensors":
        path = tmp_path / "inception.safetensors"
        save_file(state, path)
    elif kind == "old":
        path = tmp_path / "old.pth"
        torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)
    elif kind == "variable":
        monkeypatch.setenv(INCEPTION.variable, str(file))
        path = None
    loaded = load_inception(path)
    assert not loaded.training
    assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())


def test_without_a_file_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(INCEPTION.variable, raising=False)
    with pytest.raises(InputError, match=rf"{INCEPTION.file}.*{INCEPTION.variable}"):
        load_inception()
    with pytest.raises(InputError, match=r"no file .*nowhere\.pth"):
        load_inception(tmp_path / "nowhere.pth")


def test_files_of_other_networks_are_refused(
    network: Inception, file: Path, tmp_path: Path
) -> None:
    state = dict(network.state_dict())
    path = tmp_path / "other.pth"
    torch.save({**state, "fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(ModelError, match=r"1000 classes.*torchvision.*1008"):
        load_inception(path)
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match=r"no layer 'fc\.weight'"):
        load_inception(path)
    lacking = {k: v for k, v in state.items() if k != "Mixed_7c.branch1x1.conv.weight"}
    torch.save({**lacking, "Mixed_5b.branch1x1.bn.bias": torch.zeros(5)}, path)
    with pytest.raises(ModelError, match=r"2 tensors.*branch1x1\.bn\.bias: file \(5,\)"):
        load_inception(path)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError, match="damaged"):
        load_inception(broken)


def test_unknown_lengths_of_features_are_refused() -> None:
    with pytest.raises(InputError, match=r"512 do not exist.*768"):
        check_dims(512)
