"""FID, KID, precision and recall against plain formulas, scipy and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.sets import Features, FeatureSet, find_set_metric, set_metric_names
from napari_tincture.metrics.sets import feature_recall as recall_module
from napari_tincture.metrics.sets.feature_recall import PrecisionAndRecall
from napari_tincture.metrics.sets.kid import KernelDistance

RANDOM = np.random.default_rng(1)


def _values(count: int, dims: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    mixing = np.random.default_rng(dims).normal(size=(dims, dims)) / np.sqrt(dims)
    return (RANDOM.normal(size=(count, dims)) @ mixing * scale + shift).astype(np.float32)


def _set(values: np.ndarray) -> FeatureSet:
    features = Features()
    features.add(values)
    return features.result()


def _fid(x: np.ndarray, y: np.ndarray) -> float:
    return find_set_metric("fid").figures(_set(x), _set(y))["fid"]


@pytest.mark.parametrize(("m", "n", "dims"), [(50, 60, 3), (300, 200, 32), (400, 400, 100)])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, 1.0), (0.1, 100.0)])
def test_fid_is_the_formula_with_scipys_root(
    m: int, n: int, dims: int, scale: float, shift: float
) -> None:
    x, y = _values(m, dims), _values(n, dims, scale, shift)
    a, b = (np.cov(v.astype(np.float64), rowvar=False) for v in (x, y))
    step = x.astype(np.float64).mean(axis=0) - y.astype(np.float64).mean(axis=0)
    expected = step @ step + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert _fid(x, y) == pytest.approx(expected, rel=1e-6)


def test_fid_of_known_distributions() -> None:
    # Of N(0, diag(s²)) and N(m, diag(t²)): |m|² + Σ (s - t)².
    s, t, m = np.array([1.0, 2, 3]), np.array([4.0, 0, 3.5]), np.array([0.0, 1, 2])
    one, other = FeatureSet(np.zeros(3), np.diag(s**2)), FeatureSet(m, np.diag(t**2))
    found = find_set_metric("fid").figures(one, other)["fid"]
    assert found == pytest.approx(m @ m + ((s - t) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("count", [2, 5, 40])
def test_fid_of_fewer_images_than_features(count: int) -> None:
    """Covariances are singular; the rank-deficient trace is that of the Gram matrices."""
    x, y = _values(count, 64), _values(count + 1, 64, 2.0, 0.5)
    a, b = (v - v.mean(axis=0) for v in (x.astype(np.float64), y.astype(np.float64)))
    common = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt(count * (count - 1))
    step = x.astype(np.float64).mean(axis=0) - y.astype(np.float64).mean(axis=0)
    spreads = (a**2).sum() / (count - 1) + (b**2).sum() / count
    assert _fid(x, y) == pytest.approx(step @ step + spreads - 2 * common, rel=1e-6)
    assert _fid(x, x) == pytest.approx(0, abs=1e-9)


def test_fid_is_torchmetrics() -> None:
    x, y = _values(200, 16), _values(150, 16, 1.5, 0.3)
    peer = FrechetInceptionDistance(_Itself(16)).set_dtype(torch.float64)
    peer.update(torch.from_numpy(x), real=True)
    peer.update(torch.from_numpy(y), real=False)
    assert _fid(x, y) == pytest.approx(peer.compute().item(), rel=1e-6)


class _Itself(torch.nn.Module):
    """Images that are their own features."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.num_features = length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def _plain_mmd(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a.astype(np.float64) @ b.astype(np.float64)) / len(a) + 1) ** 3

    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


@pytest.mark.parametrize(("m", "n", "dims"), [(2, 2, 1), (13, 13, 4), (20, 31, 64)])
@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_kid_of_all_features_is_the_plain_sum(m: int, n: int, dims: int, shift: float) -> None:
    x, y = _values(m, dims), _values(n, dims, 1.2, shift)
    found = find_set_metric("kid").figures(_set(x), _set(y))
    assert found["kid"] == pytest.approx(_plain_mmd(x, y), rel=1e-6, abs=1e-12)
    assert found["kid_sd"] == 0


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_kid_is_torchmetrics() -> None:
    x, y = _values(60, 16), _values(60, 16, 1.5, 0.3)
    peer = KernelInceptionDistance(_Itself(16), subsets=2, subset_size=60).set_dtype(torch.float64)
    peer.update(torch.from_numpy(x).double(), real=True)
    peer.update(torch.from_numpy(y).double(), real=False)
    found = find_set_metric("kid").figures(_set(x), _set(y))
    assert found["kid"] == pytest.approx(peer.compute()[0].item(), rel=1e-6)


