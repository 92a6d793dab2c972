"""Features learned from the images at hand, and how sure distances of few images are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.sets import LearnedFeatures, kid_interval
from napari_tincture.metrics.sets._views import WAYS, Views, contrastive_loss
from napari_tincture.metrics.sets.kid import unbiased_mmd


def field(seed: int, side: int = 96) -> np.ndarray:
    """Blobs with a fine texture."""
    rng = np.random.default_rng(seed)
    values = sum(gaussian_filter(rng.normal(size=(side, side)), s) * s for s in (0.7, 4))
    return (np.clip(0.5 + 0.4 * values, 0, 1) * 255).astype(np.uint8)


def squares(image: np.ndarray, side: int = 32) -> np.ndarray:
    n = len(image) // side
    return image.reshape(n, side, n, side).swapaxes(1, 2).reshape(-1, 1, side, side)


@pytest.fixture(scope="module")
def features() -> LearnedFeatures:
    images = [field(n) for n in range(4)]
    return LearnedFeatures.learn(images, side=32, steps=60, batch=6, device="cpu")


def test_they_tell_blurred_images_from_real_ones(features: LearnedFeatures) -> None:
    real, other = (
        np.concatenate([features(squares(field(seed))) for seed in seeds])
        for seeds in (range(10, 16), range(20, 26))
    )
    blurred = np.concatenate(
        [features(squares(gaussian_filter(field(seed), 1.5))) for seed in range(20, 26)]
    )
    same, worse = (kid_interval(one, real, rounds=200) for one in (other, blurred))
    assert worse.low > same.high
    assert worse.value > 5 * abs(same.value)


def test_the_seed_decides_and_files_hold_them(features: LearnedFeatures, tmp_path: Path) -> None:
    images = [field(n) for n in range(4)]
    torch.manual_seed(5)
    again = LearnedFeatures.learn(images, side=32, steps=60, batch=6, device="cpu")
    values = features(squares(field(10)))
    assert values.shape == (9, 384)
    np.testing.assert_array_equal(values, again(squares(field(10))))
    loaded = LearnedFeatures.load(features.save(tmp_path / "f.safetensors"), device="cpu")
    np.testing.assert_array_equal(values, loaded(squares(field(10))))
    floating = squares(field(10)).astype(np.float32) / 255
    np.testing.assert_allclose(values, features(floating), rtol=1e-6)


def test_views_of_a_square_are_of_one_place() -> None:
    # A ramp along the diagonals: a view's values say where it is.
    ramp = np.add.outer(np.arange(400), np.arange(400)).astype(np.float32) / 800
    one, other = Views([ramp], 32, 0)(8)
    assert one.shape == other.shape == (16, 1, 32, 32)
    assert one.min() >= 0
    assert one.max() <= 1
    # The mean of a region does not change much with any way but that which shifts grey.
    apart = (one.mean((1, 2, 3)) - other.mean((1, 2, 3))).abs()
    assert apart.max() <= 32 / 800 + 1e-6
    assert one.mean((1, 2, 3)).std() > 0.1


@pytest.mark.parametrize("way", WAYS)
def test_degraded_squares_keep_their_size(way: object) -> None:
    region = np.random.default_rng(0).random((2, 49, 49), np.float32)
    changed = way(region, 0.8, np.random.default_rng(1))  # type: ignore[operator]
    assert changed.shape == region.shape
    assert changed.dtype == np.float32
    assert (changed != region).any() == (way is not WAYS[0])


def test_the_loss_is_that_of_its_equation() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(6, 5, dtype=torch.float64), dim=1)
    own = []
    for i in range(6):
        alike = [torch.exp(vectors[i] @ vectors[k] / 0.2) for k in range(6)]
        own.append(-torch.log(alike[(i + 3) % 6] / (sum(alike) - alike[i])))
    assert contrastive_loss(vectors).item() == pytest.approx(torch.stack(own).mean().item())


def test_the_interval_is_about_the_unbiased_distance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (40, 6)), rng.normal(0.3, 1, (50, 6))
    found = kid_interval(x, y, rounds=300)
    wanted = unbiased_mmd(np.float64(np.float32(x)), np.float64(np.float32(y)))
    assert found.value == pytest.approx(wanted)
    assert found.low < found.value < found.high


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        # Sets of one distribution, whose distance is 0.
        found = kid_interval(rng.normal(size=(30, 4)), rng.normal(size=(30, 4)), rounds=200)
        held += found.low <= 0 <= found.high
    assert held >= 50


def test_features_of_one_image_are_drawn_together() -> None:
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(8, 4))
    x = np.repeat(centres, 10, axis=0) + rng.normal(0, 0.01, (80, 4))
    y = rng.normal(size=(60, 4))
    groups = np.repeat(list("abcdefgh"), 10)
    alone, together = kid_interval(x, y), kid_interval(x, y, groups=groups)
    assert alone.value == together.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_bad_input_is_named(features: LearnedFeatures, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="48 pixels or more"):
        LearnedFeatures.learn([field(0, 40)], side=32, device="cpu")
    with pytest.raises(InputError, match="3 channels"):
        features(np.zeros((1, 3, 32, 32), np.uint8))
    with pytest.raises(InputError, match="uint8 or floating"):
        features(np.zeros((1, 1, 32, 32), np.uint16))
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        LearnedFeatures.load(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="same network"):
        kid_interval(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(Undefined, match="two images"):
        kid_interval(np.zeros((3, 2)), np.zeros((3, 2)), groups=[1, 1, 1])
