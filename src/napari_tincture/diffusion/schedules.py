"""Noise schedules: how much of an image is left after each step of noising.

``x_i = sqrt(alpha_bar_i) x_0 + sqrt(1 - alpha_bar_i) noise`` for steps i = 0 … T - 1 (Ho et al.,
Denoising diffusion probabilistic models, NeurIPS 2020, equation 4).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError

Values = NDArray[np.float64]
LARGEST_BETA = 0.999


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """What the steps of noising are.

    Attributes
    ----------
    betas
        (T,) variance that each step adds, float64. Shares are those of betas up to 0.999, so that
        a network never has to find an image of which nothing is left.
    """

    betas: Values

    def __post_init__(self) -> None:
        betas = self.betas
        if betas.ndim != 1 or not len(betas) or not ((betas > 0) & (betas <= 1)).all():
            raise InputError(
                f"A noise schedule has a beta in (0, 1] for every step, got {betas.size} values"
                + (f" from {betas.min():g} to {betas.max():g}." if betas.size else ".")
            )

    @property
    def steps(self) -> int:
        """How many steps there are, T."""
        return len(self.betas)

    @cached_property
    def alpha_bars(self) -> Values:
        """(T,) share of the image's variance that is left after each step."""
        shares: Values = np.cumprod(1 - np.minimum(self.betas, LARGEST_BETA), dtype=np.float64)
        return shares

    @cached_property
    def log_alphas(self) -> Values:
        """(T,) logarithm of the factor that the image is multiplied by."""
        return 0.5 * np.cumsum(np.log1p(-np.minimum(self.betas, LARGEST_BETA)))

    def alpha_bar(self, time: float) -> float:
        """Share at a step's index; 1 before the first one (-1), between steps as `log_alpha`."""
        if time < 0:
            return 1.0
        if time == int(time):
            return float(self.alpha_bars[int(time)])
        return float(np.exp(2 * self.log_alpha(time)))

    def log_alpha(self, time: float) -> float:
        """Piecewise linear between steps (Lu et al., DPM-Solver, NeurIPS 2022, appendix D.4)."""
        return float(np.interp(time, np.arange(self.steps), self.log_alphas))

    def half_log_snr(self, time: float) -> float:
        """Half the logarithm of the signal-to-noise ratio, λ of DPM-Solver."""
        log_alpha = self.log_alpha(time)
        return log_alpha - 0.5 * float(np.log(-np.expm1(2 * log_alpha)))

    def time_of(self, half_log_snr: float) -> float:
        """The index, between steps, at which λ is this."""
        log_alpha = -0.5 * float(np.logaddexp(0.0, -2 * half_log_snr))
        times = np.arange(self.steps, dtype=float)
        return float(np.interp(log_alpha, self.log_alphas[::-1], times[::-1]))

    def level(self, time: float) -> float:
        """The factor of the image, which networks may be told instead of the step."""
        return float(np.sqrt(self.alpha_bar(time)))

    def time_of_level(self, level: float) -> float:
        """The index, between steps, at which the factor of the image is this."""
        wanted = float(np.log(np.clip(level, 1e-12, 1.0)))
        times = np.arange(self.steps, dtype=float)
        return float(np.interp(wanted, self.log_alphas[::-1], times[::-1]))


def noise_schedule(name: str = "linear", steps: int = 1000, **options: float) -> NoiseSchedule:
    """Make a schedule by its name, see `SCHEDULES`.

    Parameters
    ----------
    options
        "start" and "end": first and last beta, of those that have them; "offset" of "cosine".

    Raises
    ------
    InputError
        If there is none of that name, or it has other options; the message lists what there is.
    """
    if name not in SCHEDULES:
        raise InputError(f"Unknown noise schedule {name!r}; known are {', '.join(SCHEDULES)}.")
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise InputError(f"steps={steps!r}: expected a whole number of at least 1.")
    known = list(inspect.signature(SCHEDULES[name]).parameters)[1:]
    strange = sorted(options.keys() - set(known))
    if strange:
        raise InputError(
            f"Noise schedule {name!r} has no option {', '.join(strange)}; it has "
            f"{', '.join(known) or 'none'}."
        )
    return NoiseSchedule(SCHEDULES[name](int(steps), **options))


def from_card(values: Mapping[str, Any]) -> NoiseSchedule:
    """The schedule that a card's `Denoising.schedule` names."""
    return noise_schedule(**values)


def linear(steps: int, start: float = 1e-4, end: float = 2e-2) -> Values:
    """Betas that grow evenly (Ho et al. 2020, section 4)."""
    return np.linspace(start, end, steps)


def quadratic(steps: int, start: float = 1e-4, end: float = 2e-2) -> Values:
    """Betas whose square roots grow evenly."""
    return np.linspace(start**0.5, end**0.5, steps) ** 2


def sigmoid(steps: int, start: float = 1e-4, end: float = 2e-2) -> Values:
    """Betas along a logistic curve from -6 to 6."""
    x = np.linspace(-6, 6, steps)
    return (end - start) / (1 + np.exp(-x)) + start


def constant(steps: int, end: float = 2e-2) -> Values:
    """The last beta at every step."""
    return np.full(steps, end)


def reciprocal(steps: int) -> Values:
    """1/T, 1/(T-1), …, 1 (Sohl-Dickstein et al. 2015)."""
    return 1.0 / np.linspace(steps, 1, steps)


def cosine(steps: int, offset: float = 0.008) -> Values:
    """Shares along a squared cosine (Nichol and Dhariwal 2021, equation 17)."""
    angle = (np.arange(steps + 1) / steps + offset) / (1 + offset) * np.pi / 2
    shares = np.cos(angle) ** 2
    betas: Values = np.minimum(1 - shares[1:] / shares[:-1], LARGEST_BETA)
    return betas


SCHEDULES: Mapping[str, Callable[..., Values]] = {
    "linear": linear, "cosine": cosine, "quadratic": quadratic, "sigmoid": sigmoid,
    "constant": constant, "reciprocal": reciprocal,
}  # fmt: skip
