"""What every denoiser promises; a new one is tested here without an edit."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models import Channel, Model, ModelCard, load_model
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.registry import DENOISERS, build_network, names_in

NAMES = names_in(DENOISERS)
LEVELS = (0.2, 0.9)


def small_options(name: str) -> dict[str, Any]:
    return dict(importlib.import_module(f"napari_tincture.models.denoisers.{name}").SMALL)


def small_network(name: str, seed: int = 0) -> nn.Module:
    """A network in inference mode, of which no layer is zero."""
    torch.manual_seed(seed)
    network = build_network(name, small_options(name), DENOISERS).eval()
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def channels_of(name: str) -> tuple[int, int, int]:
    """Of the image, of the condition, and of what is predicted."""
    options = small_options(name)
    out = options["out_channels"]
    return options.get("image_channels", out), options.get("in_channels", 0), out


def given(name: str, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Two noisy images, their noise, and what they should show."""
    image, condition, _ = channels_of(name)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, image, *shape, generator=generator)
    shown = torch.rand(2, condition, *shape, generator=generator)
    return x, torch.tensor(LEVELS), shown


def size_of(network: nn.Module, y: int = 2, x: int = 3) -> tuple[int, int]:
    stride = network.stride
    assert isinstance(stride, int)
    return y * stride, x * stride


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("times", [(1, 1), (2, 3), (5, 4)])
def test_sides_are_any_multiples_of_the_stride(name: str, times: tuple[int, int]) -> None:
    network = small_network(name)
    shape = size_of(network, *times)
    with torch.inference_mode():
        result = network(*given(name, shape))
    assert result.shape == (2, channels_of(name)[2], *shape)
    assert result.dtype == torch.float32
    assert bool(result.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_all_parameters(name: str) -> None:
    network = small_network(name).train()
    network(*given(name, size_of(network))).square().mean().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_the_same_again_in_inference_mode(name: str) -> None:
    network = small_network(name)
    values = given(name, size_of(network))
    with torch.inference_mode():
        torch.testing.assert_close(network(*values), network(*values), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_items_of_a_batch_do_not_see_each_other(name: str) -> None:
    network = small_network(name).double()
    x, level, shown = (value.double() for value in given(name, size_of(network)))
    with torch.inference_mode():
        both = network(x, level, shown)
        alone = [network(x[n : n + 1], level[n : n + 1], shown[n : n + 1]) for n in range(2)]
    # Other sizes of a batch take other kernels, which round differently.
    torch.testing.assert_close(both, torch.cat(alone), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_noise_and_condition_change_the_result(name: str) -> None:
    network = small_network(name)
    x, level, shown = given(name, size_of(network))
    with torch.inference_mode():
        result = network(x, level, shown)
        assert not torch.equal(network(x, level.flip(0), shown), result)
        if shown.shape[1]:
            assert not torch.equal(network(x, level, shown.flip(1)), result)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_is_near_float32(name: str) -> None:
    network = small_network(name)
    values = given(name, size_of(network))
    with torch.inference_mode():
        expected = network(*values)
        with torch.autocast("cpu", torch.bfloat16):
            result = network(*values).float()
    # Eight bits of a mantissa, and some tens of layers.
    assert (result - expected).square().mean() < 0.05**2 * expected.square().mean()


@pytest.mark.parametrize("name", NAMES)
def test_layouts_in_memory_give_the_same(name: str) -> None:
    network = small_network(name)
    x, level, shown = given(name, size_of(network))
    with torch.inference_mode():
        expected = network(x, level, shown)
        network.to(memory_format=torch.channels_last)
        x, shown = (v.contiguous(memory_format=torch.channels_last) for v in (x, shown))
        result = network(x, level, shown)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


def small_model(name: str) -> Model:
    image, condition, _ = channels_of(name)
    classes = tuple(Channel(f"class {n}", source="class") for n in range(condition))
    network = small_network(name)
    card = ModelCard(
        name=f"small {name}",
        task="synthesize",
        architecture=name,
        options=small_options(name),
        inputs=classes or (Channel("noise", source="noise"),),
        outputs=tuple(Channel(f"out {n}") for n in range(image)),
        denoising=Denoising(time="level"),
        stride=size_of(network)[0] // 2,
    )
    return Model(network, card)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("half", [False, True])
def test_saved_and_loaded_is_the_same_model(name: str, half: bool, tmp_path: Path) -> None:
    model = small_model(name)
    again = load_model(model.save(tmp_path / "m.safetensors", half=half))
    assert again.card == model.card
    if half:
        for key, value in model.network.state_dict().items():
            assert torch.equal(again.network.state_dict()[key], value.half().float()), key
        return
    assert again.fingerprint == model.fingerprint
    values = given(name, size_of(model.network))
    with torch.inference_mode():
        result, expected = again.network(*values), model.network(*values)
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="no_such_option"):
        build_network(name, {"no_such_option": 1}, DENOISERS)
