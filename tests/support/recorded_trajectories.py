"""Trajectories that published samplers took with a denoiser that is a formula."""

from __future__ import annotations

import numpy as np
import torch
from references import recorded
from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise, as_denoise
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.models.denoising import Denoising


def arrays_of(name: str) -> dict[str, np.ndarray]:
    """Arrays of a recording."""
    return {key: values.numpy() for key, values in recorded(name).items()}


def predicted_noise(x: Tensor, time: float) -> Tensor:
    """The noise that the recorded denoiser finds: nearly that of normal pixels."""
    tau = (time + 1) / 1000
    share = float(np.exp(-(0.1 * tau + 9.95 * tau**2)))
    normal = (1 - share) ** 0.5 * (x - 0.3 * share**0.5) / (0.25 * share + 1 - share)
    return normal + 0.05 * torch.sin(3 * x)


def recorded_denoiser(schedule: NoiseSchedule, clip: float | None = None) -> Denoise:
    """The recorded denoiser, as samplers ask it."""
    return as_denoise(predicted_noise, schedule, Denoising(), clip)
