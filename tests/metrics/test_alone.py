"""Metrics of one image: against plain formulas, streamed over any chunks, and as they should go."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_tincture.errors import InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.metrics.stream import Key, Survey, survey
from napari_tincture.progress import CancelToken
from napari_tincture.regrid import Window

ALONE = [name for name in metric_names() if find_metric(name).alone]
FOCUS = ["focus_brenner", "focus_tenengrad", "focus_laplacian"]
SHAPES = [(3, 3), (40, 51), (7, 130), (128, 96)]
CHUNKS = [None, ((40, 1, 29, 30), (64, 27)), ((3,) * 33 + (1,), (91,)), ((100,), (7,) * 13)]
RANGES = {"uint8": 255.0, "uint16": 65535.0, "int16": 65535.0, "float32": 1.0, "float64": 3.0}
NINE = ndimage.generate_binary_structure(2, 2)


def picture(shape, dtype="float64", seed=0):
    """Smooth blobs with noise, over the whole range of the data type."""
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
    values = blobs / max(np.ptp(blobs), 1e-9) + rng.normal(0, 0.02, shape)
    unit = (values - values.min()) / np.ptp(values)
    if np.dtype(dtype).kind == "f":
        return (unit * RANGES[dtype]).astype(dtype)
    info = np.iinfo(dtype)
    return np.rint(info.min + unit * (info.max - info.min)).astype(dtype)


def rows(image, names, *, chunks=None, regions=None, count=1, data_range=1.0, reference=None):
    """Rows of all these metrics of an image, by name."""
    values = image[None] if image.ndim == 2 else image

    def read(place):
        return Window(values[:, place[0], place[1]])

    metrics = {name: find_metric(name) for name in names}
    plan = Survey(
        shape=image.shape[-2:], images=[read], reference=reference, channels=[0],
        statistics=list(dict.fromkeys(m.statistic for m in metrics.values())),
        data_range=data_range, count=count, chunks=chunks,
        regions=None if regions is None else lambda place: regions[place],
    )  # fmt: skip
    tally = survey(plan, lambda done, total: None, CancelToken())
    return {name: tally.rows[Key(0, 0, m.statistic)] for name, m in metrics.items()}


def figures(image, names=ALONE, data_range=1.0, **options):
    found = rows(image, names, data_range=data_range, **options)
    result = {}
    for name, row in found.items():
        result |= find_metric(name).figures(row[0], data_range)
    return result


def inner(values):
    return values[1:-1, 1:-1]


def by_scipy(image):
    """What the metrics mean, of pixels with all their neighbours."""
    v = image.astype(np.float64)
    across = ndimage.correlate1d(v, [-1, 0, 1], axis=1)
    down = ndimage.correlate1d(v, [-1, 0, 1], axis=0)
    sobel = ndimage.sobel(v, 0) ** 2 + ndimage.sobel(v, 1) ** 2
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    residue = np.abs(inner(ndimage.convolve(v, mask)))
    return {
        "focus_brenner": inner(across**2 + down**2).mean(),
        "focus_tenengrad": inner(sobel).mean(),
        "focus_laplacian": inner(ndimage.laplace(v)).var(),
        "noise": np.sqrt(np.pi / 2) * residue.sum() / (6 * residue.size),
        "noise_robust": np.median(residue) / (6 * 0.67448975),
    }


def design(shape, powers):
    """Terms of a surface at every pixel, from -1 to 1."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    grid = np.meshgrid(y, x, indexing="ij")
    return np.stack([(grid[0] ** a * grid[1] ** b).ravel() for a, b in powers], axis=1)


PLANE = [(0, 0), (1, 0), (0, 1)]
PARABOLOID = [*PLANE, (2, 0), (1, 1), (0, 2)]


def drift_by_least_squares(image, powers):
    factors, *_ = np.linalg.lstsq(
        design(image.shape, powers), image.ravel().astype(float), rcond=None
    )
    return np.ptp(design((2001, 2001), powers) @ factors)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_figures_are_those_of_the_plain_formulas(shape, dtype):
    image = picture(shape, dtype)
    found, expected = figures(image, data_range=RANGES[dtype]), by_scipy(image)
    robust = expected.pop("noise_robust")
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
    if image.size > 1000:
        # Bins are at most 1/32 wide, and values of integers count as spread by a half to each side.
        step = 1.0 if np.dtype(dtype).kind in "iu" else 0.0
        assert found["noise_robust"] == pytest.approx(robust, rel=0.01, abs=step / 6)
    assert found["drift_plane"] * RANGES[dtype] == pytest.approx(
        drift_by_least_squares(image, PLANE), rel=1e-6
    )
    # The greatest and least of 2001 × 2001 places are near those of the surface.
    assert found["drift"] * RANGES[dtype] == pytest.approx(
        drift_by_least_squares(image, PARABOLOID), rel=1e-5
    )


@pytest.mark.parametrize("area", [16, 50])
@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_streamed_equals_whole(monkeypatch, area, chunks, dtype):
    image = picture((100, 91), dtype)
    whole = figures(image, data_range=RANGES[dtype])
    monkeypatch.setattr(stream, "AREA", area)
    parts = figures(image, data_range=RANGES[dtype], chunks=chunks)
    assert parts == pytest.approx(whole, rel=1e-9, abs=0)


