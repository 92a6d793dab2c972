from __future__ import annotations

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.models.statistics import measured, out_of_range, sampled, summary
from napari_tincture.raster import Raster

RNG = np.random.default_rng(0)


def image(low: float, high: float, side: int = 64) -> np.ndarray:
    return RNG.uniform(low, high, (2, side, side))


KNOWN = summary([measured(image(20, 200)), measured(image(30, 240))], 2, None)


def test_images_like_the_training_images_pass() -> None:
    assert out_of_range(KNOWN, image(20, 210)) is None
    # Half the range's width, or a quarter of the span of values.
    assert out_of_range(KNOWN, image(50, 280)) is None
    single = summary([measured(image(20, 200))], 1, None)
    assert out_of_range(single, image(40, 210)) is None


def test_the_worst_channel_and_percentile_are_named() -> None:
    other = image(20, 200)
    other[1] = 4012
    found = out_of_range(KNOWN, other)
    assert found is not None
    assert found.startswith("Channel 1 has a ")
    assert "4012; the model was trained on " in found
    dark = out_of_range(KNOWN, image(0, 1))
    assert dark is not None
    assert "99th percentile" in dark


def test_rasters_are_sampled_in_their_middle_plane() -> None:
    stack = np.stack([image(0, 1), image(20, 200), image(0, 1)])
    assert out_of_range(KNOWN, Raster.from_array(stack, "zcyx")) is None
    rgb = np.concatenate([np.full((3, 8, 8), 9), np.zeros((1, 8, 8))]).astype(np.uint8)
    known = summary([measured(np.full((3, 64), 9))], 1, None)
    assert out_of_range(known, Raster.from_array(rgb, "cyx", rgb=True)) is None


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert out_of_range({}, image(0, 1)) is None
    with pytest.raises(InputError, match=r"has 1 channels.*trained on 2"):
        out_of_range(KNOWN, image(0, 1)[:1])


def test_large_planes_are_sampled_evenly() -> None:
    asked: list[tuple[slice, slice]] = []

    def read(y: slice, x: slice) -> np.ndarray:
        asked.append((y, x))
        return np.ones((1, y.stop - y.start, x.stop - x.start))

    values = sampled(read, (100_000, 2000))
    assert values.shape == (1, 16 * 256 * 256)
    assert {asked[0][0].start, asked[-1][0].stop} == {0, 100_000}
    assert {asked[0][1].start, asked[-1][1].stop} == {0, 2000}


def test_what_is_not_finite_is_left_out() -> None:
    values = np.array([[1.0, 3.0, np.nan, np.inf]])
    np.testing.assert_allclose(measured(values)[0, :2], [2, 1])
