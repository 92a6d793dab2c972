"""Published denoisers: recognised by their tensors, with what those leave open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from published_files import made, wrapped
from references import recorded

import napari_tincture as nt
from napari_tincture.errors import ModelError
from napari_tincture.models.checkpoints._found import Found
from napari_tincture.models.imported import convert, generator_of, inspect

DATA = Path(__file__).parents[2] / "data"
SDM = {"num_channels": 32, "num_head_channels": 32}
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("semantic_diffusion", "semantic_diffusion", {
        **SDM, "in_channels": 4, "channel_mult": [1, 1, 2], "num_res_blocks": 2, "image_size": 64,
        "attention_resolutions": [32, 16],
    }),
    ("semantic_diffusion", "semantic_diffusion", {
        **SDM, "in_channels": 2, "channel_mult": [1, 2], "num_res_blocks": 3, "image_size": 64,
        "attention_resolutions": [32], "resblock_updown": False, "use_scale_shift_norm": False,
        "out_channels": 3, "num_head_channels": 64,
    }),
    ("semantic_diffusion", "semantic_diffusion", {
        "num_channels": 64, "channel_mult": [0.5, 1], "in_channels": 7, "num_res_blocks": 1,
        "image_size": 64, "attention_resolutions": [32], "image_channels": 1, "out_channels": 2,
    }),
    ("sr3", "sr3", {
        "inner_channel": 32, "channel_multiplier": [1, 2, 4], "attn_res": [16], "image_size": 32,
        "res_blocks": 3,
    }),
    ("sr3", "sr3", {
        "inner_channel": 32, "channel_multiplier": [1, 2], "attn_res": [], "image_size": 16,
        "res_blocks": 1, "in_channels": 1, "out_channels": 1,
    }),
    ("ddim", "ddim_unet", {
        "ch": 32, "ch_mult": [1, 2, 2], "num_res_blocks": 2, "attn_resolutions": [16, 8],
        "image_size": 16,
    }),
    ("ddim", "ddim_unet", {
        "ch": 32, "ch_mult": [1, 1], "num_res_blocks": 1, "attn_resolutions": [16],
        "image_size": 32, "out_channels": 1, "resamp_with_conv": False,
    }),
]  # fmt: skip


def in_file(family: str, state: dict[str, Any]) -> dict[str, Any]:
    """A state dict as its program writes it."""
    if family != "sr3":
        return state
    inner = {f"denoise_fn.{key}": value for key, value in state.items()}
    betas = torch.linspace(1e-6, 1e-2, 30, dtype=torch.float64).float()
    return {"betas": betas, "alphas_cumprod": (1 - betas).cumprod(0), **inner}


@pytest.mark.parametrize(("family", "architecture", "options"), VARIANTS)
def test_options_are_read_from_the_tensors(
    family: str, architecture: str, options: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = made(architecture, "denoisers", **options)
    torch.save(in_file(family, network.state_dict()), tmp_path / "net.pth")
    found, model = convert(tmp_path / "net.pth")
    assert (found.family, found.task) == (family, "synthesize")
    assert {key: found.options[key] for key in options} == options
    assert Found.from_json(json.loads(json.dumps(found.to_json()))) == found
    image, condition = len(model.card.outputs), found.options["in_channels"]
    side = 2 * model.network.stride  # type: ignore[operator]
    values = torch.rand(1, image, side, side), torch.ones(1), torch.rand(1, condition, side, side)
    with torch.inference_mode():
        torch.testing.assert_close(model.network(*values), network(*values), rtol=0, atol=0)


def test_a_semantic_diffusion_model_gives_the_published_numbers() -> None:
    name = "sdm_tiny_learnsigma"
    options = {"num_head_channels": 16, "image_size": 32, "attention_resolutions": "16"}
    model, arrays = nt.import_checkpoint(DATA / name, **options), recorded(name)
    with torch.inference_mode():
        result = model.network(arrays["x"], arrays["t"].float(), arrays["y"])
    torch.testing.assert_close(result, arrays["unet"], rtol=0, atol=2.25e-5)
    card = model.card
    assert [channel.source for channel in card.inputs] == ["class"] * 4 + ["edge"]
    assert [channel.name for channel in card.outputs] == ["red", "green", "blue"]
    assert card.denoising is not None
    assert (card.denoising.variance, card.denoising.time) == ("learned", "index")
    assert (card.denoising.window, card.denoising.overlap) == (32, 8)
    assert (card.stride, card.halo, card.exact) == (2, None, False)
    assert (card.output_range, card.normalisation.kind) == ((-1.0, 1.0), "none")


def test_sr3_gives_the_published_numbers(tmp_path: Path) -> None:
    name = "sr3_tiny_sr3"
    options = {"norm_groups": 8, "save_to": tmp_path / "sr3.safetensors"}
    model, arrays = nt.import_checkpoint(DATA / name, **options), recorded(name)
    with torch.inference_mode():
        result = model.network(arrays["x_t"], arrays["cond"][:, 0], arrays["SR"])
    torch.testing.assert_close(result, arrays["unet"], rtol=0, atol=2.4e-5)
    card = model.card
    assert [channel.source for channel in card.inputs] == ["image"] * 3
    assert card.denoising is not None
    assert card.denoising.schedule == {"name": "linear", "steps": 20, "start": 1e-6, "end": 1e-2}
    assert (card.denoising.time, card.denoising.variance) == ("level", "small")
    assert (card.normalisation.kind, card.normalisation.target) == ("dtype", (-1.0, 1.0))


def test_questions_are_what_the_tensors_leave_open() -> None:
    folder = DATA / "sdm_tiny_learnsigma"
    found = inspect(folder)
    assert {key: question.value for key, question in found.questions.items()} == {
        "num_classes": 4, "no_instance": False, "image_size": 64, "num_head_channels": 32,
        "use_new_attention_order": False, "guided": True,
    }  # fmt: skip
    found = inspect(folder, no_instance=True, guided=False, num_heads=2)
    assert [channel.source for channel in found.inputs] == ["class"] * 5
    assert (found.options["num_head_channels"], found.options["num_heads"]) == (-1, 2)
    assert found.denoising is not None
    assert not found.denoising.guided
    assert inspect(folder, num_classes=5).inputs == found.inputs
    assert set(inspect(DATA / "sr3_tiny_sr3").questions) == {"image_size", "norm_groups"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sdm_tiny_learnsigma", {"num_classes": 3}, "takes 5 channels, but the options given make"),
        ("sdm_tiny_learnsigma", {"channel_mult": "1,2"}, r"channel_mult = \[1.0, 2.0\] was given"),
        ("sdm_tiny_learnsigma", {"num_head_channels": 24}, "cannot be divided among heads"),
        ("sdm_tiny_learnsigma", {"image_size": 33}, "expected a multiple of 2"),
        ("sdm_tiny_learnsigma", {"family": "ddim"}, "not recognised as ddim"),
        ("sr3_tiny_sr3", {"norm_groups": 5}, "norm_groups = 5"),
    ],
)
def test_options_that_contradict_the_tensors_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        inspect(DATA / name, **options)


def ddim() -> torch.nn.Module:
    return made("ddim_unet", "denoisers", ch=32, ch_mult=[1, 1], num_res_blocks=1)


@pytest.mark.parametrize("averaged", [False, True])
def test_of_ddims_lists_the_mean_of_the_weights_is_taken(averaged: bool, tmp_path: Path) -> None:
    network, mean = ddim(), ddim()
    optimiser = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1}]}
    held: list[Any] = [wrapped(network.state_dict()), optimiser, 7, 5000]
    held += [mean.state_dict()] if averaged else []
    folder = tmp_path / "cells"
    folder.mkdir()
    torch.save(held, folder / "ckpt.pth")
    torch.save(held[:1], folder / "ckpt_4000.pth")
    model = nt.import_checkpoint(folder)
    expected = mean if averaged else network
    for key, value in expected.state_dict().items():
        assert torch.equal(model.network.state_dict()[key], value), key
    card = model.card
    assert card.name == "cells"
    assert [channel.source for channel in card.inputs] == ["noise"]
    assert card.denoising is not None
    assert (card.denoising.variance, card.stride) == ("large", 2)
    found = inspect(folder, var_type="fixedsmall", image_size=64)
    assert found.denoising is not None
    assert (found.denoising.variance, found.denoising.window) == ("small", 64)


def test_of_a_folder_the_mean_over_the_last_steps_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "tissue"
    folder.mkdir()
    networks = {
        name: made("semantic_diffusion", "denoisers", in_channels=3, channel_mult=[1], **SDM)
        for name in ("model000010", "ema_0.9999_000010", "ema_0.9999_000005")
    }
    for name, network in networks.items():
        torch.save(network.state_dict(), folder / f"{name}.pt")
    torch.save({"state": {}, "param_groups": []}, folder / "opt000010.pt")
    found, model = convert(folder)
    assert (found.name, Path(found.files["forward"]).stem) == ("tissue", "ema_0.9999_000010")
    key = "out.2.weight"
    expected = networks["ema_0.9999_000010"].state_dict()[key]
    assert torch.equal(model.network.state_dict()[key], expected)
    assert inspect(folder, epoch="000005").files["forward"].endswith("000005.pt")


@pytest.mark.parametrize("name", ["linear", "quadratic", "odd"])
def test_schedules_are_read_from_the_file(name: str, tmp_path: Path) -> None:
    state = in_file("sr3", made("sr3", "denoisers", **VARIANTS[4][2]).state_dict())
    if name != "linear":
        roots = torch.linspace(1e-3, 1e-1, 30, dtype=torch.float64)
        state["betas"] = (roots**2 if name == "quadratic" else roots**3).float()
    torch.save(state, tmp_path / "I5_E1_gen.pth")
    if name == "odd":
        with pytest.raises(ModelError, match=r"30 betas of the file go from 1e-09 to 0.001"):
            inspect(tmp_path)
        return
    found = inspect(tmp_path)
    assert found.denoising is not None
    assert found.denoising.schedule == {"name": name, "steps": 30, "start": 1e-6, "end": 1e-2}


def test_a_denoiser_is_no_generator_of_a_package() -> None:
    loaded = torch.load(DATA / "sr3_tiny_sr3" / "I10_E1_gen.pth", weights_only=True)
    assert generator_of(loaded, "x") is None
