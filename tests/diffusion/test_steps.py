from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from recorded_trajectories import arrays_of

from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.diffusion.steps import Skip, Spacing, indices, karras_times, solver_times
from napari_tincture.errors import InputError

SCHEDULE = noise_schedule("linear", 1000)


def respaced(total: int, count: int) -> list[int]:
    """Steps as Nichol and Dhariwal's program finds them, one after the other."""
    place, found = 0.0, []
    for _ in range(count):
        found.append(round(place))
        place += (total - 1) / (count - 1)
    return found


@pytest.mark.parametrize("name", ["uniform10", "uniform7", "quad10"])
def test_subsequences_are_those_recorded(name: str) -> None:
    spacing = "quadratic" if name.startswith("quad") else "leading"
    found = indices(SCHEDULE, int(name.removeprefix("quad").removeprefix("uniform")), spacing)
    assert list(found[::-1]) == arrays_of("ddim_trajectory")[f"seq_{name}"].tolist()


@pytest.mark.parametrize("total", [50, 1000, 2000])
def test_even_steps_are_those_of_respacing(total: int) -> None:
    schedule = noise_schedule("linear", total)
    for count in range(2, total + 1):
        assert list(indices(schedule, count, "even")[::-1]) == respaced(total, count)
    assert indices(schedule, 1, "even") == (total - 1,)


def test_all_steps_are_all() -> None:
    for spacing in ("leading", "even"):
        assert indices(SCHEDULE, 1000, spacing) == tuple(range(999, -1, -1))


@pytest.mark.parametrize("spacing", get_args(Spacing))
@pytest.mark.parametrize("total", [1, 2, 5, 20])
def test_indices_are_of_the_schedule(spacing: Spacing, total: int) -> None:
    schedule = noise_schedule("linear", total)
    for steps in range(1, total + 1):
        found = indices(schedule, steps, spacing)
        assert set(found) <= set(range(total))
        assert list(found) == sorted(set(found), reverse=True)
        assert len(found) >= steps or spacing == "quadratic"


def test_noise_levels_are_those_of_karras() -> None:
    found = karras_times(SCHEDULE, 18, rho=7)
    ratios = [np.exp(-SCHEDULE.half_log_snr(time)) for time in found]
    # Equation 5: evenly spaced in the seventh root.
    roots = np.array(ratios) ** (1 / 7)
    # Off by the rounding of exp and log in float64, of ratios up to 152.
    np.testing.assert_allclose(np.diff(roots), (roots[-1] - roots[0]) / 17, rtol=1e-9)
    assert (found[0], found[-1]) == (999.0, 0.0)
    assert karras_times(SCHEDULE, 1) == (999.0,)
    assert karras_times(SCHEDULE, 2) == (999.0, 0.0)


@pytest.mark.parametrize("skip", get_args(Skip))
@pytest.mark.parametrize("steps", [0, 1, 2, 25])
def test_solver_times_are_even_in_their_unit(skip: Skip, steps: int) -> None:
    unit = {
        "time_uniform": lambda time: time,
        "time_quadratic": lambda time: ((time + 1) / 1000) ** 0.5,
        "logSNR": SCHEDULE.half_log_snr,
    }[skip]
    found = solver_times(SCHEDULE, steps, skip, 987.0, 3.0)
    assert len(found) == steps + 1
    assert found[0] == 987.0
    assert found[-1] == (3.0 if steps else 987.0)
    if steps > 1:
        differences = np.diff([unit(time) for time in found])
        np.testing.assert_allclose(differences, differences[0], rtol=1e-9)


def test_unknown_ways_are_refused() -> None:
    with pytest.raises(InputError, match="spacing='odd': expected one of 'leading', 'quadratic'"):
        indices(SCHEDULE, 3, "odd")
    with pytest.raises(InputError, match="skip='odd': expected one of 'time_uniform'"):
        solver_times(SCHEDULE, 3, "odd")
