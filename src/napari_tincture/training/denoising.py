"""What denoisers learn: what there is to find in noisy images, and how much each counts."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from napari_tincture.diffusion.estimate import velocity
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.models.denoising import Predicts

Distance = Literal["mse", "l1"]


class Levels:
    """Noise levels of a batch, drawn from torch's generator.

    Parameters
    ----------
    continuous
        False: a step's index per image. True: one step per batch, and between it and the one
        before a level per image, drawn evenly (Chen et al., WaveGrad, ICLR 2021, section 3.3).
    """

    def __init__(self, schedule: NoiseSchedule, continuous: bool) -> None:
        self.schedule, self.continuous = schedule, continuous
        self._shares = torch.from_numpy(schedule.alpha_bars)
        self._before = torch.cat([self._shares.new_ones(1), self._shares[:-1]])

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """What networks are told (float32) and shares of the variance (float64), (count,)."""
        steps = self.schedule.steps
        if not self.continuous:
            index = torch.randint(steps, (count,), device=device)
            return index.float(), self._shares.to(device)[index]
        step = int(torch.randint(steps, ()))
        high, low = self._before[step].sqrt(), self._shares[step].sqrt()
        level = low + (high - low) * torch.rand(count, device=device, dtype=torch.float64)
        return level.float(), level.square()

    def spread(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """As `draw`, evenly spread over all steps and always the same."""
        index = ((torch.arange(count, device=device) + 0.5) * self.schedule.steps / count).long()
        shares = self._shares.to(device)[index]
        return (shares.sqrt() if self.continuous else index).float(), shares


def by_image(values: Tensor) -> Tensor:
    """One number for each image (b,), as (b, 1, 1, 1)."""
    return values[:, None, None, None]


def wanted(image: Tensor, noise: Tensor, share: Tensor, predicts: Predicts) -> Tensor:
    """What a network should give for `noised` images."""
    if predicts == "velocity":
        return velocity(image, noise, share)
    return noise if predicts == "noise" else image


def distances(found: Tensor, aim: Tensor, distance: Distance) -> Tensor:
    """Mean distance of each image, (b,)."""
    apart = found - aim
    return (apart.square() if distance == "mse" else apart.abs()).flatten(1).mean(1)


def min_snr(shares: Tensor, gamma: float, predicts: Predicts) -> Tensor:
    """Weights (b,) that keep nearly clean images from outweighing all others.

    Hang et al., Efficient diffusion training via min-SNR weighting strategy, ICCV 2023, equation 5,
    and section 3.4 for what else than the image is predicted. `gamma` 5 is published; 0: all 1.
    """
    if not gamma:
        return torch.ones_like(shares).float()
    ratio = shares / (1 - shares).clamp_min(1e-8)
    weight = ratio.clamp_max(gamma)
    if predicts == "noise":
        return (weight / ratio.clamp_min(1e-8)).float()
    return (weight / (ratio + 1) if predicts == "velocity" else weight).float()


def variational_bound(
    schedule: NoiseSchedule, image: Tensor, noisy_image: Tensor, index: Tensor, guess: Tensor,
    between: Tensor,
) -> Tensor:  # fmt: skip
    """What a learned variance is judged by, in bits per value, (b,).

    Parameters
    ----------
    image, noisy_image, guess
        (b, c, y, x): the clean image, the noisy one at steps `index` (b,), and the clean one as it
        is guessed, which learns nothing from this.
    between
        (b, c, y, x) from -1 to 1, see `Estimate.between`.

    References
    ----------
    Nichol and Dhariwal, Improved denoising diffusion probabilistic models, ICML 2021, section 3.1;
    Ho et al. 2020, section 3.3 for the first step, whose values are 1/127.5 wide.
    """
    own = _Posterior(schedule, index, image)
    fraction = (between + 1) / 2
    log_variance = fraction * own.log_large + (1 - fraction) * own.log_small
    mean, guessed = own.mean(image, noisy_image), own.mean(guess.detach(), noisy_image)
    divergence = 0.5 * (
        log_variance - own.log_small + torch.exp(own.log_small - log_variance) - 1
        + (mean - guessed).square() * torch.exp(-log_variance)
    )  # fmt: skip
    likelihood = -_log_likelihood(image, guessed, 0.5 * log_variance)
    first = by_image(index == 0)
    bits: Tensor = torch.where(first, likelihood, divergence).flatten(1).mean(1) / math.log(2)
    return bits


class _Posterior:
    """Of the step before, given the clean image (Ho et al. 2020, equation 7); each (b, 1, 1, 1)."""

    def __init__(self, schedule: NoiseSchedule, index: Tensor, like: Tensor) -> None:
        betas = torch.from_numpy(schedule.betas)
        shares = torch.from_numpy(schedule.alpha_bars)
        before = torch.cat([torch.ones(1, dtype=shares.dtype), shares[:-1]])
        small = betas * (1 - before) / (1 - shares)
        # That of the first step is 0, whose logarithm is that of the second.
        small[0] = small[1] if len(small) > 1 else betas[0]
        columns = {
            "log_small": small.log(),
            "log_large": betas.log(),
            "of_image": before.sqrt() * betas / (1 - shares),
            "of_noisy": (1 - betas).sqrt() * (1 - before) / (1 - shares),
        }
        place = index.long().cpu()
        self._values = {name: by_image(column[place].to(like)) for name, column in columns.items()}
        self.log_small, self.log_large = self._values["log_small"], self._values["log_large"]

    def mean(self, image: Tensor, noisy_image: Tensor) -> Tensor:
        """(b, c, y, x)."""
        return self._values["of_image"] * image + self._values["of_noisy"] * noisy_image


def _log_likelihood(values: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Of 8-bit values from -1 to 1 under normal distributions, as approximated by the authors."""
    half, inverse = 1 / 255, torch.exp(-log_deviation)
    above = _share_below((values - mean + half) * inverse)
    below = _share_below((values - mean - half) * inverse)
    inner = torch.log((above - below).clamp_min(1e-12))
    low, high = torch.log(above.clamp_min(1e-12)), torch.log((1 - below).clamp_min(1e-12))
    return torch.where(values < -0.999, low, torch.where(values > 0.999, high, inner))


def _share_below(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def forgotten(style: Tensor, share: float) -> Tensor:
    """Numbers of styles (b,) of which that share, drawn at random, is 0, none."""
    if not share:
        return style
    return style * (torch.rand(len(style), device=style.device) >= share)


def dropped(condition: Tensor, share: float) -> Tensor:
    """Conditions (b, k, y, x) of which that share, drawn at random, is empty."""
    if not share:
        return condition
    kept = torch.rand(len(condition), device=condition.device) >= share
    return condition * by_image(kept.to(condition.dtype))
