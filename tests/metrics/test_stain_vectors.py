from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from scipy.optimize import nnls

from napari_tincture.errors import Cancelled, InputError
from napari_tincture.metrics import stain_vectors as module
from napari_tincture.metrics._macenko import STEP, AngleCounts, Plane
from napari_tincture.metrics._sparse_stains import amounts, sparse_stains
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.stain_vectors import angles_between, stain_angles, stain_vectors
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster

METHODS = ["macenko", "vahadane"]
STAINS = {
    "hematoxylin-eosin": [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]],
    "hematoxylin-dab": [[0.65, 0.70, 0.29], [0.27, 0.57, 0.78]],
    "near": [[0.55, 0.75, 0.36], [0.20, 0.90, 0.38]],
}


def _unit(vectors: object) -> np.ndarray:
    array = np.asarray(vectors, float)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def _mixture(vectors: np.ndarray, dtype: str, white: float, side: int = 160) -> np.ndarray:
    """Pixels of one stain, of the other, of both and of none; (3, y, x)."""
    random = np.random.default_rng(4)
    amount = random.gamma(3, 0.25, (2, side, side))
    kind = random.random((side, side))
    amount[0, kind < 0.3] = 0
    amount[1, (kind > 0.2) & (kind < 0.5)] = 0
    values = white * 10 ** -np.einsum("sk,syx->kyx", vectors, amount)
    return np.rint(values).astype(dtype) if dtype.startswith("u") else values.astype(dtype)


