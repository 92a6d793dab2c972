"""DPM-Solver and DPM-Solver++: exponential integrators of the probability flow."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from napari_tincture.diffusion._exponential import (
    ORDERS,
    Form,
    Known,
    Solver,
    evaluations,
    multistep,
    singlestep,
)
from napari_tincture.diffusion.estimate import Denoise
from napari_tincture.diffusion.sampling import Callback, Moment, Noise, silent
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Skip, Times, check_steps, solver_times
from napari_tincture.errors import InputError

Method = Literal["multistep", "singlestep"]
Predicted = Literal["image", "noise"]
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
    order: int = 2,
) -> Times:
    """Times from the noisiest to the first step, as many intervals as there are evaluations.

    Parameters
    ----------
    skip
        Spaced evenly in time, in its square root, or in the logarithm of the signal-to-noise
        ratio.
    """
    check_steps(steps, schedule)
    _check(method, order)
    first = schedule.steps - 1.0
    if schedule.half_log_snr(first) < SMALLEST_LAMBDA:
        first = schedule.time_of(SMALLEST_LAMBDA)
    if method == "multistep" or skip != "logSNR":
        return solver_times(schedule, steps, skip, first)
    groups = evaluations(steps, order)
    outer = solver_times(schedule, len(groups), skip, first)
    found = [outer[0]]
    for start, end, inner in zip(outer, outer[1:], groups, strict=False):
        found += solver_times(schedule, inner, skip, start, end)[1:]
    return tuple(found)


def sample(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    times: Times,
    *,
    noise: Noise,  # noqa: ARG001 - every sampler is given one
    callback: Callback = silent,
    order: int = 2,
    method: Method = "multistep",
    form: Form = "midpoint",
    predicted: Predicted = "image",
    threshold: float = 0.0,
    lower_order_final: bool = True,
    denoise_to_zero: bool = False,
) -> Tensor:
    """Integrate from the first time to the last, with one evaluation per interval.

    Parameters
    ----------
    order
        1 (which is DDIM), 2 or 3.
    method
        "multistep" uses evaluations of earlier steps, "singlestep" evaluates within a step.
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
    _check(method, order)
    solver = Solver(denoise, schedule, predicted, form, threshold)
    steps = len(times) - 1
    if method == "singlestep":
        x = _single(solver, x, times, order, callback)
    else:
        final = lower_order_final and steps < FEW
        x = _multi(solver, x, times, order, final, callback)
    if denoise_to_zero or not steps:
        x = denoise(x, times[-1]).image
    return x


def _multi(
    solver: Solver, x: Tensor, times: Times, order: int, final: bool, callback: Callback
) -> Tensor:
    steps = len(times) - 1
    known: list[Known] = []
    for k in range(steps):
        known = [*known[-(order - 1) :], solver.at(x, times[k])] if order > 1 else [
            solver.at(x, times[k])
        ]  # fmt: skip
        own = min(order, k + 1, steps - k) if final else min(order, k + 1)
        x = multistep(solver, x, known[-own:], times[k + 1])
        callback(Moment(k + 1, steps, x, known[-1].image))
    return x


def _single(solver: Solver, x: Tensor, times: Times, order: int, callback: Callback) -> Tensor:
    steps, place = len(times) - 1, 0
    for inner in evaluations(steps, order):
        x, image = singlestep(solver, x, times[place : place + inner + 1])
        place += inner
        callback(Moment(place, steps, x, image))
    return x


def _check(method: str, order: int) -> None:
    if method not in get_args(Method) or order not in ORDERS:
        raise InputError(
            f"method={method!r}, order={order!r}: expected 'multistep' or 'singlestep', and order "
            "1, 2 or 3."
        )
