"""DPM-Solver and DPM-Solver++: exponential integrators of the probability flow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from torch import Tensor

from napari_tincture.diffusion._exponential import (
    Form,
    Known,
    Order,
    Solver,
    multistep,
    orders,
    singlestep,
)
from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.options import Between
from napari_tincture.diffusion.sampling import Callback, Moment, Noise, silent
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Skip, Times, check_steps, solver_times

Method = Literal["multistep", "singlestep"]
Predicted = Literal["image", "noise"]
Quantile = Annotated[float, Between(0, 1)]
SMALLEST_LAMBDA = -5.1
"""Below, schedules such as the cosine one have hardly any image left to compute with."""
FEW = 10
"""Fewer steps than this end with lower orders, which is more stable (the published default)."""


def adds_noise() -> bool:
    """It never does."""
    return False


def times(
    schedule: NoiseSchedule,
    steps: int,
    skip: Skip = "time_uniform",
    method: Method = "multistep",
    order: Order = 2,
) -> Times:
    """Times from the noisiest to the first step, as many intervals as there are evaluations.

    Parameters
    ----------
    skip
        Spaced evenly in time, in its square root, or in the logarithm of the signal-to-noise
        ratio.
    """
    check_steps(steps, schedule)
    first = schedule.steps - 1.0
    if schedule.half_log_snr(first) < SMALLEST_LAMBDA:
        first = float(int(schedule.time_of(SMALLEST_LAMBDA)))
    if method == "multistep" or skip != "logSNR":
        return solver_times(schedule, steps, skip, first)
    groups = orders(steps, order)
    outer = solver_times(schedule, len(groups), skip, first)
    found = [outer[0]]
    for start, end, inner in zip(outer, outer[1:], groups, strict=False):
        found += solver_times(schedule, inner, skip, start, end)[1:]
    return tuple(found)


def evaluations(times: Times, denoise_to_zero: bool = False) -> int:
    """One per interval, and perhaps one at the end."""
    return max(len(times) - 1 + denoise_to_zero, 1)


def sample(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    times: Times,
    *,
    noise: Noise,  # noqa: ARG001 - every sampler is given one
    callback: Callback = silent,
    order: Order = 2,
    method: Method = "multistep",
    form: Form = "midpoint",
    predicted: Predicted = "image",
    threshold: Quantile = 0.0,
    lower_order_final: bool = True,
    denoise_to_zero: bool = False,
) -> Tensor:
    """Integrate from the first time to the last, with one evaluation per interval.

    Parameters
    ----------
    order
        1 (which is DDIM), 2 or 3.
    method
        "multistep" uses evaluations of earlier steps, "singlestep" evaluates within a step, which
        then spans as many times as there are orders.
    form
        How derivatives enter: "midpoint" (the papers' algorithms), or "taylor".
    predicted
        What is interpolated: the "image" (DPM-Solver++) or the "noise" (DPM-Solver).
    threshold
        Dynamic thresholding of the image at this quantile of its magnitude (Saharia et al.,
        Photorealistic text-to-image diffusion models, NeurIPS 2022, section 2.3); 0: none; 0.995 is
        usual. It needs a denoiser that does not clip.
    lower_order_final
        Whether the last of fewer than 10 multi-steps are of lower order.
    denoise_to_zero
        Whether what little noise is left at the end is taken away by one more evaluation.

    References
    ----------
    Lu et al., DPM-Solver, NeurIPS 2022, algorithms 1, 2, 4 and 5; Lu et al., DPM-Solver++, arXiv
    2211.01095, algorithms 1 and 2 and appendix B.
    """
    solver = Solver(denoise, schedule, predicted, form, threshold)
    intervals = len(times) - 1
    if method == "singlestep":
        steps = _single(solver, x, times, order)
        count = len(orders(intervals, order))
    else:
        steps = _multi(solver, x, times, order, lower_order_final and intervals < FEW)
        count = intervals
    cleans = denoise_to_zero or not intervals
    for number, (x, image) in enumerate(steps, 1):
        callback(Moment(number, count + cleans, x, image))
    if cleans:
        x = solver.image(x, times[-1])
        callback(Moment(count + 1, count + 1, x, x))
    return x


def _multi(
    solver: Solver, x: Tensor, times: Times, order: int, final: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    steps = len(times) - 1
    known: list[Known] = []
    for k in range(steps):
        known = [*known, solver.at(x, times[k])][-order:]
        own = min(order, steps - k) if final else order
        x = multistep(solver, x, known[-own:], times[k + 1])
        yield x, known[-1].image


def _single(solver: Solver, x: Tensor, times: Times, order: int) -> Iterator[tuple[Tensor, Tensor]]:
    place = 0
    for inner in orders(len(times) - 1, order):
        x, image = singlestep(solver, x, times[place : place + inner + 1])
        place += inner
        yield x, image
