"""SDE-DPM-Solver++: few steps with noise on the way."""

from __future__ import annotations

import math

from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.samplers.dpm_solver import FEW
from napari_tincture.diffusion.samplers.dpm_solver import times as solver_times
from napari_tincture.diffusion.sampling import Callback, Moment, Noise, silent
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Skip, Times


def adds_noise() -> bool:
    """It always does."""
    return True


def times(schedule: NoiseSchedule, steps: int, skip: Skip = "time_uniform") -> Times:
    """As those of ``dpm_solver``."""
    return solver_times(schedule, steps, skip)


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
) -> Tensor:
    """Integrate the reverse diffusion with the image of this and of the last step.

    References
    ----------
    Lu et al., DPM-Solver++, arXiv 2211.01095, equation 19 (SDE-DPM-Solver++(2M)).
    """
    steps = len(times) - 1
    last: tuple[float, Tensor] | None = None
    for k in range(steps):
        image = denoise(x, times[k]).image
        start, end = (schedule.half_log_snr(time) for time in times[k : k + 2])
        h = end - start
        guess = image
        if last is not None and not (steps < FEW and k == steps - 1):
            guess = image + 0.5 * h / (start - last[0]) * (image - last[1])
        sigma = [math.sqrt(1 - schedule.alpha_bar(time)) for time in times[k : k + 2]]
        faded = -math.expm1(-2 * h)
        x = sigma[1] / sigma[0] * math.exp(-h) * x + schedule.level(times[k + 1]) * faded * guess
        x = x + sigma[1] * faded**0.5 * noise(k)
        last = start, image
        callback(Moment(k + 1, steps + 1, x, image))
    image = denoise(x, times[-1]).image
    callback(Moment(steps + 1, steps + 1, image, image))
    return image