def test_kid_of_subsets_scatters_around_that_of_all() -> None:
    x, y = _set(_values(300, 8)), _set(_values(200, 8, 1.3, 0.5))
    whole = KernelDistance().figures(x, y)["kid"]
    drawn = KernelDistance(subsets=400, size=50, seed=5)
    found = drawn.figures(x, y)
    assert found == drawn.figures(x, y)
    assert found != KernelDistance(subsets=400, size=50, seed=6).figures(x, y)
    assert found["kid_sd"] > 0
    assert abs(found["kid"] - whole) < 5 * found["kid_sd"] / np.sqrt(400)


def test_kid_uses_all_of_the_smaller_set() -> None:
    x, y = _values(30, 8), _values(8, 8, 1.3, 0.5)
    found = KernelDistance(subsets=50, size=20).figures(_set(x), _set(y))
    assert found["kid_sd"] > 0


def _plain_share(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    radii = np.sort(cdist(manifold, manifold), axis=1)[:, k]
    return float((cdist(points, manifold) <= radii).any(axis=1).mean())


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("m", "n", "dims"), [(20, 30, 2), (150, 90, 8), (70, 70, 64)])
@pytest.mark.parametrize("rows", [17, 1024])
def test_precision_and_recall_are_those_of_plain_distances(
    k: int, m: int, n: int, dims: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall_module, "ROWS", rows)
    x, y = _values(m, dims, 1.0, 50), _values(n, dims, 0.6, 50.2)
    found = PrecisionAndRecall(k).figures(_set(x), _set(y))
    x, y = x.astype(np.float64), y.astype(np.float64)
    assert found["feature_precision"] == _plain_share(x, y, k)
    assert found["feature_recall"] == _plain_share(y, x, k)


def test_precision_and_recall_tell_realism_from_variety() -> None:
    kind = _values(100, 4)
    x = np.concatenate([kind, kind + 500])
    assert PrecisionAndRecall().figures(_set(x), _set(x)) == {
        "feature_recall": 1.0, "feature_precision": 1.0,
    }  # fmt: skip
    one_kind = {"feature_recall": 0.5, "feature_precision": 1.0}
    assert PrecisionAndRecall().figures(_set(kind), _set(x)) == one_kind
    half_real = {"feature_recall": 1.0, "feature_precision": 0.5}
    assert PrecisionAndRecall().figures(_set(x), _set(kind)) == half_real
    assert set(PrecisionAndRecall().figures(_set(x + 9000), _set(x)).values()) == {0.0}


def test_repeated_images_are_covered_by_themselves() -> None:
    x = np.repeat(_values(10, 64, 1.0, 500), 5, axis=0)
    assert set(PrecisionAndRecall().figures(_set(x), _set(x)).values()) == {1.0}
    moved = _set(x + np.float32(0.01))
    assert set(PrecisionAndRecall().figures(moved, _set(x)).values()) == {0.0}


@pytest.mark.parametrize("name", set_metric_names())
def test_sets_of_other_networks_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="length 4, those of the reference 5"):
        find_set_metric(name).figures(_set(_values(9, 4)), _set(_values(9, 5)))


@pytest.mark.parametrize("name", [n for n in set_metric_names() if find_set_metric(n).keeps])
def test_figures_that_too_few_images_do_not_have(name: str) -> None:
    few = FeatureSet(np.zeros(4), np.eye(4), np.zeros((1, 4), np.float32), 1)
    with pytest.raises(Undefined, match="there are 1"):
        find_set_metric(name).figures(few, _set(_values(9, 4)))
