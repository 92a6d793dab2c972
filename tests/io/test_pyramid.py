"""Levels are halved exactly, down to the last."""

import numpy as np
import pytest

from napari_tincture.io.pyramid import downsample, level_shapes

RNG = np.random.default_rng(0)


def reference(array, kind):
    """Halve by definition, one pixel at a time, in exact integers or float64."""
    *rest, y, x = array.shape
    result = np.zeros((*rest, -(-y // 2), -(-x // 2)), array.dtype)
    for i in range(result.shape[-2]):
        for j in range(result.shape[-1]):
            rows, columns = [2 * i, min(2 * i + 1, y - 1)], [2 * j, min(2 * j + 1, x - 1)]
            four = [array[..., r, c] for r in rows for c in columns]
            if kind == "labels":
                result[..., i, j] = four[0]
            elif array.dtype.kind == "f":
                result[..., i, j] = sum(v.astype("f8") for v in four) / 4
            else:
                exact = sum(v.astype(object) for v in four)
                result[..., i, j] = (exact + 2) // 4
    return result


@pytest.mark.parametrize("kind", ["image", "labels"])
@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
)
def test_halving_is_exact_for_every_data_type(dtype, kind):
    if np.dtype(dtype).kind == "f":
        array = RNG.normal(size=(2, 7, 6)).astype(dtype)
        # One rounding of each of four terms and of their sum.
        tolerance = 4 * np.finfo(dtype).eps
    else:
        limits = np.iinfo(dtype)
        array = RNG.integers(limits.min, limits.max, (2, 7, 6), dtype=dtype, endpoint=True)
        array[0, :2, :2], array[1, :2, :2] = limits.max, limits.min
        tolerance = 0
    result = downsample(array, kind)
    assert result.dtype == array.dtype
    np.testing.assert_allclose(result, reference(array, kind), rtol=tolerance, atol=tolerance)


def test_halving_of_a_mask_keeps_what_covers_half():
    mask = np.array([[1, 0, 1, 0], [0, 0, 1, 0]], bool)
    assert downsample(mask, "image").tolist() == [[False, True]]


def test_levels_end_when_they_fit_in_a_chunk():
    assert level_shapes((3, 1000, 501), 256) == [(3, 1000, 501), (3, 500, 251), (3, 250, 126)]
    assert level_shapes((5, 5), 256) == [(5, 5)]
