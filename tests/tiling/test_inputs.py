"""What is read of an image is what numpy would index of it, mirrored beyond its border."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.grid import Geometry, Grid
from napari_tincture.raster import Raster
from napari_tincture.tiling.inputs import Inputs, Lane

VALUES = np.random.default_rng(0).integers(0, 1000, (2, 3, 4, 37, 29)).astype("uint16")


def raster(values, axes="tczyx", chunks=None):
    return Raster.from_array(da.from_array(values, chunks=chunks) if chunks else values, axes)


SOURCES = {
    "numpy": raster(VALUES),
    "dask": raster(VALUES, chunks=(1, 2, 3, 10, 11)),
    "one chunk": raster(VALUES, chunks=-1),
    "reversed": raster(VALUES[..., ::-1, ::-1][..., ::-1, ::-1]),
    "big-endian": raster(VALUES.astype(">u2")),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("channels", [(0,), (0, 1, 2), (2, 0), (1, 1)])
def test_channels_of_one_image(source, channels):
    inputs = Inputs(tuple(Lane(source, {"c": c}) for c in channels), "tz")
    assert inputs.shape == (37, 29)
    assert inputs.counts == (2, 4)
    assert len(inputs.planes) == 8
    for plane in ((0, 0), (1, 3)):
        found = inputs.read(plane, slice(5, 20), slice(3, 29))
        expected = VALUES[plane[0], list(channels), plane[1], 5:20, 3:29]
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint16


@pytest.mark.parametrize("planes", [(0, 1, 2, 3), (3, 1), (2,)])
def test_planes_as_channels(planes):
    for source in SOURCES.values():
        one = source.crop({"c": slice(1, 2)})
        inputs = Inputs(tuple(Lane(one, {"c": 0, "z": z}) for z in planes), "t")
        found = inputs.read((1,), slice(0, 37), slice(0, 29))
        np.testing.assert_array_equal(found, VALUES[1, 1, list(planes)])


def test_lanes_of_several_images_are_joined_in_their_common_type():
    first = raster(VALUES[0, 0], "zyx")
    second = raster(VALUES[0, 0, 0].astype("float32") / 7, "yx", chunks=(9, 9))
    inputs = Inputs((Lane(first, {}), Lane(second, {})), "z")
    found = inputs.read((2,), slice(1, 4), slice(2, 8))
    assert found.dtype == inputs.dtype == np.result_type("u2", "f4")
    np.testing.assert_array_equal(found[0], VALUES[0, 0, 2, 1:4, 2:8])
    np.testing.assert_array_equal(found[1], (VALUES[0, 0, 0].astype("f4") / 7)[1:4, 2:8])


@pytest.mark.parametrize("geometry", [Geometry(16, 32), Geometry(4, 0, "mirror", 6, 0)])
@pytest.mark.parametrize("source", ["numpy", "dask"])
def test_windows_are_mirrored_beyond_the_image(geometry, source):
    inputs = Inputs((Lane(SOURCES[source].plane(t=0, z=0), {"c": 0}),), "")
    padded = np.pad(VALUES[0, 0, 0], 200, "reflect")
    for tile in Grid.cut(inputs.shape, (16, 16), geometry):
        rows, columns = (slice(s.window[0] + 200, s.window[1] + 200) for s in (tile.y, tile.x))
        np.testing.assert_array_equal(inputs.window((), tile)[0], padded[rows, columns])


def test_reading_changes_nothing_and_reads_only_what_is_needed():
    read = []

    class Source:
        shape, dtype, ndim = VALUES.shape, VALUES.dtype, VALUES.ndim

        def __getitem__(self, index):
            read.append(index)
            return VALUES[index]

    before = VALUES.copy()
    inputs = Inputs((Lane(raster(Source()), {"c": 1}),), "tz")
    inputs.read((1, 2), slice(0, 5), slice(0, 5))
    assert (before == VALUES).all()
    assert len(read) == 1
    asked = np.empty(VALUES.shape)[read[0]]
    assert asked.size == 5 * 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_values_are_counted_and_named(bad):
    values = VALUES[0, 0, 0].astype("float32")
    values[7, 20:23] = bad
    inputs = Inputs((Lane(raster(values, "yx"), {}),), "")
    with pytest.raises(InputError) as caught:
        inputs.finite((), slice(5, 10), slice(0, 29))
    for word in ("3 of 145", "y=5", "nonfinite='background'"):
        assert word in str(caught.value)
    assert np.isfinite(inputs.finite((), slice(8, 37), slice(0, 29))).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_background_is_the_darkest_value_of_the_whole_plane_and_channel(dtype):
    values = np.stack([VALUES[0, 0, :2], VALUES[0, 1, :2]]).astype(dtype)
    values[:, :, 3, 4] = np.nan
    values[0, 0, 30, 20] = -5
    values[1, 1] = np.inf
    lanes = tuple(Lane(raster(values, "czyx", chunks=(1, 1, 10, 10)), {"c": c}) for c in (0, 1))
    inputs = Inputs(lanes, "z", "background")
    first = inputs.finite((0,), slice(0, 5), slice(0, 5))
    assert first.dtype == dtype
    assert first[0, 3, 4] == -5
    assert first[1, 3, 4] == np.nanmin(values[1, 0])
    assert (inputs.finite((1,), slice(0, 5), slice(0, 5))[1] == 0).all()


def test_where_a_plane_lay_before_cropping():
    inputs = Inputs((Lane(SOURCES["numpy"], {"c": 0}),), "tz")
    assert inputs.place_of((1, 2)) == (1, 2)
    moved = Inputs(inputs.lanes, "tz", origin=(4, 10))
    assert moved.place_of((1, 2)) == (5, 12)
