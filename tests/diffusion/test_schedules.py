from __future__ import annotations

import numpy as np
import pytest
from recorded_trajectories import arrays_of

from napari_tincture.diffusion.schedules import (
    SCHEDULES,
    NoiseSchedule,
    from_card,
    noise_schedule,
)
from napari_tincture.errors import InputError

PUBLISHED = {
    "quad": ("quadratic", {}),
    "linear": ("linear", {}),
    "const": ("constant", {}),
    "jsd": ("reciprocal", {}),
    "sigmoid": ("sigmoid", {}),
}


@pytest.fixture(params=[(name, steps) for name in SCHEDULES for steps in (2, 20, 1000)], ids=str)
def schedule(request: pytest.FixtureRequest) -> NoiseSchedule:
    return noise_schedule(*request.param)


@pytest.mark.parametrize("published", PUBLISHED)
def test_betas_are_those_recorded(published: str) -> None:
    name, options = PUBLISHED[published]
    found = noise_schedule(name, 50, **options).betas
    # The order of a few operations of float64.
    np.testing.assert_allclose(
        found, arrays_of("ddim_trajectory")[f"betas_{published}"], rtol=4e-16
    )


def test_signal_to_noise_ratios_are_those_recorded() -> None:
    known = arrays_of("dpm_solver")
    schedule = NoiseSchedule(known["betas"])
    assert schedule.steps == known["ns_total_N"]
    times = known["ns_t"].astype(float) * 1000 - 1
    log_alphas = [schedule.log_alpha(time) for time in times]
    # Sums up to 5 in float32, as published.
    np.testing.assert_allclose(log_alphas, known["ns_log_alpha"], rtol=3e-7, atol=3e-7)
    stds = [(1 - schedule.alpha_bar(time)) ** 0.5 for time in times]
    # 1 - alpha_bar is 1e-4 at first, with a rounding of 6e-8.
    np.testing.assert_allclose(stds, known["ns_std"], rtol=6e-4)
    lambdas = [schedule.half_log_snr(time) for time in times]
    np.testing.assert_allclose(lambdas, known["ns_lambda"], rtol=0, atol=6e-4)
    # Their inverse, in units of the whole schedule.
    back = [(schedule.time_of(x) + 1) / 1000 for x in known["ns_lambda"].astype(float)]
    np.testing.assert_allclose(back, known["ns_inv_lambda"], rtol=0, atol=3e-7)


def test_cosine_shares_are_those_of_the_paper() -> None:
    def f(t: float) -> float:
        return np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2

    found = noise_schedule("cosine", 1000)
    wanted = [f(t + 1) / f(0) for t in range(1000)]
    # Up to where betas are cut off at 0.999; a sum of 1000 roundings.
    np.testing.assert_allclose(found.alpha_bars[:999], wanted[:999], rtol=1e-10)
    assert found.betas.max() == 0.999


def test_shares_fall_from_nearly_one_to_more_than_nothing(schedule: NoiseSchedule) -> None:
    shares = schedule.alpha_bars
    assert shares[0] < 1
    assert (np.diff(shares) < 0).all()
    assert shares[-1] > 0
    assert schedule.alpha_bar(-1) == 1


def test_ratios_and_levels_tell_the_time(schedule: NoiseSchedule) -> None:
    for time in np.linspace(0, schedule.steps - 1, 13):
        for back in (
            schedule.time_of(schedule.half_log_snr(time)),
            schedule.time_of_level(schedule.level(time)),
        ):
            # Near step 0 the share is off 1 by 1e-4, of which 1e-16 / 1e-4 is rounding.
            assert back == pytest.approx(time, abs=1e-8)


def test_between_steps_values_lie_between(schedule: NoiseSchedule) -> None:
    low, middle, high = (schedule.alpha_bar(t) for t in (1, 0.5, 0))
    assert low < middle < high
    # The geometric mean, as logarithms are interpolated.
    assert middle == pytest.approx((low * high) ** 0.5, rel=1e-13)
    assert schedule.alpha_bar(1 - 1e-9) == pytest.approx(low, rel=1e-7)
    assert schedule.half_log_snr(0.5) == pytest.approx(
        0.5 * np.log(middle / (1 - middle)), rel=1e-10, abs=1e-10
    )


def test_cards_name_schedules() -> None:
    found = from_card({"name": "linear", "steps": 20, "start": 1e-6, "end": 1e-2})
    np.testing.assert_array_equal(found.betas, np.linspace(1e-6, 1e-2, 20))
    assert from_card({}).steps == 1000


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match=r"'cosinus'; known are linear, cosine"):
        noise_schedule("cosinus")
    with pytest.raises(InputError, match=r"no option offset; it has start, end\."):
        noise_schedule("linear", offset=0.1)
    with pytest.raises(InputError, match=r"no option end; it has none\."):
        noise_schedule("reciprocal", end=0.1)
    for steps in (0, True, 2.5, "3"):
        with pytest.raises(InputError, match=rf"steps={steps!r}: expected a whole number"):
            noise_schedule("linear", steps)
    for betas in ([], [0.1, 0.0], [0.1, 1.1], [np.nan], [[0.1]]):
        with pytest.raises(InputError, match=r"in \(0, 1\] for every step, got"):
            NoiseSchedule(np.array(betas))
