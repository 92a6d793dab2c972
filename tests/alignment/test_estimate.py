"""What is known of two images is found again, and nothing is claimed of what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from moved_pairs import bent, motion, off, raster, shown, texture
from scipy.ndimage import gaussian_filter

from napari_tincture.alignment import estimate
from napari_tincture.errors import Cancelled
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken
from napari_tincture.regrid import FloatArray

MOTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "whole pixels": ("translation", {"shift": (5, -3)}),
    "part of a pixel": ("translation", {"shift": (0.3, -0.3)}),
    "40 pixels": ("translation", {"shift": (40, 25.5)}),
    "15 percent": ("translation", {"shift": (57.6, -57.6)}),
    "a little turned": ("euclidean", {"rotation": 0.2, "shift": (1, 2)}),
    "much turned": ("euclidean", {"rotation": 5, "shift": (6, 3)}),
    "turned beyond small angles": ("euclidean", {"rotation": 12, "shift": (6, 3)}),
    "larger": ("similarity", {"scale": 1.01, "shift": (2, -1)}),
    "affine": ("affine", {"stretch": 0.01, "shear": 0.005, "rotation": 1, "shift": (-2, 4)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOTIONS)
def test_a_known_motion_is_found(name: str) -> None:
    plane = texture("phase")
    model, parts = MOTIONS[name]
    true = motion(plane.shape, **parts)
    result = estimate(raster(shown(plane, true)), raster(plane))
    assert result.found, result.why
    assert result.model == model
    middle, corner = off(result.matrix, true, plane.shape)
    assert middle < 0.05
    assert corner < 0.1
    assert result.shift == pytest.approx(parts["shift"], abs=0.05)
    assert result.rotation == pytest.approx(parts.get("rotation", 0), abs=0.02)
    assert result.distortion_p95 < 0.1
    assert result.trusted > 0.5
    assert result.is_off
    assert result.warning is not None
    assert result.warning.startswith("The image is off its reference by")


def test_a_simpler_model_can_be_asked_for() -> None:
    plane = texture("nuclei")
    image = shown(plane, motion(plane.shape, (2, 1), scale=1.01))
    result = estimate(raster(image), raster(plane), model="euclidean")
    assert result.model in ("translation", "euclidean")
    assert result.scale == pytest.approx((1, 1), abs=1e-12)
    assert result.distortion_rms < 0.1, "what an affine map leaves, not what a simpler one does"


@pytest.mark.parametrize("name", ["dapi", "blood"])
def test_the_same_image_lies_well(name: str) -> None:
    plane = texture(name)
    result = estimate(raster(plane), raster(plane))
    assert result.found
    assert max(map(abs, result.shift)) < 0.02
    assert off(result.matrix, np.eye(3), plane.shape)[1] < 0.02
    assert not result.is_off
    assert result.warning is None
    assert not result.explains_score


def _noisy(plane: FloatArray) -> FloatArray:
    return plane + np.random.default_rng(0).normal(0, 0.3 * plane.std(), plane.shape)


def _gamma(plane: FloatArray) -> FloatArray:
    result: FloatArray = np.clip((plane - plane.min()) / np.ptp(plane), 0, 1) ** 2
    return result


DISTURBED: dict[str, tuple[str, Callable[[FloatArray], FloatArray], float]] = {
    "noise": ("blood", _noisy, 0.05),
    "gain, offset, inverted": ("phase", lambda plane: 1000 - 0.01 * plane, 0.05),
    # Neither leaves all edges where they were.
    "gamma": ("blood", _gamma, 0.1),
    "blur": ("blood", lambda plane: gaussian_filter(plane, 2), 0.1),
}


@pytest.mark.parametrize("name", DISTURBED)
def test_contrast_noise_and_blur_do_not_matter(name: str) -> None:
    of, disturb, tolerance = DISTURBED[name]
    plane = texture(of)
    true = motion(plane.shape, (6.3, -2.6), rotation=0.5)
    result = estimate(raster(disturb(shown(plane, true))), raster(plane))
    assert result.found, result.why
    assert off(result.matrix, true, plane.shape)[0] < tolerance
    assert result.rotation == pytest.approx(0.5, abs=tolerance)


def test_misalignment_explains_the_score() -> None:
    plane = texture("phase")
    image = shown(plane, motion(plane.shape, (3, 2)))
    result = estimate(raster(image), raster(plane))
    assert result.before is not None
    assert result.after is not None
    inner = (slice(64, -64), slice(64, -64))
    whole = np.corrcoef(image[inner].ravel(), plane[inner].ravel())[0, 1]
    assert result.before.pearson == pytest.approx(whole, abs=0.15)
    assert result.after.pearson > 0.99
    assert result.after.ssim > 0.95 > result.before.ssim
    assert result.explains_score
    assert "lowers the scores" in str(result.warning)


def test_local_distortion_is_measured() -> None:
    plane = texture("blood")
    image = bent(plane)
    result = estimate(raster(image), raster(plane))
    assert result.found
    assert 0.4 < result.distortion_rms < 3
    assert result.distortion_p95 > result.distortion_rms
    assert "local distortion" in str(result.warning)


def test_pixels_of_other_sizes_and_units_and_pyramids() -> None:
    plane = texture("phase", 512)
    true = motion(plane.shape, (4.2, -3.4), rotation=1)
    image = shown(plane, true)
    half = image.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    size = {"scale": (500.0, 500.0), "units": "nm", "translate": (125.0, 125.0)}
    coarse = raster(half, placement=Placement.build("yx", **size))
    levels = [plane, plane.reshape(256, 2, 256, 2).mean(axis=(1, 3))]
    grid = Placement.build("yx", scale=(0.25, 0.25), units="µm")
    result = estimate(coarse, raster(levels, placement=grid))
    assert result.found, result.why
    assert off(result.matrix, true, plane.shape)[0] < 0.05
    assert result.rotation == pytest.approx(1, abs=0.02)
    assert result.shift_um == pytest.approx((4.2 / 4, -3.4 / 4), abs=0.02)


def test_a_rotation_is_one_where_pixels_are_not_square() -> None:
    plane = texture("phase", 512)
    true = motion(plane.shape, rotation=2)
    flat = [p.reshape(256, 2, 512).mean(axis=1) for p in (shown(plane, true), plane)]
    grid = Placement.build("yx", scale=(2.0, 1.0), units="µm")
    image, reference = (raster(p, placement=grid) for p in flat)
    result = estimate(image, reference, model="euclidean")
    assert result.model == "euclidean"
    assert result.rotation == pytest.approx(2, abs=0.02)
    assert result.scale == pytest.approx((1, 1), abs=1e-9)


def test_channels_of_the_same_name_and_planes_are_compared() -> None:
    plane, other = texture("phase"), texture("dapi")
    moved = shown(plane, motion(plane.shape, (4, 2)))
    noise = np.random.default_rng(1).normal(size=plane.shape) * 1e5
    image = raster(np.stack([noise, moved])[:, None], "czyx", channels=("junk", "phase"))
    reference = raster(np.stack([plane, other]), "cyx", channels=("phase", "DAPI"))
    result = estimate(image, reference)
    assert result.shift == pytest.approx((4, 2), abs=0.02)
    assert result.looked_at == "phase"


@pytest.mark.slow
def test_what_could_not_be_told_is_said() -> None:
    rng = np.random.default_rng(2)
    noise = [gaussian_filter(rng.normal(size=(160, 160)), 2) for _ in range(2)]
    flipped = texture("phase", 160)
    pairs = {"noise": noise, "other places": [flipped[::-1, ::-1], flipped]}
    for name, (image, reference) in pairs.items():
        result = estimate(raster(image), raster(reference))
        assert not result.found, name
        assert "chance" in result.why or "correlate" in result.why
        assert str(result.warning).startswith("Alignment could not be told")
        assert np.array_equal(result.matrix, np.eye(3))
        assert not result.is_off
        assert result.to_json()["errors"] is None


def test_an_image_that_cannot_be_compared_is_named() -> None:
    plane = texture("phase", 200)
    flat = estimate(raster(np.full_like(plane, 3)), raster(plane))
    assert not flat.found
    assert "image shows nothing" in flat.why
    small = estimate(raster(plane), raster(plane[:40]))
    assert "reference of (40, 200) pixels is too small" in small.why
    away = replace(raster(plane), placement=Placement.build("yx", translate=(0.0, 500.0)))
    assert "do not overlap" in estimate(away, raster(plane)).why


def test_progress_is_told_and_cancelling_works() -> None:
    plane = raster(texture("nuclei", 256))
    told: list[tuple[int, int]] = []
    estimate(plane, plane, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 4) for i in range(5)]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        estimate(plane, plane, cancel=token)


class _Counted:
    """A large plane without end of memory, and how much of it was read."""

    ndim, dtype = 2, np.dtype(np.uint8)

    def __init__(self, side: int, shift: tuple[int, int]) -> None:
        self.shape = side, side
        self.shift, self.read, self.largest = shift, 0, 0
        self.base = texture("phase", 1024).astype(np.uint8)

    def __getitem__(self, index: tuple[slice, ...]) -> Any:
        places = []
        for s, n, d in zip(index, self.shape, self.shift, strict=True):
            place = (np.arange(*s.indices(n)) + d) % 2048
            places.append(np.where(place < 1024, place, 2047 - place))
        result = self.base[np.ix_(*places)]
        self.read += result.size
        self.largest = max(self.largest, result.size)
        return result


@pytest.mark.slow
def test_little_of_a_large_image_is_read() -> None:
    side = 20_000
    planes = [_Counted(side, (7, 23)), _Counted(side, (0, 0))]
    image, reference = (raster(plane) for plane in planes)
    result = estimate(image, reference)
    assert result.found, result.why
    assert result.shift == pytest.approx((-7, -23), abs=0.05)
    for plane in planes:
        assert plane.read < 0.1 * side**2
        assert plane.largest <= 1024**2


def test_errors_are_of_the_size_of_what_they_tell() -> None:
    plane = texture("phase")
    image = shown(plane, motion(plane.shape, (1.3, 2.7)))
    noise = np.random.default_rng(3).normal(0, plane.std(), plane.shape)
    result = estimate(raster(image + noise), raster(plane), model="translation")
    assert 0.002 < result.errors.shift < 0.2
    assert math.dist(result.shift, (1.3, 2.7)) < 4 * result.errors.shift
