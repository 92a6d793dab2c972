"""Ancestral sampling, the way that diffusion models were published with."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.sampling import Callback, Moment, Noise, silent
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Spacing, Times, indices

Variance = Literal["small", "large"]


def adds_noise() -> bool:
    """It always does."""
    return True


def times(schedule: NoiseSchedule, steps: int, spacing: Spacing = "even") -> Times:
    """All steps, or some of them, see `indices`."""
    return indices(schedule, steps, spacing)


def evaluations(times: Times) -> int:
    """One at each time."""
    return len(times)


def sample(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    times: Times,
    *,
    noise: Noise,
    callback: Callback = silent,
    variance: Variance = "small",
) -> Tensor:
    """Take one step back after the other, each with new noise but for the last.

    Parameters
    ----------
    variance
        Of the noise: of the posterior ("small") or of the step ("large"); of networks that learned
        it, what they say between the two (Nichol and Dhariwal 2021, equation 15).

    References
    ----------
    Ho, Jain, Abbeel: Denoising diffusion probabilistic models, NeurIPS 2020, algorithm 2 and
    equation 7. Of some of the steps only: Nichol and Dhariwal, Improved denoising diffusion
    probabilistic models, ICML 2021, section 4.
    """
    shares = [schedule.alpha_bar(time) for time in times]
    before = [*shares[1:], 1.0]
    for k, (time, share, next_share) in enumerate(zip(times, shares, before, strict=True)):
        found = denoise(x, time)
        beta = 1 - share / next_share
        x = (
            found.image * (next_share**0.5 * beta / (1 - share))
            + x * ((1 - beta) ** 0.5 * (1 - next_share) / (1 - share))
        )  # fmt: skip
        if k < len(times) - 1:
            small = beta * (1 - next_share) / (1 - share)
            if found.between is None:
                x = x + (beta if variance == "large" else small) ** 0.5 * noise(k)
            else:
                x = x + torch.exp(0.5 * _between(found.between, small, beta)) * noise(k)
        callback(Moment(k + 1, len(times), x, found.image))
    return x


def _between(place: Tensor, small: float, large: float) -> Tensor:
    """Logarithm of a variance, at a place from -1 to 1 between two."""
    fraction = (place + 1) / 2
    return fraction * float(np.log(large)) + (1 - fraction) * float(np.log(max(small, 1e-20)))
