"""Pyramids are written in one pass, whatever blocks come in whatever order."""

import numpy as np
import pytest

from napari_tincture.io import pyramid
from napari_tincture.io.pyramid import PyramidWriter, downsample, level_shapes

RNG = np.random.default_rng(0)


class Once:
    """An array that may be written once per pixel."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.values, self.count = np.zeros(shape, dtype), np.zeros(shape, int)

    def __setitem__(self, index, values):
        self.values[index] = values
        self.count[index] += 1


def blocks_of(shape, block):
    grid = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    starts = np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, len(shape))
    return [
        tuple(
            slice(int(s), int(min(s + b, n))) for s, b, n in zip(start, block, shape, strict=True)
        )
        for start in starts
    ]


def write(array, block, chunk, kind, folder, order=None):
    shapes = level_shapes(array.shape, max(chunk[-2:]))
    levels = [Once(shape, array.dtype) for shape in shapes]
    writer = PyramidWriter(levels, chunk, kind, folder)
    indices = blocks_of(array.shape, block)
    for i in range(len(indices)) if order is None else order(len(indices)):
        writer.write(indices[i], array[indices[i]])
    writer.finish()
    return levels


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


@pytest.mark.parametrize("kind", ["image", "labels"])
@pytest.mark.parametrize(
    ("shape", "block", "chunk"),
    [
        ((100, 90), (16, 16), (16, 16)),
        ((100, 90), (10, 7), (16, 16)),
        ((100, 90), (33, 100), (16, 32)),
        ((100, 90), (100, 90), (16, 16)),
        ((97, 61), (32, 16), (16, 16)),
        ((1, 1), (1, 1), (16, 16)),
        ((2, 3, 50, 40), (1, 3, 20, 20), (1, 1, 16, 16)),
        ((2, 3, 50, 40), (2, 1, 50, 13), (1, 3, 16, 16)),
    ],
)
def test_levels_are_those_of_the_whole_image(tmp_path, shape, block, chunk, kind):
    array = RNG.integers(0, 255, shape, dtype=np.uint8)
    levels = write(array, block, chunk, kind, tmp_path)
    expected = array
    for level in levels:
        np.testing.assert_array_equal(level.values, expected)
        assert (level.count == 1).all()
        expected = downsample(expected, kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", [lambda n: range(n)[::-1], lambda n: RNG.permutation(n)])
@pytest.mark.parametrize("budget", [0, 1500, 10**9])
def test_any_order_and_any_memory_budget_give_the_same(tmp_path, monkeypatch, order, budget):
    monkeypatch.setattr(pyramid, "BUDGET", budget)
    array = RNG.random((100, 90))
    levels = write(array, (13, 9), (16, 16), "image", tmp_path, order)
    expected = array
    for level in levels:
        np.testing.assert_array_equal(level.values, expected)
        assert (level.count == 1).all()
        expected = downsample(expected, "image")
    assert not list(tmp_path.iterdir())


def test_memory_holds_a_row_of_chunks_per_level_and_never_more_than_the_budget(
    tmp_path, monkeypatch
):
    held = []
    original = pyramid._Pending.put

    def put(self, *arguments):
        result = original(self, *arguments)
        held.append(sum(chunk.nbytes for chunk in self._memory.values()))
        return result

    monkeypatch.setattr(pyramid._Pending, "put", put)
    peaks = {}
    for height in (256, 1024):
        held.clear()
        write(np.zeros((height, 512), np.uint8), (16, 16), (16, 16), "image", tmp_path)
        peaks[height] = max(held)
    # A row of chunks of level n has 16 × 512 / 2**n pixels; levels from 1 on wait.
    assert max(peaks.values()) <= 16 * 512
    monkeypatch.setattr(pyramid, "BUDGET", 2000)
    held.clear()
    write(np.zeros((256, 512), np.uint8), (16, 16), (16, 16), "image", tmp_path)
    assert max(held) <= 2000


def test_missing_and_doubled_blocks_are_noticed(tmp_path):
    levels = [Once((32, 32), "u1"), Once((16, 16), "u1")]
    writer = PyramidWriter(levels, (16, 16), "image", tmp_path)
    writer.write((slice(0, 16), slice(0, 8)), np.zeros((16, 8), np.uint8))
    with pytest.raises(RuntimeError, match="missing"):
        writer.finish()
    with pytest.raises(RuntimeError, match="twice"):
        writer.write((slice(0, 16), slice(0, 9)), np.zeros((16, 9), np.uint8))


def test_chunks_with_odd_sides_are_refused(tmp_path):
    with pytest.raises(ValueError, match="even"):
        PyramidWriter([Once((32, 32), "u1")], (15, 16), "image", tmp_path)
