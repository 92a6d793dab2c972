from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.errors import InputError

FIELD = NoiseField(7)
SIDE = 512
WHOLE = slice(0, SIDE), slice(0, SIDE)
GOLDEN = [
    [[0.26993755, 1.53810024], [-1.54501104, 1.39411855]],
    [[1.32910454, -0.55172765], [-0.34059754, -1.38134575]],
]
FAR = [[[-1.81627858], [-1.45937407]]]


def test_a_seed_means_these_numbers() -> None:
    """Recorded: a drawing must not change with the version."""
    found = FIELD.draw(0, 2, slice(0, 2), slice(0, 2))
    # A platform's logarithms and cosines may differ in the last place, and so in float32.
    np.testing.assert_allclose(found, GOLDEN, rtol=1.2e-7)
    far = NoiseField(2**64 - 1, plane=3).draw(5, 1, slice(-65, -63), slice(1000, 1001))
    np.testing.assert_allclose(far, FAR, rtol=1.2e-7)


@pytest.mark.parametrize(
    ("y", "x"),
    [
        (slice(0, 200), slice(0, 200)),
        (slice(37, 38), slice(63, 65)),
        (slice(64, 128), slice(64, 128)),
        (slice(-70, 3), slice(-64, 0)),
        (slice(-130, -127), slice(150, 260)),
        (slice(5, 5), slice(0, 9)),
    ],
)
def test_a_place_has_the_same_noise_whoever_asks(y: slice, x: slice) -> None:
    whole = FIELD.draw(3, 2, slice(-150, 300), slice(-150, 300))
    own = whole[:, y.start + 150 : y.stop + 150, x.start + 150 : x.stop + 150]
    found = FIELD.draw(3, 2, y, x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, own)


def test_fewer_channels_are_the_first_ones() -> None:
    more = FIELD.draw(0, 5, *WHOLE)
    for channels in (1, 3):
        np.testing.assert_array_equal(FIELD.draw(0, channels, *WHOLE), more[:channels])


def test_it_is_standard_normal() -> None:
    values = FIELD.draw(0, 3, *WHOLE).ravel().astype(float)
    count = len(values)
    # Four standard errors: of a seed that stays, they hold or they do not.
    for power, moment, spread in ((1, 0, 1), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)):
        assert np.mean(values**power) == pytest.approx(moment, abs=4 * spread / count**0.5)
    assert stats.kstest(values, "norm").pvalue > 0.01
    # A block of its own, too, of the 192 there are.
    blocks = values.reshape(3, SIDE // 64, 64, SIDE // 64, 64).swapaxes(2, 3).reshape(-1, 4096)
    assert stats.kstest(blocks.mean(1) * 64, "norm").pvalue > 0.01


def test_draws_are_independent() -> None:
    draws = [
        FIELD.draw(0, 1, *WHOLE),
        FIELD.draw(1, 1, *WHOLE),
        FIELD.draw(2**20, 1, *WHOLE),
        NoiseField(8).draw(0, 1, *WHOLE),
        NoiseField(7 + 2**32).draw(0, 1, *WHOLE),
        NoiseField(7, plane=1).draw(0, 1, *WHOLE),
        FIELD.draw(0, 2, *WHOLE)[1:],
        FIELD.draw(0, 1, slice(-SIDE, 0), slice(0, SIDE)),
        FIELD.draw(0, 1, slice(1, SIDE + 1), slice(0, SIDE)),
        FIELD.draw(0, 1, slice(0, SIDE), slice(64, SIDE + 64)),
        FIELD.draw(0, 1, slice(64, SIDE + 64), slice(0, SIDE)),
    ]
    found = np.corrcoef([draw.ravel() for draw in draws])
    # 55 pairs with a standard error of 1/512 each: 4.5 of them.
    assert np.abs(found - np.eye(len(draws))).max() < 4.5 / SIDE


@pytest.mark.parametrize("value", [-1, 2**64, True, 1.0, "1", None])
def test_seeds_that_there_are_not_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"seed=.*: expected a whole number from 0 to"):
        NoiseField(value)
    with pytest.raises(InputError, match=r"plane=.*: expected a whole number from 0 to"):
        NoiseField(0, value)


def test_seeds_of_numpy_are_numbers() -> None:
    found = NoiseField(np.uint64(7)).draw(0, 1, *WHOLE)
    np.testing.assert_array_equal(found, FIELD.draw(0, 1, *WHOLE))
