"""Which steps of a schedule a sampler visits."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.errors import InputError

Spacing = Literal["leading", "quadratic", "even"]
Times = tuple[float, ...]


def check_steps(steps: int, schedule: NoiseSchedule) -> None:
    """Refuse fewer than one step, or more than there are."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise InputError(f"steps={steps!r}: expected a whole number.")
    if not 1 <= steps <= schedule.steps:
        raise InputError(
            f"steps={steps}: expected 1 to {schedule.steps}, as many as the model was trained with."
        )


def indices(schedule: NoiseSchedule, steps: int, spacing: Spacing = "leading") -> tuple[int, ...]:
    """Indices of the steps that are visited, the noisiest first.

    Parameters
    ----------
    spacing
        "leading": every (T // steps)-th one from 0 on, which are more than asked for, and may be
        many more, where T is no multiple, and stop short of the last; "quadratic": denser where
        there is less noise, up to 0.8 T (both Song et al., Denoising diffusion implicit models,
        ICLR 2021, appendix D.2); "even": from the first to the last (Nichol and Dhariwal 2021,
        section 4).
    """
    check_steps(steps, schedule)
    total = schedule.steps
    if spacing == "leading":
        found = np.arange(0, total, total // steps)
    elif spacing == "quadratic":
        found = np.floor(np.linspace(0, np.sqrt(0.8 * total), steps) ** 2)
    elif spacing == "even":
        # Added up as published: which way halves are rounded depends on it.
        stride = (total - 1) / max(steps - 1, 1)
        found = np.round(np.cumsum([0.0 if steps > 1 else stride] + [stride] * (steps - 1)))
    else:
        raise InputError(
            f"spacing={spacing!r}: expected one of {', '.join(map(repr, get_args(Spacing)))}."
        )
    return tuple(int(i) for i in np.unique(found)[::-1])


def karras_times(schedule: NoiseSchedule, steps: int, rho: float = 7.0) -> Times:
    """Times whose noise-to-signal ratios σ follow Karras et al. 2022, equation 5."""
    check_steps(steps, schedule)
    largest, smallest = (np.exp(-schedule.half_log_snr(t)) for t in (schedule.steps - 1, 0))
    place = np.linspace(0, 1, steps) if steps > 1 else np.zeros(1)
    ends = largest ** (1 / rho), smallest ** (1 / rho)
    sigmas = (ends[0] + place * (ends[1] - ends[0])) ** rho
    inner = [schedule.time_of(-float(np.log(sigma))) for sigma in sigmas[1:-1]]
    return (schedule.steps - 1.0, *inner, 0.0)[: max(steps, 1)]


Skip = Literal["time_uniform", "time_quadratic", "logSNR"]


def solver_times(
    schedule: NoiseSchedule, steps: int, skip: Skip = "time_uniform",
    first: float | None = None, last: float = 0.0,
) -> Times:  # fmt: skip
    """Times from `first` (the noisiest) to `last`, steps + 1 of them.

    Spaced evenly in time, in the square root of time, or in λ (Lu et al. 2022, DPM-Solver,
    appendix D.4; time is (index + 1) / T there).
    """
    start = schedule.steps - 1.0 if first is None else first
    if skip == "time_uniform":
        found = np.linspace(start, last, steps + 1)
    elif skip == "time_quadratic":
        found = np.linspace(math.sqrt(start + 1), math.sqrt(last + 1), steps + 1) ** 2 - 1
    elif skip == "logSNR":
        ends = schedule.half_log_snr(start), schedule.half_log_snr(last)
        found = np.array([schedule.time_of(x) for x in np.linspace(*ends, steps + 1).tolist()])
    else:
        raise InputError(f"skip={skip!r}: expected one of {', '.join(map(repr, get_args(Skip)))}.")
    # Not off by a rounding: before index 0 there is no noise.
    return (start, *found[1:-1].tolist(), last)[: steps + 1]
