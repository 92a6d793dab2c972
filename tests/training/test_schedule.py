from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.training.schedule import Schedule

DATA = Path(__file__).parents[1] / "data"


def rates(**settings: Any) -> list[float]:
    schedule = Schedule(**{"lr": 1.0, "warmup": 0, **settings})
    return [schedule.rate(step) for step in range(schedule.steps)]


def test_the_learning_rate_rises_and_falls() -> None:
    schedule = Schedule(steps=100, lr=1.0, warmup=10, final_lr=0.01)
    found = [schedule.rate(step) for step in range(101)]
    assert found[0] == pytest.approx(0.1)
    assert max(found) == found[9] == found[10] == 1.0
    assert found[55] == pytest.approx(0.505)
    assert found[100] == pytest.approx(0.01)


def test_linear_in_epochs_is_cyclegans() -> None:
    published = np.load(DATA / "cyclegan_lr_linear.npz")["lr_if_stepped_at_epoch_end"]
    found = rates(lr=2e-4, steps=600, decay="linear", hold=100, unit="epochs", epoch=3)
    np.testing.assert_allclose(found[::3], published, rtol=1e-12)
    assert all(found[i] == found[i + 1] == found[i + 2] for i in range(0, 600, 3))


def test_linear_in_steps_is_ugatits() -> None:
    steps, lr = 20, 1e-4
    published, rate = [], lr
    for step in range(1, steps + 1):
        if step > steps // 2:
            rate -= lr / (steps // 2)
        published.append(rate)
    found = rates(lr=lr, steps=steps, decay="linear", hold=10)
    np.testing.assert_allclose(found, published, rtol=1e-9, atol=1e-18)  # theirs sums up rounding


def test_exponential_falls_a_bit_at_every_step() -> None:
    found = rates(steps=40, decay="exponential", factor=0.9, every=2, unit="epochs", epoch=10)
    np.testing.assert_allclose(found, 0.9 ** (np.arange(40) / 20))


def test_step_falls_at_once() -> None:
    found = rates(steps=40, decay="step", factor=0.9, every=2, unit="epochs", epoch=10)
    np.testing.assert_allclose(found, [1.0] * 20 + [0.9] * 20)
    assert rates(steps=4, decay="step", factor=0.5, every=3) == [1.0, 1.0, 1.0, 0.5]


def test_constant_after_a_warm_up() -> None:
    assert rates(steps=4, decay="constant", warmup=2) == [0.5, 1.0, 1.0, 1.0]


def test_discriminators_may_learn_at_another_rate() -> None:
    schedule = Schedule(steps=2, lr=1e-4, lr_discriminators=4e-4, warmup=0, decay="constant")
    assert (schedule.rate(0), schedule.rate(0, "discriminators")) == (1e-4, 4e-4)
    assert Schedule(steps=2, lr=3.0, warmup=0).rate(0, "discriminators") == 3.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": "slow"}, "Unknown decay 'slow'.*cosine"),
        ({"precision": "int8"}, "Unknown precision"),
        ({"unit": "epochs"}, "set epoch"),
        ({"steps": 0}, "steps ≥ 1, got 0"),
        ({"decay": "linear", "hold": 10}, "hold=10 steps.*10 steps"),
    ],
)
def test_senseless_schedules_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Schedule(**{"steps": 10, **settings})
