"""Denoising diffusion implicit models: few steps, and without noise on the way."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.options import Between
from napari_tincture.diffusion.sampling import Callback, Moment, Noise, silent
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Times, indices

AnySpacing = Literal["auto", "leading", "quadratic", "even"]
NOISY = 0.7
"""Up to what part of the schedule there is more image than a drawing may begin with."""
Eta = Annotated[float, Between(0, 1)]


def adds_noise(eta: float = 0.0) -> bool:
    """Unless η is 0."""
    return eta > 0


def times(schedule: NoiseSchedule, steps: int, spacing: AnySpacing = "auto") -> Times:
    """Some of the steps, see `indices`.

    "auto" is "leading" or, where that would begin late, "even": with fewer than four steps. A
    denoiser that is first asked about a time of little noise takes the noise for the image.
    """
    if spacing != "auto":
        return indices(schedule, steps, spacing)
    found = indices(schedule, steps)
    return found if found[0] >= NOISY * (schedule.steps - 1) else indices(schedule, steps, "even")


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
    eta: Eta = 0.0,
) -> Tensor:
    """Go from each step to the next one that is visited.

    Parameters
    ----------
    eta
        How much of the noise of ancestral sampling is added; 0: none, 1: all of it.

    References
    ----------
    Song, Meng, Ermon: Denoising diffusion implicit models, ICLR 2021, equations 12 and 16.
    """
    shares = [schedule.alpha_bar(time) for time in times]
    following = [*shares[1:], 1.0]
    for k, (time, share, next_share) in enumerate(zip(times, shares, following, strict=True)):
        found = denoise(x, time)
        sigma = eta * ((1 - share / next_share) * (1 - next_share) / (1 - share)) ** 0.5
        kept = max(1 - next_share - sigma**2, 0.0) ** 0.5
        x = next_share**0.5 * found.image + kept * found.noise
        if sigma:
            x = x + sigma * noise(k)
        callback(Moment(k + 1, len(times), x, found.image))
    return x
