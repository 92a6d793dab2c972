from __future__ import annotations

import numpy as np

from napari_tincture.training.labels.strokes import Strokes


def test_what_is_painted_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    strokes, wanted = Strokes((400, 300), 3), np.full((400, 300), -1, np.int16)
    for _ in range(12):
        height, width = rng.integers(1, 200, 2)
        y, x = rng.integers(0, 400 - height + 1), rng.integers(0, 300 - width + 1)
        new = rng.integers(-1, 3, (height, width)).astype(np.int16)
        wanted[y : y + height, x : x + width] = new
        strokes.put((), int(y), int(x), new)
    np.testing.assert_array_equal(strokes.get((), slice(0, 400), slice(0, 300)), wanted)
    np.testing.assert_array_equal(
        strokes.get((), slice(-20, 140), slice(250, 330)),
        np.pad(wanted, ((20, 0), (0, 30)), constant_values=-1)[:160, 250:],
    )
    assert strokes.pixels.tolist() == [(wanted == n).sum() for n in range(3)]
    assert (strokes.get((1,), slice(0, 400), slice(0, 300)) == -1).all()


def test_drawn_pixels_are_painted_and_classes_equally_likely() -> None:
    strokes = Strokes((4000, 4000), 3)
    strokes.put((), 10, 20, np.zeros((300, 300), np.int16))
    strokes.put((), 3990, 3995, np.full((2, 1), 2, np.int16))
    rng = np.random.default_rng(0)
    drawn = [strokes.draw(rng, [0, 2]) for _ in range(100)]
    found = [strokes.get(p, slice(y, y + 1), slice(x, x + 1)).item() for p, y, x in drawn]
    assert set(found) == {0, 2}
    # Of 100 fair draws fewer than 34 or more than 66 are had once in 1,000.
    assert 34 <= found.count(2) <= 66
    strokes.put((), 3990, 3995, np.full((2, 1), -1, np.int16))
    assert strokes.pixels.tolist() == [90_000, 0, 0]
