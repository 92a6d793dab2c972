"""Against recorded runs, and against the integrals that the papers begin with, by quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from known_denoisers import OfNormal, Watched, no_noise, normal
from numpy.typing import NDArray
from recorded_trajectories import arrays_of, recorded_denoiser

from napari_tincture.diffusion._exponential import dynamic_threshold, orders
from napari_tincture.diffusion.estimate import Estimate
from napari_tincture.diffusion.sampling import find_sampler
from napari_tincture.diffusion.schedules import NoiseSchedule, noise_schedule

Values = NDArray[np.float64]
RECORDED = {
    "pp1_uniform10": (10, {"order": 1}, 1.8e-6),
    "pp2M_uniform10": (10, {}, 2.7e-5),
    "pp2M_uniform20": (20, {}, 1.4e-5),
}
"""Steps, options, and how far float32 and float64 runs of the published program are apart."""
SCHEDULE = noise_schedule("linear", 1000)


@pytest.mark.parametrize("run", RECORDED)
def test_runs_are_those_recorded(run: str) -> None:
    known, (steps, options, noise) = arrays_of("dpm_solver"), RECORDED[run]
    schedule, sampler = NoiseSchedule(known["betas"]), find_sampler("dpm_solver", **options)
    told = []
    made = sampler(
        recorded_denoiser(schedule), torch.from_numpy(known["xT"]), schedule,
        sampler.times(schedule, steps), noise=no_noise, callback=told.append,
    )  # fmt: skip
    np.testing.assert_allclose(made, known[run], rtol=0, atol=1.5 * noise)
    # A float64 run has the roundings of this float32 one as its only difference.
    np.testing.assert_allclose(made, known[f"{run}_f64"], rtol=0, atol=2e-6)
    if f"{run}_inter" in known:
        xs = [moment.x for moment in told]
        np.testing.assert_allclose(xs, known[f"{run}_inter"][1:], rtol=0, atol=1.5 * noise)


class Integrated:
    """The probability flow's integral of a polynomial through what was predicted."""

    def __init__(self, predicted: str, form: str) -> None:
        self.of_image, self.form = predicted == "image", form
        self.denoise = recorded_denoiser(SCHEDULE)

    def ask(self, x: Values, time: float) -> tuple[float, Values]:
        found = self.denoise(torch.from_numpy(x), time)
        return SCHEDULE.half_log_snr(time), (found.image if self.of_image else found.noise).numpy()

    def carry(self, x: Values, ends: tuple[float, float], polynomial: Any) -> Values:
        """DPM-Solver++, equation 8; DPM-Solver, equation 3.4."""
        nodes, weights = np.polynomial.legendre.leggauss(24)
        start, end = ends
        sign = 1 if self.of_image else -1
        places = start + (nodes + 1) / 2 * (end - start)
        total = sum(
            w * np.exp(sign * p) * polynomial(p) for w, p in zip(weights, places, strict=True)
        )
        alpha, sigma = ((1 + np.exp(-2 * s * np.array(ends))) ** -0.5 for s in (1, -1))
        kept = sigma if self.of_image else alpha
        return kept[1] / kept[0] * x + sign * kept[1] * total * (end - start) / 2

    def second(self, x: Values, ends: tuple[float, float], known: list) -> Values:
        line = lagrange(known)
        if self.form == "taylor":
            return self.carry(x, ends, line)
        middle = line((ends[0] + ends[1]) / 2)
        return self.carry(x, ends, lambda _: middle)

    def multistep(self, x: Values, ends: tuple[float, float], known: list) -> Values:
        if len(known) < 3:
            return (self.carry if len(known) == 1 else self.second)(
                x, ends, lagrange(known) if len(known) == 1 else known
            )
        parabola, step = lagrange(known), 1e-3
        ahead, behind = parabola(ends[0] + step), parabola(ends[0] - step)

        def published(place: float) -> Values:
            # Half way between the parabola and its tangent: the published program halves the bend.
            tangent = known[-1][1] + (ahead - behind) / (2 * step) * (place - ends[0])
            return (parabola(place) + tangent) / 2

        return self.carry(x, ends, published)

    def singlestep(self, x: Values, times: tuple[float, ...]) -> Values:
        begun, rest = self.ask(x, times[0]), times[1:]
        to = [(begun[0], SCHEDULE.half_log_snr(time)) for time in rest]
        after = self.carry(x, to[0], lagrange([begun]))
        if len(rest) == 1:
            return after
        known = [begun, self.ask(after, rest[0])]
        if len(rest) == 2:
            return self.second(x, to[1], known)
        known.append(self.ask(self.carry(x, to[1], lagrange(known)), rest[1]))
        return self.carry(x, to[2], lagrange(known if self.form == "taylor" else known[::2]))


