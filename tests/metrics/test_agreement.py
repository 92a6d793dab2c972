"""Metrics agree with scikit-image, scipy, torchmetrics and plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import skimage.metrics
import torch
from metric_pairs import RANGES, block, figures, pair, use_kernels
from numpy.lib.stride_tricks import sliding_window_view

from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.registry import find_metric
from napari_tincture.metrics.windows import PARTS, Window, similarity

torchmetrics = pytest.importorskip("torchmetrics.functional")
torchmetrics_image = pytest.importorskip("torchmetrics.functional.image")

SHAPES = (11, 11), (16, 70), (64, 64), (97, 53)
SCIKIT = {
    "ssim": {},
    "ssim_gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}
RADIUS = {"ssim": 3, "ssim_gaussian": 5}


@pytest.fixture(params=[True, False], ids=["compiled", "torch"], autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use_kernels(request.param, monkeypatch)


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param


@pytest.fixture(params=RANGES)
def planes(request: pytest.FixtureRequest, shape):
    return pair(shape, request.param)


@pytest.fixture(params=[1.0, 0.37], ids=["full", "part"])
def data_range(request: pytest.FixtureRequest, planes) -> float:
    return request.param * RANGES[planes[0].dtype.name]


def doubles(planes):
    """The channel that is measured, as double precision."""
    return tuple(v[1].astype(np.float64) for v in planes)


def tensors(planes):
    return tuple(torch.from_numpy(v)[None, None] for v in doubles(planes))


def close(value: float):
    return pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", SCIKIT)
def test_ssim_and_its_map_are_scikit_images(name: str, planes, data_range: float) -> None:
    metric = find_metric(name)
    # Double precision, as here; scikit-image computes single precision in single.
    mean, full = skimage.metrics.structural_similarity(
        *doubles(planes), data_range=data_range, full=True, **SCIKIT[name]
    )
    assert figures(metric, *planes, data_range)[name] == close(mean)
    found = metric.map(block(metric, *planes, data_range=data_range))[name]
    np.testing.assert_allclose(found, full, rtol=1e-6, atol=1e-7)  # maps are float32


def test_ssim_is_torchmetrics_but_for_its_edges(planes, data_range: float) -> None:
    _, full = torchmetrics_image.structural_similarity_index_measure(
        *tensors(planes), data_range=data_range, return_full_image=True
    )
    inner = full[0, 0, 5:-5, 5:-5].mean().item()
    found = figures(find_metric("ssim_gaussian"), *planes, data_range)["ssim_gaussian"]
    assert found == close(inner)


@pytest.mark.parametrize("name", SCIKIT)
def test_luminance_contrast_and_structure_are_their_formulas(
    name: str, planes, data_range: float
) -> None:
    image, reference = (v[1] for v in planes)
    window = Window("uniform" if name == "ssim" else "gaussian")
    _, *found = similarity(image, reference, window, data_range, parts=4)
    expected = [*three_factors(name, planes, data_range)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    if name == "ssim":
        columns = figures(find_metric(name), *planes, data_range)
        for part, values in zip(PARTS[1:], expected, strict=True):
            assert columns[part] == close(values.mean())


def three_factors(name: str, planes, data_range: float):
    """Of every window, from the definitions, weight by weight."""
    radius = RADIUS[name]
    side = 2 * radius + 1
    along = np.ones(side)
    if name == "ssim_gaussian":
        along = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * 1.5**2))
    weights = np.outer(along, along) / along.sum() ** 2
    a, b = (sliding_window_view(v, (side, side)) for v in doubles(planes))
    ma, mb = ((v * weights).sum((2, 3)) for v in (a, b))
    da, db = a - ma[..., None, None], b - mb[..., None, None]
    unbiased = side**2 / (side**2 - 1) if name == "ssim" else 1
    va, vb, vab = (unbiased * (v * weights).sum((2, 3)) for v in (da * da, db * db, da * db))
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    both = np.sqrt(va * vb)
    yield (2 * ma * mb + c1) / (ma**2 + mb**2 + c1)
    yield (2 * both + c2) / (va + vb + c2)
    yield (vab + c2 / 2) / (both + c2 / 2)


def test_errors_are_scikit_images_and_torchmetrics(planes, data_range: float) -> None:
    def found(name: str) -> float:
        return figures(find_metric(name), *planes, data_range)[name]

    (a, b), (ta, tb) = doubles(planes), tensors(planes)
    mse = skimage.metrics.mean_squared_error(b, a)
    assert found("mse") == close(mse)
    assert found("mse") == close(torchmetrics.mean_squared_error(ta, tb).item())
    assert found("rmse") == close(torchmetrics.mean_squared_error(ta, tb, squared=False).item())
    assert found("mae") == close(torchmetrics.mean_absolute_error(ta, tb).item())
    # Of the reference's norm: scikit-image takes the reference first.
    assert found("nrmse") == close(skimage.metrics.normalized_root_mse(b, a))
    psnr = skimage.metrics.peak_signal_noise_ratio(b, a, data_range=data_range)
    assert found("psnr") == close(psnr)
    other = torchmetrics_image.peak_signal_noise_ratio(ta, tb, data_range=data_range).item()
    assert found("psnr") == pytest.approx(other, rel=1e-6)  # it takes the range in float32


def test_correlation_is_scipys_and_torchmetrics(planes) -> None:
    a, b = (v.ravel() for v in doubles(planes))
    found = figures(find_metric("pearson"), *planes, 1.0)["pearson"]
    assert found == close(scipy.stats.pearsonr(a, b).statistic)
    assert found == close(torchmetrics.pearson_corrcoef(*map(torch.from_numpy, (a, b))).item())


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_correlation_loses_no_digits_to_large_means(offset: float) -> None:
    planes = [v + offset for v in pair((50, 40))]
    found = figures(find_metric("pearson"), *planes, 1.0)["pearson"]
    a, b = (v[1].ravel() for v in planes)
    assert found == pytest.approx(scipy.stats.pearsonr(a, b).statistic, rel=1e-9)


def test_psnr_of_equal_images_is_infinite_and_of_none_undefined() -> None:
    metric = find_metric("psnr")
    image, _ = pair((8, 8))
    assert figures(metric, image, image, 1.0)["psnr"] == np.inf
    nowhere = np.full((8, 8), -1, np.int32)
    row = metric.statistic.measure(block(metric, image, image, regions=nowhere))
    with pytest.raises(Undefined, match="no pixels"):
        metric.figures(row[0], 1.0)


def test_opposite_images_have_negative_similarity_and_correlation() -> None:
    image, _ = pair((40, 40))
    noise = np.random.default_rng(2).random(image.shape)
    for name in (*SCIKIT, "pearson"):
        assert figures(find_metric(name), noise, 1 - noise, 1.0)[name] < -0.9
