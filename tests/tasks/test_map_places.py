from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from napari_tincture.errors import Cancelled
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.tasks import _map_places
from napari_tincture.tasks._map_places import clipped, map_plane, sample, whole, worst_place


def noise(height: int = 90, width: int = 120, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 0.2, (height, width)).astype(np.float32)


def brute(values: np.ndarray, side: int, better: str) -> tuple[int, int, float]:
    """The worst window's corner and mean by scipy's filter."""
    means = uniform_filter(values.astype(float), side, mode="constant")
    half = side // 2
    inner = means[half : len(means) - (side - 1) // 2, half : means.shape[1] - (side - 1) // 2]
    place = inner.argmin() if better == "higher" else inner.argmax()
    y, x = np.unravel_index(int(place), inner.shape)
    return int(y), int(x), float(inner[y, x])


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("side", [1, 8, 17, 90])
def test_the_worst_window_is_that_of_scipy(
    monkeypatch: pytest.MonkeyPatch, better: str, side: int
) -> None:
    monkeypatch.setattr(_map_places, "STRIP", 13)  # strips that fit nothing
    values = noise()
    plane = Raster.from_array(values, "yx")
    worst = worst_place(plane, better, whole(plane), CancelToken(), side)
    y, x, mean = brute(values, side, better)
    assert worst is not None
    assert worst.box == ((y, y + side), (x, x + side))
    assert worst.mean == pytest.approx(mean, rel=1e-6)


def test_windows_without_values_do_not_count() -> None:
    values = np.ones((64, 64), np.float32)
    values[:32] = np.nan
    values[0, 0] = 0.0  # alone among NaN
    values[40, 40] = 0.5
    plane = Raster.from_array(values, "yx")
    worst = worst_place(plane, "higher", whole(plane), CancelToken(), 8)
    assert worst is not None
    (top, bottom), (left, right) = worst.box
    assert top <= 40 < bottom
    assert left <= 40 < right
    assert worst.mean == pytest.approx(1 - 0.5 / 64)


def test_windows_with_few_values_count_where_there_are_no_others() -> None:
    values = np.full((64, 64), np.nan, np.float32)
    empty = Raster.from_array(values.copy(), "yx")
    assert worst_place(empty, "lower", whole(empty), CancelToken(), 8) is None
    values[20, 30] = 3.0
    plane = Raster.from_array(values, "yx")
    worst = worst_place(plane, "lower", whole(plane), CancelToken(), 8)
    assert worst is not None
    assert worst.mean == 3.0
    assert worst.box[0][0] <= 20 < worst.box[0][1]


def test_a_large_map_is_searched_in_windows_spread_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_map_places, "SEARCHED", 64 * 64)
    values = np.ones((200, 400), np.float32)
    values[120:, :200] = 0.0
    read = []
    plane = Raster.from_array(values, "yx")
    monkeypatch.setattr(
        _map_places, "_read", lambda p, box, token: read.append(box) or values[
            slice(*box[0]), slice(*box[1])
        ],
    )  # fmt: skip
    worst = worst_place(plane, "higher", whole(plane), CancelToken(), 16)
    assert worst is not None
    assert worst.mean == 0.0
    pixels = sum((y[1] - y[0]) * (x[1] - x[0]) for y, x in read)
    assert 0 < pixels <= 64 * 64


def test_a_search_stops_when_cancelled() -> None:
    token = CancelToken()
    token.cancel()
    plane = Raster.from_array(noise(), "yx")
    with pytest.raises(Cancelled):
        worst_place(plane, "higher", whole(plane), token)


def test_values_are_all_or_those_of_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    values = noise(300, 300)
    values[0, 0] = np.nan
    plane = Raster.from_array(values, "yx")
    found = sample(plane, whole(plane), CancelToken())
    assert found.complete
    np.testing.assert_array_equal(np.sort(found.values), np.sort(values.ravel()[1:]))
    monkeypatch.setattr(_map_places, "WHOLE", 40_000)
    monkeypatch.setattr(_map_places, "PATCH", 32)
    some = sample(plane, whole(plane), CancelToken())
    assert not some.complete
    assert 1000 < some.values.size <= 40_000
    assert np.isin(some.values, values).all()


def test_the_plane_of_a_row() -> None:
    values = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    raster = Raster.from_array(values, "tcyx", channels=("a", "b", "c"))
    row = {"image": "one", "t": 5, "channel": "b"}
    np.testing.assert_array_equal(np.asarray(map_plane(raster, row, {"t": 4})), values[1, 1])
    mean = map_plane(raster, {"image": "one", "t": 4, "channel": "mean"}, {"t": 4})
    np.testing.assert_array_equal(np.asarray(mean), values[0])


def test_boxes_are_clipped_to_the_part() -> None:
    plane = Raster.from_array(noise(20, 30), "yx")
    assert clipped(((5, 18), (0, 50)), plane, (10, 10)) == ((0, 8), (0, 30))
    assert clipped(((5, 10), (0, 50)), plane, (10, 10)) is None