@pytest.mark.parametrize("area", [1024, 17])
def test_regions_are_taken_each_for_itself(monkeypatch, area):
    image = picture((90, 110), "uint16") // 4
    regions = np.full(image.shape, -1, np.int32)
    regions[5:60, 10:50] = 0
    regions[70:88, 3:100] = 2
    monkeypatch.setattr(stream, "AREA", area)
    found = rows(image, ALONE, regions=regions, count=4, data_range=65535.0)
    for region, cut in ((0, np.s_[5:60, 10:50]), (2, np.s_[70:88, 3:100])):
        part = image[cut]
        # Windows of a region's pixels see beyond it.
        around = image[cut[0].start - 1 : cut[0].stop + 1, cut[1].start - 1 : cut[1].stop + 1]
        expected = figures(around, data_range=65535.0) | figures(part, ["drift"], 65535.0)
        got = {}
        for name, row in found.items():
            got |= find_metric(name).figures(row[region], 65535.0)
        assert got == pytest.approx(expected, rel=1e-9)
    for name, row in found.items():
        for empty in (1, 3):
            with pytest.raises(Undefined):
                find_metric(name).figures(row[empty], 65535.0)


def test_pairs_are_refused_without_a_reference():
    with pytest.raises(ValueError, match="PixelSums need a reference"):
        rows(picture((9, 9)), ["mse"])


def test_pixels_without_a_value_and_their_neighbours_do_not_count():
    image = picture((64, 64))
    holed = image.copy()
    holed[30, 40] = np.nan
    seen = ~ndimage.binary_dilation(np.isnan(holed), NINE)
    laplacian = ndimage.laplace(image)
    found = figures(holed, ["focus_laplacian", "noise"])
    assert found["focus_laplacian"] == pytest.approx(inner(laplacian)[inner(seen)].var(), rel=1e-9)
    assert np.isfinite(found["noise"])


@pytest.mark.parametrize("name", FOCUS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_focus_falls_under_blur(name, dtype):
    image = picture((200, 200), dtype)
    sigmas = [0, 0.5, 1, 2, 4]
    found = [figures(ndimage.gaussian_filter(image, s), [name])[name] for s in sigmas]
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_noise_is_found(sigma, dtype):
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.linspace(60, 120, 400), np.linspace(0, 60, 500))
    noisy = ramp + rng.normal(0, sigma, ramp.shape)
    image = np.rint(noisy).clip(0, 255).astype(dtype) if dtype == "uint8" else noisy
    found = figures(image, ["noise", "noise_robust"], data_range=255.0)
    # Rounding to integers adds its own noise, of variance 1/12.
    true = np.sqrt(sigma**2 + (1 / 12 if dtype == "uint8" else 0))
    assert found["noise"] == pytest.approx(true, rel=0.02)
    assert found["noise_robust"] == pytest.approx(true, rel=0.02)


def test_the_median_resists_edges():
    rng = np.random.default_rng(4)
    # Diagonal edges: the mask sees none along the axes.
    stripes = 100.0 * ((np.indices((400, 400)).sum(axis=0) // 64) % 2)
    found = figures(
        stripes + rng.normal(0, 3, stripes.shape), ["noise", "noise_robust"], data_range=255.0
    )
    assert found["noise"] > 5
    assert found["noise_robust"] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("dtype", RANGES)
def test_a_constant_image_has_no_focus_noise_or_drift(dtype):
    image = np.full((40, 50), 1 if dtype.startswith("float") else 101, dtype)
    assert figures(image, data_range=RANGES[dtype]) == pytest.approx(
        dict.fromkeys([*ALONE, "drift_plane"], 0.0), abs=1e-12
    )


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (50, 1)])
@pytest.mark.parametrize("name", ALONE)
def test_images_too_small_have_no_figures(name, shape):
    with pytest.raises(Undefined, match=r"fits"):
        figures(np.ones(shape), [name])


def test_drift_is_that_of_the_illumination():
    rng = np.random.default_rng(5)
    y, x = (np.linspace(-1, 1, n) for n in (300, 400))
    tilted = 100 + 20 * np.add.outer(y, 0.5 * x) + rng.normal(0, 3, (300, 400))
    found = figures(tilted, ["drift"], data_range=255.0)
    assert found["drift_plane"] == pytest.approx(60 / 255, rel=0.01)
    vignetted = 200 * (1 - 0.1 * np.add.outer(y**2, x**2)) + rng.normal(0, 3, (300, 400))
    found = figures(vignetted, ["drift"], data_range=255.0)
    assert found["drift"] == pytest.approx(40 / 255, rel=0.02)
    assert found["drift_plane"] < 0.01


@pytest.mark.slow
def test_drift_of_a_small_place_far_from_the_corner_keeps_its_digits(monkeypatch):
    image = np.full((600, 3000), 40_000, np.uint16)
    spot = np.s_[570:595, 2960:2990]
    image[spot] += (np.add.outer(np.arange(25) ** 2, np.arange(30) * 3)).astype(np.uint16)
    regions = np.full(image.shape, -1, np.int32)
    regions[spot] = 0
    monkeypatch.setattr(stream, "AREA", 7)
    chunks = ((575, 25), (2975, 25))
    row = rows(image, ["drift"], regions=regions, chunks=chunks)["drift"][0]
    found = find_metric("drift").figures(row, 1.0)
    assert found["drift"] == pytest.approx(24**2 + 29 * 3, rel=1e-9)


def test_too_many_regions_for_histograms_are_refused():
    with pytest.raises(InputError, match="at most 65536"):
        rows(picture((9, 9)), ["noise_robust"], regions=np.zeros((9, 9), np.int32), count=2**16 + 1)
