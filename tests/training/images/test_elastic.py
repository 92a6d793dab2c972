from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from napari_tincture.training.images.elastic import gaussian_bend, grid_bend


def field(rows: torch.Tensor, columns: torch.Tensor) -> np.ndarray:
    return torch.einsum("yk,kxc->cyx", rows, columns).numpy()


def test_a_grid_is_interpolated_by_bicubic_pieces() -> None:
    vectors = torch.from_numpy(np.random.default_rng(5).normal(size=(1, 2, 3, 3)) * 10.0)
    expected = functional.interpolate(vectors, size=(33, 33), mode="bicubic", align_corners=True)
    found = field(*grid_bend(33, 3, 10.0, np.random.default_rng(5)))
    np.testing.assert_allclose(found, expected[0].numpy(), rtol=0, atol=1e-5)  # float32
    np.testing.assert_allclose(found[:, ::16, ::16], vectors[0].numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sigma", [1.0, 9.7])
def test_a_gaussian_field_has_the_covariance_of_smoothed_pixels(sigma: float) -> None:
    rows, _ = gaussian_bend(60, 1.0, sigma, np.random.default_rng(0))
    lags = np.subtract.outer(np.arange(60), np.arange(60))
    expected = np.exp(-((lags / (2 * sigma)) ** 2))
    # Along one axis, knots one σ apart leave a ripple of 2 exp(−π²) = 1.03e-4 of the variance.
    found = 2 * np.sqrt(np.pi) * sigma**2 * (rows @ rows.T).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.1e-4)


def test_a_gaussian_field_moves_as_far_as_smoothed_pixels() -> None:
    alpha, sigma, size = 300.0, 3.0, 400
    found = field(*gaussian_bend(size, alpha, sigma, np.random.default_rng(0)))
    noise = np.random.default_rng(1).uniform(-1, 1, (2, size, size))
    plain = alpha * ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap")
    # (400 / 2√π σ)² independent places in each of two components: 0.9 % for each of both.
    assert found.std() == pytest.approx(plain.std(), rel=0.03)
    assert found.std() == pytest.approx(alpha / (np.sqrt(12 * np.pi) * sigma), rel=0.03)
