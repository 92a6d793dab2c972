from __future__ import annotations

import numpy as np
import pytest
import torch
from known_denoisers import normal
from recorded_trajectories import arrays_of, recorded_denoiser
from torch import Tensor

from napari_tincture.diffusion.estimate import Estimate
from napari_tincture.diffusion.sampling import find_sampler
from napari_tincture.diffusion.schedules import NoiseSchedule, noise_schedule


def test_steps_are_those_recorded() -> None:
    known = arrays_of("ddim_trajectory")
    schedule = NoiseSchedule(known["betas"])
    sampler, told = find_sampler("ddpm", variance="large", spacing="leading"), []
    draws = torch.from_numpy(known["ddpm_noisy_noise"])
    sampler(
        recorded_denoiser(schedule, clip=1.0), torch.from_numpy(known["xT"]), schedule,
        sampler.times(schedule, 10), noise=lambda step: draws[step], callback=told.append,
    )  # fmt: skip
    # float32 and float64 runs of the published program are 2e-6 apart.
    np.testing.assert_allclose([m.x for m in told], known["ddpm_noisy_xs"][1:], rtol=0, atol=3e-6)
    np.testing.assert_allclose([m.image for m in told], known["ddpm_noisy_x0"], rtol=0, atol=2e-5)


def test_betas_of_fewer_steps_are_those_recorded() -> None:
    # Of the published Semantic Diffusion Model, 1000 steps respaced to 5.
    betas = [1e-4, 0.47852482186365886, 0.8507993437253065, 0.9569319491434207, 0.9879547261295479]
    schedule = noise_schedule("linear", 1000)
    times = find_sampler("ddpm").times(schedule, 5)
    assert times == (999, 749, 500, 250, 0)
    shares = [1.0, *(schedule.alpha_bar(time) for time in times[::-1])]
    # Products of 1000 factors in another order.
    np.testing.assert_allclose(1 - np.divide(shares[1:], shares[:-1]), betas, rtol=1e-12)


class SaysBetween:
    """Finds an empty image and says which variance the step has."""

    def __init__(self, place: float | None) -> None:
        self.place = place

    def __call__(self, x: Tensor, time: float) -> Estimate:
        between = None if self.place is None else torch.full_like(x, self.place)
        return Estimate(torch.zeros_like(x), x, between)


@pytest.mark.parametrize(("variance", "place"), [("small", -1.0), ("large", 1.0)])
def test_learned_variances_reach_from_small_to_large(variance: str, place: float) -> None:
    schedule, x = noise_schedule("linear", 1000), normal((1, 1, 8, 8), dtype=torch.float64)
    sampler = find_sampler("ddpm", variance=variance)
    for begun in ((999, 0), (500, 300, 250, 0)):
        made = [
            sampler(
                SaysBetween(p), x, schedule, begun, noise=lambda k: normal(x.shape, 5 + k).double()
            )
            for p in (None, place)
        ]
        # The exponential of a logarithm.
        torch.testing.assert_close(*made, rtol=1e-12, atol=0)


def test_learned_variances_are_interpolated_in_logarithms() -> None:
    schedule, x, told = noise_schedule("linear", 1000), torch.zeros(1, 1, 1, 1).double(), []
    sampler = find_sampler("ddpm")
    sampler(SaysBetween(0.5), x, schedule, (600, 500), noise=lambda k: x + 1, callback=told.append)
    now, then = schedule.alpha_bar(600), schedule.alpha_bar(500)
    large = 1 - now / then
    small = large * (1 - then) / (1 - now)
    # Nichol and Dhariwal 2021, equation 15, with v = 0.75.
    assert float(told[0].x) == pytest.approx((large**0.75 * small**0.25) ** 0.5, rel=1e-12)
