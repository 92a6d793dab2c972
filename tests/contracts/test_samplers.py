"""What every sampler promises; a new one is tested without an edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from known_denoisers import OfNormal, OfOneImage, Watched, no_noise, normal
from torch import Tensor

from napari_tincture.diffusion.options import Option
from napari_tincture.diffusion.sampling import (
    Moment,
    Sampler,
    find_sampler,
    sampler_choices,
    sampler_names,
    sampler_options,
)
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.diffusion.steps import Times
from napari_tincture.errors import InputError

SCHEDULE = noise_schedule("linear", 1000)
REMEMBER = {"dpm_solver", "dpm_solver_sde"}
"""Samplers whose steps look back at earlier ones."""


def others(option: Option) -> list[Any]:
    """What an option may be besides its default; of a range, one number."""
    if option.kind is bool:
        return [not option.default]
    if get_origin(option.kind) is Literal:
        return [choice for choice in get_args(option.kind) if choice != option.default]
    low, high = get_args(option.kind)[1].low, get_args(option.kind)[1].high
    return [(low + min(high, low + 1)) / 2]


def settings() -> Iterator[Sampler]:
    for name in sampler_names():
        yield find_sampler(name)
        for key, option in sampler_choices(name).items():
            for value in others(option):
                yield find_sampler(name, **{key: value})


SAMPLERS = list(settings())
STOCHASTIC = [sampler for sampler in SAMPLERS if sampler.stochastic]
DETERMINISTIC = [sampler for sampler in SAMPLERS if not sampler.stochastic]
ONE_STEP = [
    sampler
    for sampler in SAMPLERS
    # How much is stirred at a step depends on how many there are.
    if sampler.name not in REMEMBER and "churn" not in sampler.options
]


def named(sampler: Sampler) -> str:
    return "-".join([sampler.name, *(f"{k}={v}" for k, v in sampler.options.items())])


def every(samplers: list[Sampler]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sampler", samplers, ids=named)


class Draws:
    """Noise of steps, and which steps asked for it."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> None:
        self.shape, self.dtype = shape, dtype
        self.steps: list[int] = []

    def __call__(self, step: int) -> Tensor:
        self.steps.append(step)
        return normal(self.shape, 1 + step, self.dtype)


