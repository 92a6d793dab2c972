"""Whole runs of published programs, with their networks and the noise that they drew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import DATA, recorded, reference_network
from torch import Tensor

from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.estimate import Denoise, as_denoise
from napari_tincture.diffusion.sampling import Moment, find_sampler
from napari_tincture.models.denoisers.sr3 import build
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network

SDM, SR3 = "sdm_tiny_learnsigma", "sr3_tiny_sr3"
NOISE = 2.3e-6
"""What float32 and float64 runs of either published network differ by."""


def denoiser(asking: Asking, condition: Tensor) -> Denoise:
    schedule = asking.schedule
    return as_denoise(
        lambda x, time: asking(x, asking.told(schedule, time), condition),
        schedule,
        asking.denoising,
    )


@pytest.fixture(scope="module")
def semantic() -> Asking:
    options = {
        "in_channels": 5, "num_channels": 32, "channel_mult": (1, 1), "num_res_blocks": 1,
        "image_size": 32, "attention_resolutions": (16,), "num_head_channels": 16,
    }  # fmt: skip
    file = f"{SDM}/ema_0.9999_000010.pt"
    network = reference_network(file, "semantic_diffusion", "denoisers", **options).eval()
    # The loops were recorded with guidance.
    return Asking(network, Denoising(variance="learned", guided=True), guidance=1.5)


@pytest.mark.parametrize(("name", "run"), [("ddpm", "p_sample_loop"), ("ddim", "ddim_sample_loop")])
def test_semantic_diffusion(semantic: Asking, name: str, run: str) -> None:
    known = recorded(SDM)
    schedule, sampler = semantic.schedule, find_sampler(name, spacing="even")
    times = sampler.times(schedule, 5)
    assert list(times[::-1]) == known["respaced_timestep_map"].tolist()
    with semantic.session():
        made = sampler(
            denoiser(semantic, known["y"]), known["xT"], schedule, times,
            noise=lambda step: known[f"{run}_noise"][step],
        )  # fmt: skip
    off = (made - known[run]).abs()
    assert off.mean() < NOISE
    # The first guess is divided by the image's factor, 0.006; guidance doubles differences.
    assert off.max() < 2 * NOISE / schedule.level(999)


@pytest.mark.parametrize("guidance", [1.0, 1.5])
def test_semantic_diffusion_step(semantic: Asking, guidance: float) -> None:
    known, asking = recorded(SDM), replace(semantic, guidance=guidance)
    schedule = asking.schedule
    for k, time in enumerate(known["t"].tolist()):
        x, label = (known[key][k : k + 1] for key in ("x", "y"))
        told: list[Moment] = []
        draws = [torch.zeros_like(x), torch.ones_like(x)]
        for draw in draws:
            with asking.session():
                find_sampler("ddpm")(
                    denoiser(asking, label), x, schedule, (time, time - 1),
                    noise=lambda step, draw=draw: draw, callback=told.append,
                )  # fmt: skip
        # Both runs' first steps: without noise, and with one standard deviation of it.
        mean, other = told[0], told[2]
        wanted = {
            key: known[f"pmv_s{guidance}_{key}"][k : k + 1]
            for key in ("mean", "pred_xstart", "log_variance")
        }
        amplified = 2 * NOISE / schedule.level(time)
        torch.testing.assert_close(mean.image, wanted["pred_xstart"], rtol=0, atol=amplified)
        torch.testing.assert_close(mean.x, wanted["mean"], rtol=0, atol=4 * NOISE)
        variance = (other.x - mean.x).square().log()
        # Of the difference of numbers around 1 with rounding of 1e-7, which is 0.01 at least.
        torch.testing.assert_close(variance, wanted["log_variance"], rtol=0, atol=1e-4)


def test_sr3() -> None:
    known, network = recorded(SR3), build(
        inner_channel=16, channel_multiplier=(1, 2), attn_res=(16,), image_size=32, res_blocks=1,
        norm_groups=8,
    )  # fmt: skip
    state = read_checkpoint(DATA / SR3 / "I10_E1_gen.pth")
    prefix = "denoise_fn."
    own = {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
    fill_network(network, own, SR3)
    asking = Asking(
        network.eval(),
        Denoising(
            schedule={"name": "linear", "steps": 20, "start": 1e-6, "end": 1e-2}, time="level"
        ),
    )
    schedule, sampler, told = asking.schedule, find_sampler("ddpm"), []
    levels = [1.0, *(schedule.level(step) for step in range(20))]
    np.testing.assert_allclose(levels, known["sqrt_alphas_cumprod_prev"], rtol=1e-14)
    draws = known["loop_noise"]
    with asking.session():
        made = sampler(
            denoiser(asking, known["SR"]), draws[0], schedule, sampler.times(schedule, 20),
            noise=lambda step: draws[1 + step], callback=told.append,
        )  # fmt: skip
    # The program keeps what it began with and the images after steps 18, 15, … 0.
    for images, number in zip(known["loop_seq"].split(2)[1:], range(1, 20, 3), strict=True):
        torch.testing.assert_close(told[number].x, images, rtol=0, atol=NOISE)
    assert torch.equal(made, told[-1].x)
