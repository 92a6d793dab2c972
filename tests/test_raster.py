"""Rasters: what they refuse, how they are read, cropped and streamed."""

import dask.array as da
import numpy as np
import pytest

from napari_tincture.arrays import as_dask
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster

RNG = np.random.default_rng(0)


class Unreadable:
    """An array that must not be read."""

    ndim, chunks = 2, (64, 64)

    def __init__(self, shape=(300, 200), dtype="uint8"):
        self.shape, self.dtype = shape, np.dtype(dtype)

    def __getitem__(self, index):
        raise AssertionError(f"{index} was read")


class Recorded:
    """An array that notes what is read."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return self._array[index]


def test_nothing_is_read_before_it_is_asked_for():
    raster = Raster.from_array([Unreadable(), Unreadable((150, 100))], "yx")
    cropped = raster.crop({"y": slice(64, 128)})
    assert cropped.to_layer()[0][0].shape == (64, 200)
    with pytest.raises(AssertionError, match="was read"):
        raster.compute()


def test_a_window_reads_only_itself():
    source = Recorded(np.zeros((3000, 3000), np.uint8))
    Raster.from_array(source, "yx").read((slice(10, 60), slice(100, 130)))
    assert source.read == [(slice(10, 60, None), slice(100, 130, None))]


class Slices:
    """An array in z x y that takes slices without step only, and says so."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, index):
        assert all(isinstance(key, slice) and key.step is None for key in index), index
        return self._array[index]


@pytest.mark.parametrize(
    "index",
    [
        (1, slice(2, 9), slice(3, 7)),
        (slice(None), 4, slice(None, None, -1)),
        (slice(0, 3, 2), slice(1, 9, 3), 5),
        ([2, 0], slice(None), slice(None)),
        (slice(None), [7, 1, 1], slice(4, 4)),
        (-1, -2, -3),
        (..., slice(8, None, -2)),
        (slice(1, 2),),
    ],
)
def test_sources_that_know_only_slices_can_be_indexed_as_dask_does(index):
    array = RNG.random((3, 12, 10))
    data = Raster.from_array(Slices(array), "zxy").data
    np.testing.assert_array_equal(data[index].compute(), array.transpose(0, 2, 1)[index])


@pytest.mark.parametrize(
    "dtype",
    ["bool", "u1", "i1", "u2", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4", ">i8"],
)
def test_all_real_data_types_are_read_in_native_order(dtype):
    array = (RNG.random((2, 50, 40)) * 100).astype(dtype)
    raster = Raster.from_array(array, "zyx")
    assert raster.dtype.isnative
    assert raster.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(raster.compute(), array)
    lazy = Raster.from_array(da.from_array(array, chunks=20), "zyx")
    assert lazy.compute().dtype.isnative
    np.testing.assert_array_equal(lazy.compute(), array)


@pytest.mark.parametrize("dtype", ["complex64", "object", "U3", "datetime64[s]"])
def test_other_data_types_are_refused(dtype):
    with pytest.raises(InputError, match="bool, integer or float"):
        Raster.from_array(np.zeros((4, 4), dtype), "yx")


def test_negative_strides_are_read_contiguous():
    array = RNG.random((50, 40))[::-1, ::-1]
    raster = Raster.from_array(array, "yx")
    window = raster.read((slice(5, 20), slice(3, 30)))
    assert window.flags.c_contiguous
    np.testing.assert_array_equal(window, array[5:20, 3:30])


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 3, 3)])
def test_empty_images_are_refused(shape):
    with pytest.raises(InputError, match="empty"):
        Raster.from_array(np.zeros(shape), "zyx"[-len(shape) :])


def test_an_image_of_one_pixel_is_an_image():
    raster = Raster.from_array(np.full((1, 1), 7, np.uint8), "yx")
    assert raster.compute().tolist() == [[7]]


@pytest.mark.parametrize("axes", ["yx", "xy", "zyx", "yxc", "zcyx", "xyzct"])
def test_arrays_are_held_in_canonical_order(axes):
    array = RNG.random(tuple("tczyx".index(a) + 2 for a in axes))
    raster = Raster.from_array(array, axes)
    assert raster.axes == "".join(a for a in "tczyx" if a in axes)
    assert raster.sizes == {a: "tczyx".index(a) + 2 for a in raster.axes}
    data, options, _ = raster.to_layer()
    np.testing.assert_array_equal(data, array)
    assert options["axis_labels"] == tuple(axes)


def test_memory_is_the_array_itself_and_not_a_copy():
    array = RNG.random((30, 20))
    raster = Raster.from_array(array, "yx")
    assert np.shares_memory(np.asarray(raster), array)
    assert np.shares_memory(raster.to_layer()[0], array)
    assert np.shares_memory(np.asarray(raster.crop({"x": slice(3, 9)})), array)
    assert not np.shares_memory(raster.compute(), array)
    assert not np.shares_memory(np.array(raster), array)


def test_a_memory_map_is_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(3, 4))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert np.shares_memory(Raster.from_array(mapped, "yx").memory, mapped)


