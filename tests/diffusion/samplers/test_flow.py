from __future__ import annotations

import numpy as np
import pytest
import torch
from known_denoisers import OfNormal, no_noise, normal
from recorded_trajectories import recorded_denoiser
from scipy import integrate

from napari_tincture.diffusion.sampling import find_sampler
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.diffusion.steps import karras_times

SCHEDULE = noise_schedule("linear", 1000)


def ratio(time: float) -> float:
    return float(np.exp(-SCHEDULE.half_log_snr(time)))


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2)])
def test_errors_fall_with_the_order(name: str, order: int) -> None:
    denoise, x = OfNormal(0.3, 0.5, SCHEDULE), torch.full((1, 1, 1, 1), -2.0, dtype=torch.float64)
    errors = []
    for steps in (96, 192):
        sampler = find_sampler(name)
        times = sampler.times(SCHEDULE, steps)
        made = sampler(denoise, x, SCHEDULE, times, noise=no_noise)
        exact = denoise(denoise.flow(x, times[0], 0.0), 0.0).image
        errors.append(float((made - exact).abs()))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_heun_follows_the_differential_equation() -> None:
    x, denoise = normal((1, 1, 2, 2), dtype=torch.float64), recorded_denoiser(SCHEDULE)

    def slope(sigma: float, y: np.ndarray) -> np.ndarray:
        time = SCHEDULE.time_of(-np.log(sigma))
        values = torch.from_numpy(y).reshape(x.shape)
        image = denoise(values * SCHEDULE.level(time), time).image
        return ((values - image) / sigma).numpy().ravel()

    start = x.numpy().ravel() / SCHEDULE.level(999)
    solved = integrate.solve_ivp(slope, (ratio(999), ratio(0)), start, rtol=1e-8, atol=1e-8)
    exact = denoise(torch.from_numpy(solved.y[:, -1]).reshape(x.shape) * SCHEDULE.level(0), 0).image
    sampler = find_sampler("heun")
    made = sampler(denoise, x, SCHEDULE, sampler.times(SCHEDULE, 400), noise=no_noise)
    # What is left of second order after 400 steps.
    torch.testing.assert_close(made, exact, rtol=0, atol=5e-4)


def test_steps_are_those_of_the_papers_algorithm() -> None:
    """Karras et al. 2022, algorithm 2, with their σ and x."""
    denoise, times = recorded_denoiser(SCHEDULE), karras_times(SCHEDULE, 6)
    draws = [normal((1, 1, 3, 3), 1 + k, torch.float64) for k in range(6)]
    x0 = normal((1, 1, 3, 3), dtype=torch.float64)
    made = find_sampler("heun", churn=1.5)(
        denoise, x0, SCHEDULE, times, noise=lambda step: draws[step]
    )

    def derivative(x: torch.Tensor, sigma: float) -> torch.Tensor:
        time = SCHEDULE.time_of(-np.log(sigma))
        return (x - denoise(x / (1 + sigma**2) ** 0.5, time).image) / sigma

    sigmas = [*(ratio(time) for time in times), 0.0]
    gamma = 1.5 / 6
    x = x0 * (1 + sigmas[0] ** 2) ** 0.5
    for i in range(6):
        # There are no noisier images than those of the first step.
        hat = sigmas[i] if i == 0 else min(sigmas[i] * (1 + gamma), sigmas[0])
        x = x + (hat**2 - sigmas[i] ** 2) ** 0.5 * draws[i]
        d = derivative(x, hat)
        following = x + (sigmas[i + 1] - hat) * d
        if sigmas[i + 1]:
            other = derivative(following, sigmas[i + 1])
            following = x + (sigmas[i + 1] - hat) * (d + other) / 2
        x = following
    # Logarithms and exponentials of ratios up to 150 in float64.
    torch.testing.assert_close(made, x, rtol=0, atol=1e-10)
