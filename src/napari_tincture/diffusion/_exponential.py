"""Steps of exponential integrators, in the half logarithm λ of the signal-to-noise ratio.

A quantity that the network predicts, the image or the noise, is taken as a polynomial in λ over a
step; all else of the probability flow is solved exactly (Lu et al., DPM-Solver, equation 3.4;
DPM-Solver++, equation 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.schedules import NoiseSchedule

Form = Literal["midpoint", "taylor"]
Order = Literal[1, 2, 3]


@dataclass(frozen=True, slots=True)
class Known:
    """What was predicted at a time: the quantity that is interpolated, and the image."""

    half_log_snr: float
    value: Tensor
    image: Tensor


@dataclass(frozen=True, slots=True)
class Solver:
    """A denoiser as the integrator asks it."""

    denoise: Denoise
    schedule: NoiseSchedule
    predicted: str
    form: Form
    threshold: float

    def at(self, x: Tensor, time: float) -> Known:
        """Ask for a prediction."""
        found = self.denoise(x, time)
        if self.predicted == "noise":
            return Known(self.schedule.half_log_snr(time), found.noise, found.image)
        image = self._thresholded(found.image)
        return Known(self.schedule.half_log_snr(time), image, image)

    def image(self, x: Tensor, time: float) -> Tensor:
        """The clean image of one with little noise left."""
        return self._thresholded(self.denoise(x, time).image)

    def transfer(self, start: float, end: float) -> Transfer:
        """How an image is carried from one λ to another."""
        return Transfer(start, end, self.predicted == "image")

    def _thresholded(self, image: Tensor) -> Tensor:
        return dynamic_threshold(image, self.threshold) if self.threshold else image


def dynamic_threshold(image: Tensor, quantile: float, largest: float = 1.0) -> Tensor:
    """Clip each image at a quantile of its magnitude, but not below `largest`, and rescale."""
    # torch.quantile takes 16 million values at most; of the largest few, there is no need to sort.
    flat = image.abs().flatten(1)
    place = quantile * (flat.shape[1] - 1)
    top = flat.topk(flat.shape[1] - int(place), dim=1).values
    low, high = top[:, -1], top[:, -2] if place > int(place) else top[:, -1]
    bound = low + (high - low) * (place - int(place))
    bound = bound.clamp_min(largest).reshape(-1, 1, 1, 1)
    return torch.maximum(torch.minimum(image, bound), -bound) / bound


@dataclass(frozen=True, slots=True)
class Transfer:
    """Coefficients of a step from one λ to another, with h its length.

    `of_image`: whether the image is interpolated, and not the noise.
    """

    start: float
    end: float
    of_image: bool

    @property
    def h(self) -> float:
        """Length of the step, above 0 towards less noise."""
        return self.end - self.start

    def kept(self) -> float:
        """Factor of the image as it is."""
        if self.of_image:
            return _sigma(self.end) / _sigma(self.start)
        return _alpha(self.end) / _alpha(self.start)

    def weights(self) -> tuple[float, float, float]:
        """Factors of the quantity at the start, of h times its derivative, of h² times the second.

        They are integrals over the step of exp(±λ) times 1, the place within it, and half of the
        place squared (DPM-Solver++, equation 10; DPM-Solver, equation 3.6).
        """
        sign = -1.0 if self.of_image else 1.0
        scale = _alpha(self.end) if self.of_image else _sigma(self.end)
        first = float(np.expm1(sign * self.h))
        second = first / self.h - sign
        third = second / self.h - 0.5
        return -scale * first, -sign * scale * second, -scale * third

    def apply(self, x: Tensor, value: Tensor, *derivatives: Tensor) -> Tensor:
        """Carry an image to the end of the step."""
        found = self.kept() * x
        for weight, term in zip(self.weights(), (value, *derivatives), strict=False):
            found = found + weight * term
        return found

    def middle(self, x: Tensor, value: Tensor, derivative: Tensor) -> Tensor:
        """The second order with the derivative's factor as the papers' algorithms have it."""
        return self.apply(x, value + 0.5 * derivative)


def _alpha(half_log_snr: float) -> float:
    return float(np.exp(-0.5 * np.logaddexp(0.0, -2 * half_log_snr)))


def _sigma(half_log_snr: float) -> float:
    return float(np.exp(-0.5 * np.logaddexp(0.0, 2 * half_log_snr)))


def orders(steps: int, order: int) -> list[int]:
    """Orders of single-steps that need `steps` evaluations in all (DPM-Solver, appendix D.3)."""
    if order == 1:
        return [1] * steps
    if order == 2:
        return [2] * (steps // 2) + [1] * (steps % 2)
    whole = steps // 3
    if steps % 3:
        return [3] * whole + [steps % 3]
    return [3] * (whole - 1) + [2, 1] if whole else []


def multistep(solver: Solver, x: Tensor, known: Sequence[Known], end: float) -> Tensor:
    """One step of as many orders as there are predictions, the oldest first (algorithm 2)."""
    now = known[-1]
    step = solver.transfer(now.half_log_snr, solver.schedule.half_log_snr(end))
    if len(known) == 1:
        return step.apply(x, now.value)
    last = known[-2]
    ratio = (now.half_log_snr - last.half_log_snr) / step.h
    slope = (now.value - last.value) / ratio
    if len(known) == 2:
        return _second(solver, step, x, now.value, slope)
    older = known[-3]
    other = (last.half_log_snr - older.half_log_snr) / step.h
    # As published, which is half of the second derivative of the parabola through the three.
    bend = (slope - (last.value - older.value) / other) / (ratio + other)
    return step.apply(x, now.value, slope + ratio * bend, bend)


def singlestep(solver: Solver, x: Tensor, times: Sequence[float]) -> tuple[Tensor, Tensor]:
    """One step with an evaluation at each time but the last; the image as guessed at first, too.

    DPM-Solver, algorithms 1, 4 and 5.
    """
    start = solver.at(x, times[0])
    whole = solver.transfer(start.half_log_snr, solver.schedule.half_log_snr(times[-1]))
    if len(times) == 2:
        return whole.apply(x, start.value), start.image
    first, r1 = _within(solver, start, times[1], whole.h)
    second = solver.at(first.apply(x, start.value), times[1])
    slope = (second.value - start.value) / r1
    if len(times) == 3:
        return _second(solver, whole, x, start.value, slope), start.image
    then, r2 = _within(solver, start, times[2], whole.h)
    third = solver.at(then.apply(x, start.value, r2 * slope), times[2])
    other = (third.value - start.value) / r2
    if solver.form == "midpoint":
        return whole.apply(x, start.value, other), start.image
    bend = 2 * (other - slope) / (r2 - r1)
    slope = (r2 * slope - r1 * other) / (r2 - r1)
    return whole.apply(x, start.value, slope, bend), start.image


def _within(solver: Solver, start: Known, time: float, length: float) -> tuple[Transfer, float]:
    """A step to a time within another step, and what share of that it is."""
    part = solver.transfer(start.half_log_snr, solver.schedule.half_log_snr(time))
    return part, part.h / length


def _second(solver: Solver, step: Transfer, x: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    if solver.form == "midpoint":
        return step.middle(x, value, slope)
    return step.apply(x, value, slope)
