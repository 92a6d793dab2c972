from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from skimage.color import rgb2lab

from napari_tincture.errors import InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.colour_histogram import BINS, LOWEST, METRIC
from napari_tincture.metrics.metric import Block, Undefined
from napari_tincture.metrics.registry import find_metric
from napari_tincture.metrics.stream import Key, Survey, survey
from napari_tincture.progress import CancelToken
from napari_tincture.regrid import Place, Window


def _pixels(dtype: str, shape: tuple[int, int], seed: int, data_range: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    smooth = np.clip(random.normal(0.3 + 0.1 * seed, 0.2, (3, *shape)), 0, 1)
    smooth[seed % 3] *= 0.6
    scaled = smooth * (np.iinfo(dtype).max if dtype.startswith("u") else data_range)
    return scaled.astype(dtype)


def _block(image: np.ndarray, reference: np.ndarray, data_range: float, **more: object) -> Block:
    height, width = image.shape[-2:]
    place = (slice(0, height), slice(0, width))
    return Block(image, reference, place, place, (height, width), data_range, **more)  # type: ignore[arg-type]


def _figures(image: np.ndarray, reference: np.ndarray, data_range: float) -> dict[str, float]:
    row = METRIC.statistic.measure(_block(image, reference, data_range))[0]
    return dict(METRIC.figures(row, data_range))


@pytest.mark.parametrize(
    ("dtype", "data_range"),
    [("uint8", 255), ("uint16", 65535), ("float32", 1.0), ("float64", 1.0), ("float64", 200.0)],
)
@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (131, 150)])
def test_figures_are_those_of_plain_histograms(
    dtype: str, data_range: float, shape: tuple[int, int]
) -> None:
    images = [_pixels(dtype, shape, seed, data_range) for seed in (1, 2)]
    scale = np.iinfo(dtype).max if dtype.startswith("u") else data_range
    labs = [rgb2lab(v.astype(np.float64) / scale, channel_axis=0) for v in images]
    found = _figures(*images, data_range)
    moved = []
    for channel, name in enumerate(("lightness", "a", "b")):
        edges = np.arange(BINS[channel] + 1) + LOWEST[channel]
        values = [np.clip(lab[channel], edges[0], edges[-1] - 0.5).ravel() for lab in labs]
        p, q = (np.histogram(v, edges)[0] / v.size for v in values)
        moved.append(wasserstein_distance(edges[:-1], edges[:-1], p, q))
        assert found[f"emd_{name}"] == pytest.approx(moved[-1], rel=1e-6, abs=1e-12)
        # Beside the distance of the values themselves: bins are one unit wide.
        assert abs(found[f"emd_{name}"] - wasserstein_distance(*values)) < 1
        p, q = (np.add.reduceat(v, np.arange(0, v.size, 4)) for v in (p, q))
        both = np.where(p + q > 0, p + q, 1)
        expected = 0.5 * ((p - q) ** 2 / both).sum()
        assert found[f"chi2_{name}"] == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert found["colour_histogram"] == pytest.approx(np.mean(moved), rel=1e-6)


def test_a_change_of_lightness_is_its_earth_movers_distance() -> None:
    grey = rgb2lab(np.full((1, 1, 3), [[[100, 100, 100]]]) / 255)[0, 0, 0]
    lighter = rgb2lab(np.full((1, 1, 3), [[[180, 180, 180]]]) / 255)[0, 0, 0]
    found = _figures(np.full((3, 5, 5), 100, np.uint8), np.full((3, 9, 9), 180, np.uint8), 255)
    assert found["emd_lightness"] == np.floor(lighter) - np.floor(grey)
    assert found["chi2_lightness"] == 1


def test_where_colours_are_makes_no_difference() -> None:
    image = _pixels("uint8", (20, 30), 1, 255)
    moved = np.random.default_rng(0).permutation(image.reshape(3, -1), axis=1).reshape(3, 20, 30)
    assert set(_figures(image, moved, 255).values()) == {0.0}


def test_values_beyond_the_range_go_to_the_bins_at_the_ends() -> None:
    inside, outside = np.full((3, 4, 4), 1.0), np.full((3, 4, 4), 5.0)
    assert _figures(outside, inside, 1.0)["emd_lightness"] == 0


@pytest.mark.parametrize("chunks", [(13, 17), (32, 5), (100, 100)])
def test_streaming_equals_the_whole_in_every_region(
    chunks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "AREA", 16)
    image, reference = (_pixels("float32", (61, 47), seed, 1.0) for seed in (1, 2))
    image[1, 5:9, 30:33] = np.nan
    regions = np.random.default_rng(0).integers(-1, 3, (61, 47)).astype(np.int32)

    def lengths(side: int, chunk: int) -> list[int]:
        return [min(chunk, side - start) for start in range(0, side, chunk)]

    def read(values: np.ndarray) -> stream.Read:
        return lambda place: Window(values[:, place[0], place[1]])

    def lies(place: Place) -> np.ndarray:
        return regions[place]

    plan = Survey(
        shape=(61, 47), images=[read(image)], reference=read(reference), channels=[0, 1, 2],
        statistics=[METRIC.statistic], data_range=1.0, regions=lies, count=3,
        chunks=(lengths(61, chunks[0]), lengths(47, chunks[1])),
    )  # fmt: skip
    tally = survey(plan, lambda *_: None, CancelToken())
    rows = tally.rows[Key(0, None, METRIC.statistic)]
    valid = np.isfinite(image).all(axis=0)
    for region in range(3):
        chosen = (regions == region) & valid
        parts = (v[:, chosen][:, None] for v in (image, reference))
        expected = _figures(*parts, 1.0)
        found = METRIC.figures(rows[region], 1.0)
        assert found == pytest.approx(expected, rel=1e-9)


def test_it_is_found_by_its_name_and_takes_colours() -> None:
    metric = find_metric("colour_histogram")
    assert metric.columns[0] == "colour_histogram"
    assert metric.statistic.colour


def test_images_that_have_no_histogram() -> None:
    with pytest.raises(Undefined, match="no pixels"):
        METRIC.figures(np.zeros(2 * sum(BINS)), 1.0)
    two = np.zeros((2, 4, 4))
    with pytest.raises(InputError, match=r"\(2, 4, 4\)"):
        METRIC.statistic.measure(_block(two, two, 1.0))
    three = np.zeros((3, 1, 1))
    with pytest.raises(InputError, match=r"70000 regions.*larger regions"):
        METRIC.statistic.measure(_block(three, three, 1.0, count=70000))