def _colour(pixels: np.ndarray) -> Raster:
    return Raster.from_array(pixels, "cyx", rgb=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", STAINS)
@pytest.mark.parametrize(
    ("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1.0), ("float64", 1.0)]
)
def test_known_vectors_are_found(method: str, name: str, dtype: str, white: float) -> None:
    known = _unit(STAINS[name])
    found = stain_vectors(_colour(_mixture(known, dtype, white)), method=method)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert angles_between(found, known).max() < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_a_grey_background_is_told_as_white(method: str) -> None:
    known = _unit(STAINS["hematoxylin-eosin"])
    white = np.array([240.0, 236, 228])
    pixels = _mixture(known, "float64", 1.0) * white[:, None, None]
    image = _colour(np.rint(pixels).astype(np.uint8))
    assert angles_between(stain_vectors(image, method=method, white=white), known).max() < 0.5
    assert angles_between(stain_vectors(image, method=method), known).max() > 1


@pytest.mark.parametrize("white", [None, 240])
def test_macenko_of_a_real_section_is_the_plain_formula(white: float | None) -> None:
    pixels = np.moveaxis(skimage.data.immunohistochemistry(), -1, 0)
    found = stain_vectors(_colour(pixels), white=white)
    density = -np.log10(np.clip(pixels.reshape(3, -1) / (white or 255), 1 / 510, 1))
    density = density[:, density.mean(axis=0) >= 0.15]
    u = np.linalg.svd(density, full_matrices=False)[0][:, :2]
    u *= np.sign(u.sum(axis=0))
    angle = np.arctan2(u[:, 1] @ density, u[:, 0] @ density)
    ends = [u @ [np.cos(a), np.sin(a)] for a in np.percentile(angle, [1, 99])]
    expected = np.array(sorted(ends, key=lambda v: -v[0]))
    assert angles_between(found, expected).max() <= STEP


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("area", [33, 64, 1000])
def test_how_an_image_is_cut_makes_no_difference(
    method: str, area: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _colour(_mixture(_unit(STAINS["near"]), "uint8", 255))
    monkeypatch.setattr(module, "SAMPLE", 5000)
    whole = stain_vectors(image, method=method)
    monkeypatch.setattr(module, "AREA", area)
    calls: list[tuple[int, int]] = []
    found = stain_vectors(image, method=method, progress=lambda *done: calls.append(done))
    np.testing.assert_allclose(found, whole, rtol=1e-9)
    assert calls[-1][0] == calls[-1][1] == len(calls)


@pytest.mark.parametrize("method", METHODS)
def test_images_of_the_same_stains_have_no_angle(method: str) -> None:
    one, other = (_unit(STAINS[name]) for name in ("hematoxylin-eosin", "near"))
    image, reference = (_colour(_mixture(v, "float64", 1.0)) for v in (one, other))
    calls: list[tuple[int, int]] = []
    found = stain_angles(image, reference, method=method, progress=lambda *d: calls.append(d))
    expected = angles_between(one, other)
    np.testing.assert_allclose(found, expected, atol=0.8)
    assert calls[-1][0] == calls[-1][1]
    assert stain_angles(image, image, method=method) == (0, 0)


def test_angles_are_exact_where_they_are_small() -> None:
    turn = np.radians([1e-7, 1e-3, 30, 90])
    one = np.tile([1.0, 0, 0], (4, 1))
    other = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    np.testing.assert_allclose(angles_between(one, other), [1e-7, 1e-3, 30, 90], rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_pixels_without_a_value_are_left_out(method: str) -> None:
    pixels = _mixture(_unit(STAINS["near"]), "float64", 1.0)
    spoilt = np.concatenate([pixels, np.full((3, 160, 7), 0.01)], axis=2)
    spoilt[1, :, 160:164] = np.nan
    spoilt[2, :, 164:] = np.inf
    found = stain_vectors(_colour(spoilt), method=method)
    # Macenko's are equal; the sample of the other method is drawn by the place of a pixel.
    atol = 1e-9 if method == "macenko" else 5e-3
    np.testing.assert_allclose(found, stain_vectors(_colour(pixels), method=method), atol=atol)


@pytest.mark.parametrize("method", METHODS)
def test_vectors_that_images_do_not_have(method: str) -> None:
    empty = np.full((3, 20, 20), 250, np.uint8)
    with pytest.raises(Undefined, match="no tissue"):
        stain_vectors(_colour(empty), method=method)
    amount = np.random.default_rng(0).uniform(0.3, 1.5, (20, 20))
    single = np.rint(255 * 10 ** -(_unit(STAINS["near"])[0][:, None, None] * amount))
    with pytest.raises(Undefined, match="one colour"):
        stain_vectors(_colour(single.astype(np.uint8)), method=method)


def test_images_that_cannot_be_used() -> None:
    pixels = np.zeros((3, 8, 8), np.uint8)
    with pytest.raises(InputError, match="is no RGB image"):
        stain_vectors(Raster.from_array(pixels, "cyx"))
    with pytest.raises(InputError, match="axes 'tcyx'"):
        stain_vectors(Raster.from_array(pixels[None], "tcyx", rgb=True))
    with pytest.raises(InputError, match=r"'ica'.*known are macenko, vahadane"):
        stain_vectors(_colour(pixels), method="ica")  # type: ignore[arg-type]
    for white in (0, [255, 255], [255, np.nan, 255]):
        with pytest.raises(InputError, match="above 0"):
            stain_vectors(_colour(pixels), white=white)


@pytest.mark.parametrize("method", METHODS)
def test_it_can_be_cancelled(method: str) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        stain_vectors(_colour(np.zeros((3, 8, 8), np.uint8)), method=method, cancel=token)


def test_percentiles_of_a_histogram_are_those_of_the_angles() -> None:
    angles = np.random.default_rng(2).normal(5, 20, 5000)
    counts = AngleCounts()
    for part in np.array_split(angles, 7):
        counts.add(part)
    for percent in (0, 1, 50, 99, 100):
        expected = np.percentile(angles, percent, method="inverted_cdf")
        assert abs(counts.percentile(percent) - expected) <= STEP


def test_angles_and_directions_are_inverse() -> None:
    plane = Plane.of(np.diag([1.0, 4.0, 0.1]))
    angles = np.array([-89.0, -10, 0, 45])
    directions = np.stack([plane.direction(a) for a in angles], axis=1)
    np.testing.assert_allclose(plane.angles(directions * [1, 2, 3, 4]), angles, atol=1e-12)
    np.testing.assert_allclose(plane.direction(0), [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("sparseness", [0.0, 0.1, 0.5])
def test_amounts_have_the_least_error(sparseness: float) -> None:
    """The penalised problem is a plain one with a further row of zeros: λ Σ h = bᵀh."""
    random = np.random.default_rng(3)
    w = _unit(STAINS["hematoxylin-dab"]).T
    v = random.normal(0.3, 0.6, (3, 200))
    found = amounts(v, w, sparseness)
    # |v - wh|² / 2 + λ Σ h equals |(v - λ w (wᵀw)⁻¹ 1) - wh|² / 2 up to a constant.
    shift = w @ np.linalg.solve(w.T @ w, np.full(2, sparseness))
    expected = np.stack([nnls(w, column - shift)[0] for column in v.T], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_factorisation_goes_downhill_to_a_standstill() -> None:
    vectors = _unit(STAINS["near"])
    random = np.random.default_rng(5)
    mixed = vectors.T @ random.gamma(1, 0.4, (2, 3000)) + random.normal(0, 0.02, (3, 3000))
    density = np.maximum(mixed, 0)

    def loss(w: np.ndarray) -> float:
        v = density * np.log(10)
        h = amounts(v, w.T, 0.02)
        return float(((v - w.T @ h) ** 2).sum() / 2 + 0.02 * h.sum())

    start = _unit([[1.0, 1, 1], [0.1, 1, 0.1]])
    found = sparse_stains(density, start, 0.02)
    assert loss(found) < loss(start)
    assert loss(found) <= loss(vectors)
    np.testing.assert_allclose(sparse_stains(density, found, 0.02), found, atol=1e-5)
