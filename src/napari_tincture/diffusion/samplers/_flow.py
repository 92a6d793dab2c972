"""The probability flow as a differential equation in the noise-to-signal ratio σ."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.options import Between
from napari_tincture.diffusion.sampling import Callback, Moment, Noise
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Times

Churn = Annotated[float, Between(0)]
Rho = Annotated[float, Between(1, 100)]
MOST_CHURN = 2**0.5 - 1


def flow(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    times: Times,
    noise: Noise,
    callback: Callback,
    *,
    churn: float,
    second_order: bool,
) -> Tensor:
    """Solve it step by step (Karras et al. 2022, algorithm 2), down to no noise at all.

    In the paper's terms the image is y = x / sqrt(alpha_bar), whose noise has σ = exp(-λ), and the
    slope is (y - D) / σ with D the clean image as it is guessed.
    """
    ratios = [float(np.exp(-schedule.half_log_snr(time))) for time in times] + [0.0]
    y = x / schedule.level(times[0])
    gamma = min(churn / len(times), MOST_CHURN)
    for k, (time, ratio, following) in enumerate(zip(times, ratios, ratios[1:], strict=False)):
        if gamma and time < schedule.steps - 1:
            stirred = min(
                ratio * (1 + gamma), float(np.exp(-schedule.half_log_snr(schedule.steps - 1)))
            )
            y = y + max(stirred**2 - ratio**2, 0.0) ** 0.5 * noise(k)
            ratio, time = stirred, schedule.time_of(-float(np.log(stirred)))
        image = denoise(y * schedule.level(time), time).image
        slope = (y - image) / ratio
        ahead = y + (following - ratio) * slope
        if second_order and following > 0:
            there = times[k + 1]
            other = denoise(ahead * schedule.level(there), there).image
            slope = (slope + (ahead - other) / following) / 2
            ahead = y + (following - ratio) * slope
        y = ahead
        left = schedule.level(times[k + 1]) if following > 0 else 1.0
        callback(Moment(k + 1, len(times), y * left, image))
    return y
