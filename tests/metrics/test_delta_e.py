"""CIEDE2000 agrees with the paper's data and with scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from metric_pairs import RANGES, block, figures, pair
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_tincture.errors import InputError
from napari_tincture.metrics._lab import Lab, ciede2000, to_lab
from napari_tincture.metrics.delta_e import METRIC

SHARMA = np.array(
    [
        [50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425],
        [50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615],
        [50, 2.8361, -74.0200, 50, 0, -82.7485, 3.4412],
        [50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0000],
        [50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0000],
        [50, -0.9009, -85.5211, 50, 0, -82.7485, 1.0000],
        [50, 0, 0, 50, -1, 2, 2.3669],
        [50, -1, 2, 50, 0, 0, 2.3669],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0009, 7.1792],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0010, 7.1792],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0011, 7.2195],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0012, 7.2195],
        [50, -0.0010, 2.4900, 50, 0.0009, -2.4900, 4.8045],
        [50, -0.0010, 2.4900, 50, 0.0010, -2.4900, 4.8045],
        [50, -0.0010, 2.4900, 50, 0.0011, -2.4900, 4.7461],
        [50, 2.5, 0, 50, 0, -2.5, 4.3065],
        [50, 2.5, 0, 73, 25, -18, 27.1492],
        [50, 2.5, 0, 61, -5, 29, 22.8977],
        [50, 2.5, 0, 56, -27, -3, 31.9030],
        [50, 2.5, 0, 58, 24, 15, 19.4535],
        [50, 2.5, 0, 50, 3.1736, 0.5854, 1.0000],
        [50, 2.5, 0, 50, 3.2972, 0, 1.0000],
        [50, 2.5, 0, 50, 1.8634, 0.5757, 1.0000],
        [50, 2.5, 0, 50, 3.2592, 0.3350, 1.0000],
        [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
        [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
        [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
        [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
        [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
        [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
        [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
        [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
        [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
        [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
    ]
)
"""Table 1 of Sharma, Wu, Dalal (2005): L, a, b of two colours and their difference."""


def test_the_papers_colours_have_the_papers_differences() -> None:
    one, other = Lab(*SHARMA.T[:3]), Lab(*SHARMA.T[3:6])
    np.testing.assert_allclose(ciede2000(one, other), SHARMA[:, 6], atol=5.1e-5)
    np.testing.assert_allclose(ciede2000(other, one), ciede2000(one, other), rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 0.08], ids=["bright", "dark"])
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (130, 257)], ids=str)
def test_mean_and_map_are_scikit_images(shape, dtype: str, scale: float) -> None:
    planes = tuple((v * scale).astype(dtype) for v in pair(shape, dtype))
    expected = scikit(*planes, 1.0)
    found = METRIC.map(block(METRIC, *planes, data_range=RANGES[dtype]))["delta_e"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    mean = figures(METRIC, *planes, RANGES[dtype])["delta_e"]
    assert mean == pytest.approx(expected.mean(), rel=1e-9)


def scikit(image, reference, white: float):
    """In double precision, as here."""
    return deltaE_ciede2000(
        *(rgb2lab(double(v, white), channel_axis=0) for v in (image, reference)), channel_axis=0
    )


def double(values, white: float):
    return values.astype(np.float64) / white if values.dtype.kind == "f" else values


def test_all_corners_and_greys_of_the_cube_agree() -> None:
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, 1, -1)
    one = np.repeat(cube, cube.shape[-1], axis=1)
    other = one.transpose(0, 2, 1)
    found = METRIC.map(block(METRIC, one, other, data_range=255.0))["delta_e"]
    np.testing.assert_allclose(found, scikit(one, other, 1.0), rtol=1e-6, atol=1e-7)


def test_white_of_floats_is_the_data_range_and_of_integers_their_greatest_value() -> None:
    planes = pair((20, 30))
    expected = figures(METRIC, *planes, 1.0)
    larger = figures(METRIC, *(v * 4095 for v in planes), 4095.0)
    assert larger["delta_e"] == pytest.approx(expected["delta_e"], rel=1e-9)
    signed = (np.round(v * 32767).astype(np.int16) for v in planes)
    assert figures(METRIC, *signed, 1.0)["delta_e"] == pytest.approx(expected["delta_e"], rel=1e-3)


def test_values_outside_the_range_are_not_clipped() -> None:
    image, reference = (1.5 * v - 0.2 for v in pair((20, 30)))
    expected = scikit_unclipped(image, reference)
    assert figures(METRIC, image, reference, 1.0)["delta_e"] == pytest.approx(expected, rel=1e-9)


def scikit_unclipped(image, reference) -> float:
    labs = (np.stack(to_lab(v, 1.0), axis=-1) for v in (image, reference))
    return float(deltaE_ciede2000(*labs).mean())


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    values = np.zeros((channels, 5, 5))
    with pytest.raises(InputError, match="red, green and blue"):
        METRIC.statistic.measure(block(METRIC, values, values))