def lagrange(known: list[tuple[float, Values]]) -> Any:
    """The polynomial through values at places."""

    def value(place: float) -> Values:
        return sum(
            own * np.prod([(place - other) / (at - other) for other, _ in known if other != at])
            for at, own in known
        )

    return value


@pytest.mark.parametrize("skip", ["time_uniform", "time_quadratic", "logSNR"])
@pytest.mark.parametrize("form", ["midpoint", "taylor"])
@pytest.mark.parametrize("predicted", ["image", "noise"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("steps", "final"), [(5, True), (5, False), (12, True)])
def test_multisteps_are_integrals_of_polynomials(
    steps: int, final: bool, order: int, predicted: str, form: str, skip: str
) -> None:
    x, ours = normal((1, 1, 3, 4), dtype=torch.float64), Integrated(predicted, form)
    sampler = find_sampler(
        "dpm_solver", order=order, predicted=predicted, form=form, skip=skip,
        lower_order_final=final,
    )  # fmt: skip
    times = sampler.times(SCHEDULE, steps)
    made = sampler(ours.denoise, x, SCHEDULE, times, noise=no_noise)
    y, known = x.numpy(), []
    for k in range(steps):
        known.append(ours.ask(y, times[k]))
        # Lower orders at the end of fewer than ten steps only.
        own = min(order, k + 1, steps - k if final and steps < 10 else order)
        ends = known[-1][0], SCHEDULE.half_log_snr(times[k + 1])
        y = ours.multistep(y, ends, known[-own:])
    # Roundings of float64 times 150², as images are divided by their factor in between.
    np.testing.assert_allclose(made, y, rtol=0, atol=1e-9)


@pytest.mark.parametrize("skip", ["time_uniform", "time_quadratic", "logSNR"])
@pytest.mark.parametrize("form", ["midpoint", "taylor"])
@pytest.mark.parametrize("predicted", ["image", "noise"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("steps", [10, 11, 12])
def test_singlesteps_are_integrals_of_polynomials(
    steps: int, order: int, predicted: str, form: str, skip: str
) -> None:
    x, ours = normal((1, 1, 3, 4), dtype=torch.float64), Integrated(predicted, form)
    sampler = find_sampler(
        "dpm_solver", order=order, predicted=predicted, form=form, skip=skip, method="singlestep"
    )
    times = sampler.times(SCHEDULE, steps)
    made = sampler(ours.denoise, x, SCHEDULE, times, noise=no_noise)
    y, place = x.numpy(), 0
    for own in ORDERS[order, steps]:
        y = ours.singlestep(y, times[place : place + own + 1])
        place += own
    np.testing.assert_allclose(made, y, rtol=0, atol=1e-9)


ORDERS = {
    (1, 10): [1] * 10, (1, 11): [1] * 11, (1, 12): [1] * 12,
    (2, 10): [2] * 5, (2, 11): [2] * 5 + [1], (2, 12): [2] * 6,
    (3, 10): [3, 3, 3, 1], (3, 11): [3, 3, 3, 2], (3, 12): [3, 3, 3, 2, 1],
}  # fmt: skip
"""DPM-Solver, appendix D.3: as many third-order steps as leave 1, 2 or, of multiples, 2 + 1."""


@pytest.mark.parametrize("order", [1, 2, 3])
def test_singlesteps_ask_as_often_as_there_are_steps(order: int) -> None:
    for steps in range(30):
        found = orders(steps, order)
        assert sum(found) == steps
        assert all(1 <= own <= order for own in found)
    for (own, steps), wanted in ORDERS.items():
        assert orders(steps, own) == wanted


def test_singlesteps_are_of_one_length_in_the_logarithm_of_the_ratio() -> None:
    sampler = find_sampler("dpm_solver", method="singlestep", order=3, skip="logSNR")
    lambdas = np.array([SCHEDULE.half_log_snr(time) for time in sampler.times(SCHEDULE, 12)])
    # 12 = 3 + 3 + 3 + 2 + 1: five steps of one length, each evenly divided.
    outer = lambdas[np.cumsum([0, 3, 3, 3, 2, 1])]
    np.testing.assert_allclose(np.diff(outer), (outer[-1] - outer[0]) / 5, rtol=1e-9)
    np.testing.assert_allclose(np.diff(lambdas)[:9], (outer[1] - outer[0]) / 3, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "steps", "order"),
    [
        ({"order": 1}, 48, 1),
        ({"order": 2}, 48, 2),
        ({"order": 2, "form": "taylor"}, 48, 2),
        # The published halved bend costs an order, but not the smaller errors.
        ({"order": 3}, 96, 2),
        ({"order": 2, "method": "singlestep"}, 96, 2),
        ({"order": 2, "method": "singlestep", "form": "taylor"}, 48, 2),
        # Steps that end with one of second order, which is third order once.
        ({"order": 3, "method": "singlestep"}, 191, 3),
        ({"order": 3, "method": "singlestep", "form": "taylor"}, 191, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("predicted", ["image", "noise"])
def test_errors_fall_with_the_order(
    options: dict[str, Any], predicted: str, steps: int, order: int
) -> None:
    sampler = find_sampler("dpm_solver", predicted=predicted, skip="logSNR", **options)
    denoise, x = OfNormal(0.3, 0.5, SCHEDULE), torch.full((1, 1, 1, 1), -2.0, dtype=torch.float64)
    errors = []
    for count in (steps, 2 * steps + steps % 2):
        times = sampler.times(SCHEDULE, count)
        made = sampler(denoise, x, SCHEDULE, times, noise=no_noise)
        errors.append(float((made - denoise.flow(x, times[0], times[-1])).abs()))
    # Steps so many that the next term of the error is small against the first.
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("predicted", ["image", "noise"])
def test_first_order_is_ddim(predicted: str) -> None:
    x, times = normal((1, 1, 4, 4), dtype=torch.float64), (999, 700, 311, 20, 0)
    denoise, told = recorded_denoiser(SCHEDULE), []
    made = find_sampler("dpm_solver", order=1, predicted=predicted)(
        denoise, x, SCHEDULE, times, noise=no_noise
    )
    find_sampler("ddim")(denoise, x, SCHEDULE, times, noise=no_noise, callback=told.append)
    torch.testing.assert_close(made, told[-2].x, rtol=0, atol=1e-10)


def test_what_noise_is_left_may_be_taken_away() -> None:
    x, denoise = normal((1, 1, 4, 4)), recorded_denoiser(SCHEDULE)
    made = {}
    for cleans in (False, True):
        sampler = find_sampler("dpm_solver", denoise_to_zero=cleans)
        times = sampler.times(SCHEDULE, 10)
        made[cleans] = sampler(denoise, x, SCHEDULE, times, noise=no_noise)
    assert torch.equal(made[True], denoise(made[False], 0.0).image)


def test_thresholds_hold_for_every_guess_and_the_last() -> None:
    class Bright:
        def __call__(self, x: torch.Tensor, time: float) -> Estimate:
            return Estimate(5 * torch.ones_like(x), x)

    told = []
    sampler = find_sampler("dpm_solver", threshold=0.5, denoise_to_zero=True)
    made = sampler(
        Bright(), normal((1, 1, 4, 4)), SCHEDULE, sampler.times(SCHEDULE, 4),
        noise=no_noise, callback=told.append,
    )  # fmt: skip
    assert all(torch.equal(m.image, torch.ones(1, 1, 4, 4)) for m in told)
    assert torch.equal(made, torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.995, 1.0])
@pytest.mark.parametrize("side", [1, 7, 64])
def test_dynamic_thresholds_are_quantiles_of_each_image(quantile: float, side: int) -> None:
    image = normal((3, 2, side, side)) * torch.tensor([0.1, 1.0, 3.0]).reshape(3, 1, 1, 1)
    found = dynamic_threshold(image, quantile)
    magnitudes = image.double().abs().reshape(3, -1)
    bounds = torch.quantile(magnitudes, quantile, dim=1).clamp_min(1).float()
    for own, result, bound in zip(image, found, bounds, strict=True):
        # The quantile is interpolated in float32: three roundings of numbers around 1.
        torch.testing.assert_close(result, own.clamp(-bound, bound) / bound, rtol=0, atol=4e-7)
    assert torch.equal(found[0], image[0])


def test_steps_without_any_image_left_are_skipped() -> None:
    schedule = noise_schedule("cosine", 1000)
    first = find_sampler("dpm_solver").times(schedule, 10)[0]
    assert schedule.half_log_snr(first) >= -5.1 > schedule.half_log_snr(first + 1)
    assert first == int(first)


def test_as_many_evaluations_as_steps_were_asked_for() -> None:
    for options in ({}, {"method": "singlestep", "order": 3, "skip": "logSNR"}):
        sampler = find_sampler("dpm_solver", **options)
        for steps in range(1, 14):
            times, denoise = sampler.times(SCHEDULE, steps), Watched(recorded_denoiser(SCHEDULE))
            sampler(denoise, normal((1, 1, 2, 2)), SCHEDULE, times, noise=no_noise)
            assert len(denoise.times) == steps == len(times) - 1