class Impulses:
    """Noise that is one in a pixel of its own for every step, and nothing elsewhere.

    The first pixel is left without any, the second one is for the noise that is begun with. As a
    denoiser of normal pixels is affine, what comes of the pixels gives the variance of the result.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def begin(self) -> Tensor:
        return self._at(1)

    def __call__(self, step: int) -> Tensor:
        return self._at(2 + step)

    def _at(self, place: int) -> Tensor:
        found = torch.zeros(1, 1, 1, 2 + self.steps, dtype=torch.float64)
        found[..., place] = 1
        return found


def end(denoise: OfNormal, x: Tensor, watched: Watched, last: float) -> Tensor:
    """What a perfect sampler makes of x at the last time: the clean image, if it asks there."""
    return denoise(x, last).image if watched.times[-1] == last else x


@every(SAMPLERS)
def test_of_one_image_it_is_made(sampler: Sampler) -> None:
    image, x = torch.tensor([0.5, -0.25, 1.0]).reshape(1, 3, 1, 1), normal((2, 3, 5, 4))
    times = sampler.times(SCHEDULE, 12)
    denoise = Watched(OfOneImage(image, SCHEDULE))
    made = sampler(denoise, x, SCHEDULE, times, noise=Draws(x.shape))
    share = SCHEDULE.alpha_bar(times[-1])
    # Samplers that stop at the last time leave what noise there is.
    left = 0.0 if denoise.times[-1] == times[-1] else (1 - share) ** 0.5
    # Rounding: the first times' images are up to 150 times smaller than what is computed with.
    bound = left * x.abs().max() + (1 - share) + 2e-5
    assert (made - image).abs().max() <= bound


@every([s for s in SAMPLERS if s.options != {"variance": "large"}])
def test_of_one_image_noise_fades_as_the_schedule_says(sampler: Sampler) -> None:
    times, told = sampler.times(SCHEDULE, 12), []
    impulses = Impulses(len(times))
    denoise = OfOneImage(torch.tensor(0.25, dtype=torch.float64), SCHEDULE)
    begun = (1 - SCHEDULE.alpha_bar(times[0])) ** 0.5 * impulses.begin()
    begun = begun + SCHEDULE.level(times[0]) * denoise.image
    sampler(denoise, begun, SCHEDULE, times, noise=impulses, callback=told.append)
    for moment in told[:-1]:
        x = moment.x.flatten()
        mean, variance = float(x[0]), float(((x[1:] - x[0]) ** 2).sum())
        off = [
            abs(mean - 0.25 * SCHEDULE.level(t)) + abs(variance - 1 + SCHEDULE.alpha_bar(t))
            for t in times
        ]
        # Ratios up to 150² are subtracted from each other within some samplers.
        assert min(off) < 1e-11


@every(DETERMINISTIC)
def test_it_converges_to_the_probability_flow(sampler: Sampler) -> None:
    denoise = OfNormal(0.3, 0.5, SCHEDULE)
    x = torch.tensor([-2.0, 0.0, 1.2], dtype=torch.float64).reshape(1, 1, 1, 3)
    errors = []
    for steps in (24, 48, 96, 192):
        times, watched = sampler.times(SCHEDULE, steps), Watched(denoise)
        made = sampler(watched, x, SCHEDULE, times, noise=no_noise)
        exact = end(denoise, denoise.flow(x, times[0], times[-1]), watched, times[-1])
        errors.append(float((made - exact).abs().max()))
    # First order halves errors, higher ones do more; a quarter as there are further terms.
    assert (np.array(errors) <= 1.25 * errors[0] / np.array([1, 2, 4, 8])).all(), errors
    assert errors[0] < 1


@every(STOCHASTIC)
def test_it_makes_the_mean_and_variance_of_the_images(sampler: Sampler) -> None:
    denoise = OfNormal(0.3, 0.5, SCHEDULE)
    errors = []
    for steps in (50, 100, 200):
        times, watched = sampler.times(SCHEDULE, steps), Watched(denoise)
        impulses = Impulses(len(times))
        made = sampler(watched, impulses.begin(), SCHEDULE, times, noise=impulses).flatten()
        mean, variance = float(made[0]), float(((made[1:] - made[0]) ** 2).sum())
        share = SCHEDULE.alpha_bar(times[-1])
        # Of the clean image as it is guessed at the last time.
        exact = share * 0.5**4 / denoise.variance(times[-1])
        errors.append((abs(mean - 0.3), abs(variance / exact - 1)))
    # What is begun with is without a trace of the images, which the first time's are not.
    trace = 0.3 * SCHEDULE.level(sampler.times(SCHEDULE, 200)[0])
    assert errors[-1][0] < 1e-3 + trace
    assert errors[-1][1] < 0.1
    assert errors[2][1] < 0.62 * errors[1][1] < 0.62**2 * errors[0][1]


@every(SAMPLERS)
def test_noise_is_asked_for_by_step(sampler: Sampler) -> None:
    draws = Draws((1, 1, 2, 2))
    times = sampler.times(SCHEDULE, 7)
    denoise = OfNormal(0.0, 0.5, SCHEDULE)
    sampler(denoise, normal(draws.shape), SCHEDULE, times, noise=draws)
    assert bool(draws.steps) == sampler.stochastic
    assert draws.steps == sorted(set(draws.steps))
    assert set(draws.steps) <= set(range(len(times)))


@every(SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 11, 50])
def test_every_step_is_told_and_every_question_foretold(sampler: Sampler, steps: int) -> None:
    told: list[Moment] = []
    times, x = sampler.times(SCHEDULE, steps), normal((1, 1, 2, 2))
    denoise = Watched(OfNormal(0.0, 0.5, SCHEDULE))
    for begun in (times, times[-2:], times[-1:]):
        told.clear()
        denoise.times.clear()
        made = sampler(
            denoise, x, SCHEDULE, begun, noise=Draws(x.shape), callback=told.append
        )  # fmt: skip
        assert [m.number for m in told] == list(range(1, told[0].of + 1))
        assert {m.of for m in told} == {len(told)}
        assert torch.equal(told[-1].x, made)
        assert {m.image.shape for m in told} == {m.x.shape for m in told} == {x.shape}
        assert len(denoise.times) == sampler.evaluations(begun)


@every(SAMPLERS)
def test_times_go_from_noise_towards_the_image(sampler: Sampler) -> None:
    for steps in (1, 2, 3, 10, 999, 1000):
        times = sampler.times(SCHEDULE, steps)
        assert all(type(t) in (int, float) for t in times)
        assert (np.diff(times) < 0).all()
        assert times[-1] >= 0
        assert times[0] <= SCHEDULE.steps - 1


@every(SAMPLERS)
@pytest.mark.parametrize("steps", [0, -1, 1001, True, 2.0, "3", None])
def test_steps_that_there_are_not_are_refused(sampler: Sampler, steps: Any) -> None:
    with pytest.raises(InputError, match=rf"steps={steps!r}: expected"):
        sampler.times(SCHEDULE, steps)


@every(SAMPLERS)
def test_float32_stays_float32(sampler: Sampler) -> None:
    x, times = normal((1, 2, 8, 8)), sampler.times(SCHEDULE, 20)
    denoise = OfNormal(0.3, 0.5, SCHEDULE)
    made = sampler(denoise, x, SCHEDULE, times, noise=Draws(x.shape))
    exact = sampler(
        denoise, x.double(), SCHEDULE, times, noise=Draws(x.shape, torch.float64)
    )  # fmt: skip
    assert made.dtype == torch.float32
    assert exact.dtype == torch.float64
    # Values up to 4, a rounding of 2.4e-7 at each of 20 steps with up to three evaluations.
    assert (made - exact).abs().max() < 20 * 3 * 2.4e-7


@every(SAMPLERS)
def test_what_is_given_stays_as_it_is(sampler: Sampler) -> None:
    x = normal((1, 1, 4, 4))
    times = sampler.times(SCHEDULE, 5)
    sampler(OfNormal(0.0, 0.5, SCHEDULE), x, SCHEDULE, times, noise=Draws(x.shape))
    assert torch.equal(x, normal((1, 1, 4, 4)))


@every(ONE_STEP)
@pytest.mark.parametrize("begun", [1, 4, 9])
def test_beginning_later_with_what_there_was_ends_the_same(sampler: Sampler, begun: int) -> None:
    x, times = normal((1, 1, 4, 4), dtype=torch.float64), sampler.times(SCHEDULE, 10)
    told: list[Moment] = []
    draws, denoise = Draws(x.shape, torch.float64), OfNormal(0.3, 0.5, SCHEDULE)
    whole = sampler(denoise, x, SCHEDULE, times, noise=draws, callback=told.append)
    rest: Times = times[begun:]
    again = sampler(
        denoise, told[begun - 1].x, SCHEDULE, rest, noise=lambda step: draws(begun + step)
    )  # fmt: skip
    # The state is kept in other units within some samplers: a rounding of float64 at each step.
    torch.testing.assert_close(again, whole, rtol=0, atol=1e-13)


def test_samplers_that_there_are_not_are_refused() -> None:
    with pytest.raises(InputError, match=r"'none'; known are .*ddim.*heun"):
        find_sampler("none")


@pytest.mark.parametrize("name", sampler_names())
def test_options_that_there_are_not_are_refused(name: str) -> None:
    known = sampler_options(name)
    with pytest.raises(InputError, match="no option of_others") as error:
        find_sampler(name, of_others=1)
    assert all(key in str(error.value) for key in known)
    assert find_sampler(name, **known).times(SCHEDULE, 9) == find_sampler(name).times(SCHEDULE, 9)


@pytest.mark.parametrize("value", [None, "none", [], float("nan"), -1, 1e9])
@pytest.mark.parametrize(
    ("name", "key"), [(n, k) for n in sampler_names() for k in sampler_choices(n)]
)
def test_values_that_options_cannot_have_are_refused(name: str, key: str, value: Any) -> None:
    if key == "churn" and value == 1e9:
        pytest.skip("as much as one likes")
    with pytest.raises(InputError, match=rf"^{key}=.*: expected ") as error:
        find_sampler(name, **{key: value})
    if get_origin(kind := sampler_choices(name)[key].kind) is Literal:
        assert all(repr(choice) in str(error.value) for choice in get_args(kind))
