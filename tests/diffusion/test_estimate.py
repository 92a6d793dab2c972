from __future__ import annotations

from typing import get_args

import pytest
import torch
from known_denoisers import normal
from torch import Tensor

from napari_tincture.diffusion.estimate import as_denoise, noise_in, noised, velocity
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.errors import InputError
from napari_tincture.models.denoising import Denoising, Predicts

SCHEDULE = noise_schedule("linear", 1000)
SHAPE = (2, 3, 5, 4)
IMAGE = normal(SHAPE, 1, torch.float64).clamp(-1, 1)
NOISE = normal(SHAPE, 2, torch.float64)


def output(predicts: Predicts, share: float) -> Tensor:
    return {"noise": NOISE, "image": IMAGE, "velocity": velocity(IMAGE, NOISE, share)}[predicts]


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("time", [0, 0.5, 400, 999])
@pytest.mark.parametrize("predicts", get_args(Predicts))
def test_image_and_noise_are_found_of_any_output(
    predicts: Predicts, time: float, clip: float | None
) -> None:
    share = SCHEDULE.alpha_bar(time)
    denoise = as_denoise(
        lambda x, t: output(predicts, share), SCHEDULE, Denoising(predicts=predicts), clip
    )
    found = denoise(noised(IMAGE, NOISE, share), time)
    # What is divided by is no smaller than 0.006 (the image's factor at the end).
    torch.testing.assert_close(found.image, IMAGE, rtol=0, atol=2e-13)
    torch.testing.assert_close(found.noise, NOISE, rtol=0, atol=2e-13)
    assert found.between is None


@pytest.mark.parametrize("predicts", get_args(Predicts))
def test_image_and_noise_make_the_noisy_image_even_if_clipped(predicts: Predicts) -> None:
    share = SCHEDULE.alpha_bar(700)
    x = noised(IMAGE, NOISE, share)
    denoise = as_denoise(
        lambda x, t: 3 * output(predicts, share), SCHEDULE, Denoising(predicts=predicts), 0.5
    )
    found = denoise(x, 700)
    assert found.image.abs().max() == 0.5
    torch.testing.assert_close(noised(found.image, found.noise, share), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(noise_in(x, found.image, share), found.noise, rtol=0, atol=0)


def test_learned_variances_are_the_further_channels() -> None:
    more = normal(SHAPE, 3, torch.float64)
    denoise = as_denoise(
        lambda x, t: torch.cat([NOISE, more], 1), SCHEDULE, Denoising(variance="learned"), None
    )
    found = denoise(NOISE, 10)
    assert torch.equal(found.between, more)
    assert torch.equal(found.noise, NOISE)


@pytest.mark.parametrize(("variance", "channels"), [("learned", 3), ("small", 6), ("large", 4)])
def test_wrong_numbers_of_channels_are_told(variance: str, channels: int) -> None:
    denoise = as_denoise(
        lambda x, t: torch.zeros(2, channels, 5, 4), SCHEDULE, Denoising(variance=variance)
    )
    wanted = 6 if variance == "learned" else 3
    with pytest.raises(InputError, match=rf"gave {channels} channels for 3.*{wanted} are expected"):
        denoise(NOISE, 10)


@pytest.mark.parametrize("name", ["reciprocal", "cosine"])
def test_even_the_noisiest_step_gives_finite_images(name: str) -> None:
    schedule = noise_schedule(name, 50)
    denoise = as_denoise(lambda x, t: x * 0.9, schedule, Denoising(), None)
    found = denoise(NOISE.float(), 49)
    assert found.image.isfinite().all()
    assert found.noise.isfinite().all()


def test_velocities_are_for_each_image_of_a_batch() -> None:
    shares = torch.tensor([0.2, 0.9], dtype=torch.float64).reshape(2, 1, 1, 1)
    both = velocity(IMAGE, NOISE, shares)
    for k in range(2):
        torch.testing.assert_close(both[k], velocity(IMAGE, NOISE, float(shares[k]))[k])
