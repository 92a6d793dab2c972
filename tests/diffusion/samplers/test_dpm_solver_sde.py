from __future__ import annotations

import numpy as np
import torch
from known_denoisers import normal
from recorded_trajectories import recorded_denoiser

from napari_tincture.diffusion.sampling import find_sampler
from napari_tincture.diffusion.schedules import noise_schedule

SCHEDULE = noise_schedule("linear", 1000)


def test_steps_are_integrals_of_lines() -> None:
    """DPM-Solver++, equation 18, with the image as it is guessed for the middle of a step."""
    x, denoise = normal((1, 1, 3, 3), dtype=torch.float64), recorded_denoiser(SCHEDULE)
    sampler, told = find_sampler("dpm_solver_sde"), []
    times = sampler.times(SCHEDULE, 6)
    draws = [normal(x.shape, 1 + k, torch.float64) for k in range(6)]
    made = sampler(
        denoise, x, SCHEDULE, times, noise=lambda step: draws[step], callback=told.append
    )
    nodes, weights = np.polynomial.legendre.leggauss(24)
    lambdas = [SCHEDULE.half_log_snr(time) for time in times]
    images: list[torch.Tensor] = []
    for k in range(6):
        images.append(denoise(x, times[k]).image)
        start, end = lambdas[k], lambdas[k + 1]
        guess = images[k]
        if 0 < k < 5:
            past = images[k] - images[k - 1]
            guess = guess + past * (end - start) / 2 / (start - lambdas[k - 1])
        # 2 exp(-2 (λ_end - λ)) is what weighs the image, and the variance of the noise.
        places = start + (nodes + 1) / 2 * (end - start)
        fed = float(np.sum(weights * np.exp(-2 * (end - places)))) * (end - start)
        alpha, sigma = ((1 + np.exp(-2 * s * np.array([start, end]))) ** -0.5 for s in (1, -1))
        kept = sigma[1] / sigma[0] * np.exp(start - end)
        x = kept * x + alpha[1] * fed * guess + sigma[1] * fed**0.5 * draws[k]
        # Quadrature of 24 points.
        torch.testing.assert_close(told[k].x, x, rtol=0, atol=1e-10)
    assert torch.equal(made, denoise(told[5].x, 0.0).image)
