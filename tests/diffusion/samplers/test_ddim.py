from __future__ import annotations

import numpy as np
import pytest
import torch
from recorded_trajectories import arrays_of, recorded_denoiser

from napari_tincture.diffusion.sampling import find_sampler
from napari_tincture.diffusion.schedules import NoiseSchedule

RUNS = {
    "uniform10_eta0.0": (10, {}),
    "uniform10_eta0.5": (10, {"eta": 0.5}),
    "uniform10_eta1.0": (10, {"eta": 1.0}),
    "uniform7_eta0.0": (7, {}),
    "quad10_eta0.0": (10, {"spacing": "quadratic"}),
}
NOISE = 2e-6
"""What float32 and float64 runs of the published program are apart, about."""


@pytest.mark.parametrize("run", RUNS)
def test_steps_are_those_recorded(run: str) -> None:
    known, (steps, options) = arrays_of("ddim_trajectory"), RUNS[run]
    schedule, sampler = NoiseSchedule(known["betas"]), find_sampler("ddim", **options)
    times, told = sampler.times(schedule, steps), []
    draws = torch.from_numpy(known.get(f"ddim_noise_{run}", np.zeros(0)))
    made = sampler(
        recorded_denoiser(schedule), torch.from_numpy(known["xT"]), schedule, times,
        noise=lambda step: draws[step], callback=told.append,
    )  # fmt: skip
    assert len(told) == len(known[f"ddim_xs_{run}"]) - 1
    for moment, x, image, time in zip(
        told, known[f"ddim_xs_{run}"][1:], known[f"ddim_x0_{run}"], times, strict=True
    ):
        np.testing.assert_allclose(moment.x, x, rtol=0, atol=3 * NOISE)
        # Guesses of the image are divided by its factor, and so is the rounding of the noise.
        np.testing.assert_allclose(
            moment.image, image, rtol=0, atol=3 * NOISE / schedule.level(time)
        )
    np.testing.assert_allclose(made, known[f"ddim_final_f64_{run}"], rtol=0, atol=NOISE)


def test_all_the_noise_is_that_of_ancestral_sampling() -> None:
    known = arrays_of("ddim_trajectory")
    schedule, x = NoiseSchedule(known["betas"]), torch.from_numpy(known["xT"]).double()
    draws = torch.from_numpy(known["ddpm_noisy_noise"]).double()
    made = []
    for name, options in (("ddim", {"eta": 1.0}), ("ddpm", {})):
        sampler = find_sampler(name, spacing="leading", **options)
        times, denoise = sampler.times(schedule, 10), recorded_denoiser(schedule)
        made.append(sampler(denoise, x, schedule, times, noise=lambda step: draws[step]))
    # Song et al. 2021, section 4.1; x is taken apart and put together again in between.
    torch.testing.assert_close(*made, rtol=0, atol=1e-12)