def test_array_protocol_converts():
    raster = Raster.from_array(np.arange(6, dtype=np.uint8).reshape(2, 3), "yx")
    assert np.asarray(raster, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("chunks", [(7, 11), (50, 40), ((3, 47), (39, 1))])
def test_stream_covers_every_pixel_once(chunks):
    array = RNG.random((50, 40))
    raster = Raster.from_array(da.from_array(array, chunks=chunks), "yx")
    result, count, steps = np.zeros_like(array), np.zeros(array.shape, int), []

    def write(index, block):
        assert block.flags.c_contiguous
        result[index] = block
        count[index] += 1

    raster.stream(write, progress=lambda done, total: steps.append((done, total)))
    np.testing.assert_array_equal(result, array)
    assert (count == 1).all()
    blocks = int(np.prod([len(c) for c in raster.data.chunks]))
    assert steps == [(done, blocks) for done in range(blocks + 1)]


def test_a_cancelled_stream_stops_after_the_block():
    token, written = CancelToken(), []
    raster = Raster.from_array(da.zeros((40, 40), chunks=10), "yx")

    def write(index, block):
        written.append(index)
        if len(written) == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        raster.stream(write, cancel=token)
    assert len(written) == 3


class Ones:
    """A runner that writes ones in two blocks and reports a fact."""

    def stream(self, write, progress, cancel, checkpoint):
        write((slice(0, 5), slice(0, 8)), np.ones((5, 8)))
        write((slice(5, 6), slice(0, 8)), np.ones((1, 8)))
        return {"blocks": 2}


def test_a_runner_replaces_dask():
    raster = Raster(
        levels=(as_dask(Unreadable((6, 8), "f8"), "yx"),),
        axes="yx", placement=Placement.build("yx"), runner=Ones(),
    )  # fmt: skip
    np.testing.assert_array_equal(raster.compute(), np.ones((6, 8)))
    assert raster.stream(lambda index, block: None) == {"blocks": 2}
    assert raster.crop({"y": slice(0, 2)}).runner is None


def test_crop_and_plane_read_the_right_pixels():
    array = RNG.random((3, 4, 20, 30))
    raster = Raster.from_array(array, "tzyx")
    cropped = raster.crop({"y": slice(5, 15), "x": slice(-7, None), "z": slice(1, 3)})
    np.testing.assert_array_equal(np.asarray(cropped), array[:, 1:3, 5:15, -7:])
    np.testing.assert_array_equal(np.asarray(raster.plane(t=1, z=-1)), array[1, -1])
    assert raster.plane(z=0).axes == "tyx"
    assert raster.crop({}) is raster


def test_crop_keeps_names_of_what_remains():
    raster = Raster.from_array(
        np.zeros((3, 5, 9, 9)), "czyx", channels=("a", "b", "c"),
        display={"limits": [[0, 1], [0, 2], [0, 3]], "planes": list("vwxyz")},
    )  # fmt: skip
    cropped = raster.crop({"c": slice(1, 2), "z": slice(2, 4)})
    assert cropped.channels == ("b",)
    assert cropped.display == {"limits": [[0, 2]], "planes": ["x", "y"]}
    assert raster.plane(c=2).channels == ("c",)


def test_pyramid_levels_are_cropped_where_they_can_be():
    levels = [np.zeros((64, 64)), np.zeros((32, 32)), np.zeros((16, 16))]
    raster = Raster.from_array(levels, "yx")
    assert [level.shape for level in raster.crop({"y": slice(8, 24)}).levels] == [
        (16, 64), (8, 32), (4, 16),
    ]  # fmt: skip
    assert len(raster.crop({"y": slice(2, 64)}).levels) == 2
    assert len(raster.crop({"y": slice(1, 64)}).levels) == 1


@pytest.mark.parametrize(
    "region", [{"z": slice(0, 1)}, {"y": slice(5, 5)}, {"y": slice(0, 4, 2)}, {"x": slice(99, 100)}]
)
def test_impossible_regions_are_refused(region):
    with pytest.raises(InputError):
        Raster.from_array(np.zeros((9, 9)), "yx").crop(region)


@pytest.mark.parametrize("index", [{"z": 4}, {"z": -5}, {"y": 0}, {"t": 0}])
def test_missing_planes_are_refused(index):
    with pytest.raises(InputError):
        Raster.from_array(np.zeros((4, 9, 9)), "zyx").plane(**index)


@pytest.mark.parametrize(
    "options",
    [
        {"channels": ("a",)}, {"kind": "labels"}, {"rgb": True}, {"axes": "ycx"},
        {"placement": Placement.build("yx")}, {"levels": ()},
    ],
)  # fmt: skip
def test_contradictions_are_refused(options):
    array = as_dask(np.zeros((2, 5, 5)), "cyx")
    fields = {"levels": (array,), "axes": "cyx", "placement": Placement.build("cyx")}
    with pytest.raises(InputError):
        Raster(**{**fields, **options})
