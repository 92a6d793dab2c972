"""Seams of tiles: found where they are, also invisible ones, and not found where there are none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_tincture import samples
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.seams import SEGMENT, find_period, score, seam_profiles, seam_score
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster


def texture(side=2048, seed=0):
    """Structures of two sizes and camera noise, uint8 over its whole range."""
    rng = np.random.default_rng(seed)
    fine, coarse = (ndimage.gaussian_filter(rng.standard_normal((side, side)), s) for s in (2, 12))
    values = fine / fine.std() + coarse / coarse.std()
    unit = (values - values.min()) / np.ptp(values)
    return np.rint(np.clip(unit * 255 + rng.normal(0, 2, unit.shape), 0, 255)).astype(np.uint8)


@pytest.fixture(scope="module")
def clean():
    return texture()


def tiled(image, tile, data_range, offset=(0, 0)):
    """Every second tile brighter by 1 % of the data range."""
    y, x = ((np.arange(n) - o) // tile for n, o in zip(image.shape[-2:], offset, strict=True))
    seam = 0.01 * data_range * (np.add.outer(y, x) % 2)
    result = image.astype(np.float64) + seam
    if image.dtype.kind == "u":
        result = np.rint(result).clip(0, np.iinfo(image.dtype).max)
    return result.astype(image.dtype)


def raster(values):
    return Raster.from_array(values, "cyx"[-values.ndim :])


def plain_profile(values):
    """Mean jump before every column, by the formula."""
    v = values.astype(np.float64)
    segments = v[: len(v) // SEGMENT * SEGMENT].reshape(-1, SEGMENT, v.shape[1]).mean(axis=1)
    jumps = ndimage.correlate1d(segments, [0.5, -1.5, 1.5, -0.5], axis=1, origin=0)
    result = np.abs(jumps).mean(axis=0)
    result[[0, 1, -1]] = np.nan
    return result


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(64, 80), (130, 71), (200, 333)])
def test_profiles_are_those_of_the_plain_formula(shape, dtype):
    values = (texture(352)[: shape[0], : shape[1]] * 3.7).astype(dtype)
    found = seam_profiles(raster(values))
    np.testing.assert_allclose(found.columns, plain_profile(values), rtol=1e-9)
    np.testing.assert_allclose(found.rows, plain_profile(values.T), rtol=1e-9)


@pytest.mark.parametrize("area", [10, 64, 150])
def test_streamed_equals_whole(monkeypatch, area):
    import dask.array as da

    values = texture(352)[:300, :333]
    whole = seam_profiles(raster(values))
    monkeypatch.setattr(stream, "AREA", area)
    chunks = ((70, 1, 129, 100), (3, 200, 130))
    parts = seam_profiles(raster(da.from_array(values, chunks=chunks)))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.parametrize("tile", [128, 192, 256, 500])
def test_an_invisible_seam_is_found(clean, tile):
    found = seam_score(raster(tiled(clean, tile, 255)))
    assert found.found
    assert found.tile == tile
    assert found.score > 1.5
    assert seam_score(raster(tiled(clean, tile, 255)), tile) == found


def test_no_seam_is_found_in_a_clean_image(clean):
    profiles = seam_profiles(raster(clean))
    assert not score(profiles, find_period(profiles)).found
    for tile in (100, 128, 256, 512):
        found = score(profiles, tile)
        assert not found.found
        assert found.score == pytest.approx(1, abs=0.25)


def test_significance_is_in_standard_errors(clean):
    profiles = seam_profiles(raster(clean))
    values = [score(profiles, t, (o, o)).significance for t in (128, 300) for o in range(1, 90, 3)]
    assert np.std(values) == pytest.approx(1, abs=0.3)
    assert np.mean(values) == pytest.approx(0, abs=0.4)


def test_borders_may_begin_anywhere(clean):
    image = raster(tiled(clean, 256, 255, offset=(30, 77)))
    assert seam_score(image, 256, offset=(30, 77)).found
    assert seam_score(image, offset=(30, 77)).tile == 256
    assert not seam_score(image, 256).found


SAMPLES = {
    "neuron_dapi": (lambda: np.asarray(samples.neuron_dapi()), 65535),
    "unstained_blood": (lambda: np.asarray(samples.unstained_blood()), 255),
    "nuclei": (lambda: np.asarray(samples.nuclei()), 255),
    "blood_smear": (lambda: np.asarray(samples.blood_smear()), 255),
    "neuron_dapi mosaic": (lambda: np.asarray(samples.mosaic(2048, "neuron_dapi")), 65535),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_seams_of_samples(name):
    load, data_range = SAMPLES[name]
    image = load()
    assert not seam_score(raster(image)).found
    assert not seam_score(raster(image), 128).found
    found = seam_score(raster(tiled(image, 128, data_range)))
    assert found.found
    assert found.tile == 128


def test_grains_larger_than_the_seam_need_more_of_it():
    image = np.asarray(samples.neuron_phase().plane(z=3))
    assert not seam_score(raster(image)).found
    assert seam_score(raster(tiled(image, 128, 2 * 255)), 128).found


@pytest.mark.parametrize("quality", [60, 90])
def test_blocks_of_jpeg_are_no_tiles(quality):
    stored = io.BytesIO()
    Image.fromarray(texture(1024)).save(stored, "JPEG", quality=quality)
    stored.seek(0)
    image = np.asarray(Image.open(stored))
    assert not seam_score(raster(image)).found
    assert not seam_score(raster(image), 128).found
    assert seam_score(raster(tiled(image, 128, 2 * 255)), 128).found


def test_a_seam_in_a_flat_image_is_found():
    flat = np.full((512, 512), 100, np.uint8)
    found = seam_score(raster(tiled(flat, 128, 255)), 128)
    assert found.found
    assert found.score == np.inf
    assert found.borders == 6


def test_pixels_without_a_value_do_not_count():
    image = texture(512).astype(np.float32)
    holed = image.copy()
    holed[100:120, 200:230] = np.nan
    whole, found = seam_profiles(raster(image)), seam_profiles(raster(holed))
    far = np.s_[300:500]
    np.testing.assert_allclose(found.columns[far], whole.columns[far], rtol=1e-9)
    assert np.isfinite(found.columns[2:-1]).all()
    assert (found.columns[200:230] != whole.columns[200:230]).all()


def test_undefined_cases_say_why():
    with pytest.raises(Undefined, match="constant"):
        seam_score(raster(np.full((300, 300), 7)))
    with pytest.raises(Undefined, match="too small"):
        seam_score(raster(np.arange(900).reshape(30, 30)))
    with pytest.raises(Undefined, match="no border"):
        seam_score(raster(texture(200)), 256)
    with pytest.raises(Undefined, match="fewer than three borders"):
        seam_score(raster(texture(100)))


def test_wrong_requests_are_refused():
    with pytest.raises(InputError, match="at least 24"):
        seam_score(raster(texture(200)), 8)
    with pytest.raises(InputError, match="take one plane"):
        seam_score(Raster.from_array(np.zeros((2, 9, 9)), "zyx"))
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        seam_score(raster(texture(200)), cancel=cancel)
