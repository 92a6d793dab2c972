"""Heun's method on the probability flow: two evaluations per step, fewer steps."""

from __future__ import annotations

from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.samplers._flow import Churn, Rho, flow
from napari_tincture.diffusion.sampling import Callback, Noise, silent
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Times, karras_times


def adds_noise(churn: float = 0.0) -> bool:
    """Unless there is no churn."""
    return churn > 0


def times(schedule: NoiseSchedule, steps: int, rho: Rho = 7.0) -> Times:
    """Noise levels that are denser the smaller they are."""
    return karras_times(schedule, steps, rho)


def evaluations(times: Times) -> int:
    """Two per step, but one in the last."""
    return 2 * len(times) - 1


def sample(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    times: Times,
    *,
    noise: Noise,
    callback: Callback = silent,
    churn: Churn = 0.0,
) -> Tensor:
    """Follow the flow with two evaluations per step, but one in the last.

    Parameters
    ----------
    churn
        How much noise is added over all steps, before each of them but where it would be more
        than the schedule has; 0: none.

    References
    ----------
    Karras et al., Elucidating the design space of diffusion-based generative models, NeurIPS 2022,
    algorithm 2.
    """
    return flow(denoise, x, schedule, times, noise, callback, churn=churn, second_order=True)
