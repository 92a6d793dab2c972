"""Maps of focus: means over boxes, wherever the block lies, also by way of `compare`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from metric_pairs import pair
from scipy import ndimage

from napari_tincture import compare
from napari_tincture.metrics._local import BOX
from napari_tincture.metrics.metric import Block
from napari_tincture.metrics.registry import find_metric

WITH_MAPS = ["focus_brenner", "focus_tenengrad"]
SHAPES = [(3, 3), (40, 51), (7, 130), (128, 96)]


@pytest.mark.parametrize("name", WITH_MAPS)
def test_maps_show_what_is_out_of_focus(name):
    image = ndimage.gaussian_filter(np.random.default_rng(2).standard_normal((120, 120)), 0.7)
    image[:, 60:] = ndimage.gaussian_filter(image, 3)[:, 60:]
    found = whole_map(name, image)
    assert found[:, : 60 - BOX - 1].min() > found[:, 60 + BOX + 1 :].max()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WITH_MAPS)
def test_maps_are_means_over_boxes(name, shape):
    image = pair(shape, "uint16")[0][1].astype(float)
    v = np.pad(image, 1, "edge")
    if name == "focus_brenner":
        local = (v[1:-1, 2:] - v[1:-1, :-2]) ** 2 + (v[2:, 1:-1] - v[:-2, 1:-1]) ** 2
    else:
        local = ndimage.sobel(image, 0) ** 2 + ndimage.sobel(image, 1) ** 2
    expected = np.empty(shape)
    counted = np.zeros(shape, bool)
    counted[1:-1, 1:-1] = True
    for y, x in np.ndindex(*shape):
        box = np.s_[max(y - BOX, 0) : y + BOX + 1, max(x - BOX, 0) : x + BOX + 1]
        expected[y, x] = local[box][counted[box]].mean()
    # A map is float32.
    np.testing.assert_allclose(whole_map(name, image), expected, rtol=1e-6)


def whole_map(name, image):
    everything = tuple(slice(0, n) for n in image.shape)
    block = Block(image, image, everything, everything, image.shape, 1.0)
    return find_metric(name).map(block)[name]


@pytest.mark.parametrize("name", WITH_MAPS)
def test_maps_of_parts_are_parts_of_the_map(name):
    image = pair((50, 61), "uint8")[0][1]
    metric, whole = find_metric(name), whole_map(name, image)
    margin = metric.map_margin
    for place in (
        (slice(0, 20), slice(0, 9)),
        (slice(13, 31), slice(30, 61)),
        (slice(49, 50),) * 2,
    ):
        around = [
            slice(max(p.start - margin, 0), min(p.stop + margin, n))
            for p, n in zip(place, image.shape, strict=True)
        ]
        core = tuple(
            slice(p.start - a.start, p.stop - a.start) for p, a in zip(place, around, strict=True)
        )
        cut = image[tuple(around)]
        block = Block(cut, cut, core, place, image.shape, 255.0)
        np.testing.assert_array_equal(metric.map(block)[name], whole[place])
    with pytest.raises(ValueError, match="map_margin"):
        metric.map(replace(block, place=(slice(20, 21),) * 2))


@pytest.mark.parametrize("name", WITH_MAPS)
def test_maps_of_images_too_small_are_empty(name):
    assert np.isnan(whole_map(name, np.ones((2, 9)))).all()


@pytest.mark.parametrize("name", WITH_MAPS)
def test_maps_of_a_comparison_have_no_seams_at_their_blocks(name):
    image, reference = (v[1].astype(np.float32) for v in pair((530, 600)))
    found = compare(image, reference, metrics=[name], data_range=1.0, maps=True)
    picture = found.maps["image 1", name]
    np.testing.assert_allclose(np.asarray(picture), whole_map(name, image), rtol=2e-6)
    assert found.table[0][name] == pytest.approx(
        find_metric(name).statistic.local(image.astype(float)).mean(), rel=1e-9
    )
