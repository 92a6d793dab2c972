"""Denoisers whose perfect answers are known: of one image, and of a normal distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise, Estimate, noise_in
from napari_tincture.diffusion.schedules import NoiseSchedule


@dataclass(frozen=True)
class OfOneImage:
    """Knows that there is but one image."""

    image: Tensor
    schedule: NoiseSchedule

    def __call__(self, x: Tensor, time: float) -> Estimate:
        image = self.image.expand_as(x)
        return Estimate(image, noise_in(x, image, self.schedule.alpha_bar(time)))


@dataclass(frozen=True)
class OfNormal:
    """Knows that all pixels are independent, normal, of one mean and standard deviation."""

    mean: float
    spread: float
    schedule: NoiseSchedule

    def __call__(self, x: Tensor, time: float) -> Estimate:
        share = self.schedule.alpha_bar(time)
        off = (x - share**0.5 * self.mean) / self.variance(time)
        return Estimate(self.mean + share**0.5 * self.spread**2 * off, (1 - share) ** 0.5 * off)

    def variance(self, time: float) -> float:
        """Of the noisy image."""
        share = self.schedule.alpha_bar(time)
        return share * self.spread**2 + 1 - share

    def flow(self, x: Tensor, start: float, end: float) -> Tensor:
        """Where the probability flow takes x: as many standard deviations off as it is."""
        first, last = (self.schedule.alpha_bar(time) ** 0.5 for time in (start, end))
        ratio = (self.variance(end) / self.variance(start)) ** 0.5
        return last * self.mean + ratio * (x - first * self.mean)


@dataclass
class Watched:
    """A denoiser that remembers the times it was asked for."""

    denoise: Denoise

    def __post_init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, x: Tensor, time: float) -> Estimate:
        self.times.append(time)
        return self.denoise(x, time)


def normal(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers of a seed."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def no_noise(step: int) -> Tensor:
    """Must not be asked for."""
    raise AssertionError(f"asked for the noise of step {step}")
