"""The picture of an image's drift."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.drift_map import drift_map
from napari_tincture.metrics.metric import Undefined
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster


def uneven(shape):
    y, x = (np.linspace(-1, 1, n) for n in shape)
    noise = np.random.default_rng(0).normal(0, 1, shape)
    return (100 - 30 * np.add.outer(y**2, x) + noise).astype(np.float32)


@pytest.mark.parametrize("area", [20, 1024])
@pytest.mark.parametrize("shape", [(64, 64), (50, 300), (640, 129)])
def test_cells_are_means_of_blocks(monkeypatch, shape, area):
    monkeypatch.setattr(stream, "AREA", area)
    image = uneven(shape)
    found = drift_map(Raster.from_array(da.from_array(image, chunks=(33, 70)), "yx"))
    assert found.axes == "cyx"
    assert found.channels == ("mean", "fit")
    sides = [-(-n // 64) for n in shape]
    expected = np.array(
        [
            [image[y : y + sides[0], x : x + sides[1]].mean() for x in range(0, shape[1], sides[1])]
            for y in range(0, shape[0], sides[0])
        ]
    )
    means, fit = np.asarray(found)
    np.testing.assert_allclose(means, expected, rtol=1e-6)
    # The light alone, without the noise.
    middles = [
        np.array([np.linspace(-1, 1, n)[s : s + side].mean() for s in range(0, n, side)])
        for n, side in zip(shape, sides, strict=True)
    ]
    light = 100 - 30 * np.add.outer(middles[0] ** 2, middles[1])
    assert np.abs(fit - light).max() < 0.2


def test_the_picture_lies_where_the_image_lies():
    placement = Placement.build("yx", scale=(0.5, 0.25), translate=(7, 9), units="um")
    image = Raster.from_array(uneven((640, 129)), "yx", placement=placement)
    found = drift_map(image).placement.matrix()
    cell = np.array([0, 3, 2, 1])
    middle = np.array([3 * 10 + 4.5, 2 * 3 + 1, 1])
    np.testing.assert_allclose((found @ cell)[1:3], (placement.matrix() @ middle)[:2])


def test_channels_are_pictured_each_for_itself():
    image = np.stack([uneven((64, 70)), 2 * uneven((64, 70))])
    found = drift_map(Raster.from_array(image, "cyx", channels=("DAPI", "actin")))
    assert found.channels == ("DAPI mean", "DAPI fit", "actin mean", "actin fit")
    pictures = np.asarray(found)
    np.testing.assert_allclose(pictures[2:], 2 * pictures[:2], rtol=1e-5)


def test_cells_without_values_are_empty():
    image = uneven((128, 128))
    image[:10, :20] = np.nan
    means, fit = np.asarray(drift_map(Raster.from_array(image, "yx")))
    assert np.isnan(means[:5, :10]).all()
    assert np.isfinite(means[5:]).all()
    assert np.isfinite(fit).all()


def test_what_cannot_be_pictured():
    with pytest.raises(InputError, match="take one plane"):
        drift_map(Raster.from_array(np.zeros((2, 9, 9)), "zyx"))
    with pytest.raises(Undefined, match="no surface fits"):
        drift_map(Raster.from_array(np.zeros((1, 9)), "yx"))
    with pytest.raises(Undefined, match="no pixels"):
        drift_map(Raster.from_array(np.full((9, 9), np.nan), "yx"))
