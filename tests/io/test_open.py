"""open_image reads nothing, never guesses axes, and can be repeated by another process."""

import json

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image
from PIL import Image as Pillow

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image, reopen
from napari_tincture.raster import Raster, SourceRef

RNG = np.random.default_rng(0)


def same(first, second):
    """Whether two rasters agree in pixels and in all that is known of them."""
    np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
    names = ("axes", "placement", "kind", "name", "rgb", "channels", "display", "provenance")
    return [getattr(first, n) for n in names] == [getattr(second, n) for n in names]


def elsewhere(raster):
    """Open a raster as another process would, from JSON."""
    return reopen(SourceRef.from_json(json.loads(json.dumps(raster.source.to_json()))))


@pytest.mark.parametrize("make", [np.asarray, lambda a: da.from_array(a, chunks=3), list])
def test_arrays_of_two_axes_are_yx(make):
    array = RNG.random((5, 6))
    if make is list:
        array = [array]
        assert open_image(array).axes == "cyx"
    else:
        raster = open_image(make(array))
        assert raster.axes == "yx"
        np.testing.assert_array_equal(np.asarray(raster), array)


@pytest.mark.parametrize("shape", [(3, 5, 6), (5, 6, 3), (1, 1, 5, 6), (2, 2, 2, 2, 2)])
def test_more_axes_are_asked_for_and_never_guessed(shape):
    with pytest.raises(InputError, match=r"State them.*axes='"):
        open_image(np.zeros(shape))


@pytest.mark.parametrize("shape", [(), (5,)])
def test_fewer_axes_are_no_image(shape):
    with pytest.raises(InputError, match="no image"):
        open_image(np.zeros(shape))


@pytest.mark.parametrize("value", [None, 3, object(), {"a": 1}])
def test_what_is_no_image_is_refused(value):
    with pytest.raises(InputError, match=f"{type(value).__name__} is no image"):
        open_image(value)


def test_complex_and_empty_images_are_refused():
    with pytest.raises(InputError, match="complex128"):
        open_image(np.zeros((5, 5), complex))
    with pytest.raises(InputError, match="empty"):
        open_image(np.zeros((0, 5)))


def test_dask_arrays_of_unknown_shape_are_refused():
    array = da.from_array(np.arange(30.0).reshape(5, 6), chunks=3)
    with pytest.raises(InputError, match="compute_chunk_sizes"):
        open_image(array[array[:, 0] > 3])


class Tensor:
    """An array of another library, whose data types numpy does not know."""

    shape, dtype = (5, 6), "other.float32"

    def __getitem__(self, index):
        return Tensor()

    def __array__(self, dtype=None, copy=None):
        return np.zeros((5, 6), np.float32)


def test_tensors_of_other_libraries_are_converted():
    assert open_image(Tensor()).dtype == np.float32


def test_a_raster_is_taken_as_it_is():
    raster = Raster.from_array(np.zeros((5, 6)), "yx")
    assert open_image(raster) is raster
    with pytest.raises(InputError, match="contradict"):
        open_image(raster, axes="xy")


def test_scale_units_and_channels_can_be_stated():
    array = np.zeros((2, 3, 5, 6))
    raster = open_image(array, axes="tcyx", scale=0.5, units="um", channels=["a", "b", "c"])
    assert raster.scale == (1, 1, 0.5, 0.5)
    assert raster.units == ("pixel", "pixel", "micrometer", "micrometer")
    assert raster.channels == ("a", "b", "c")
    assert raster.pixel_size == (0.5, 0.5)
    assert open_image(array, axes="tcyx", scale=(2, 3)).scale == (1, 1, 2, 3)
    assert open_image(array, axes="tcyx", scale={"t": 9}).scale == (9, 1, 1, 1)
    assert open_image(array[0], axes="xyz", scale=(1, 2, 3)).scale == (3, 2, 1)
    colour = np.zeros((5, 6, 3), np.uint8)
    assert open_image(Image(colour, rgb=True), scale=(2, 3)).scale == (1, 2, 3)


@pytest.mark.parametrize(
    "options", [{"scale": (1, 2, 3)}, {"scale": {"z": 1}}, {"scale": 0}, {"channels": ["a", "b"]}]
)
def test_impossible_statements_are_refused(options):
    with pytest.raises(InputError):
        open_image(np.zeros((5, 6)), **options)


def test_missing_and_unknown_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.tif"):
        open_image(tmp_path / "nothing.tif")
    (tmp_path / "notes.docx").touch()
    with pytest.raises(InputError, match=r"no known format.*\.tif"):
        open_image(tmp_path / "notes.docx")
    with pytest.raises(InputError, match="no known format"):
        open_image(tmp_path)


@pytest.mark.parametrize("name", ["image.tif", "image.png", "image.npy", "image.ome.zarr"])
@pytest.mark.parametrize("damage", ["empty", "noise", "cut"])
def test_damaged_files_are_refused(tmp_path, name, damage):
    path = tmp_path / name
    noise = RNG.integers(0, 255, (40, 400), dtype=np.uint8)
    Raster.from_array(noise, "yx").save(tmp_path / "good.tif")
    Pillow.fromarray(noise).save(tmp_path / "good.png")
    np.save(tmp_path / "good.npy", np.zeros((40, 40)))
    if name == "image.ome.zarr":
        path.mkdir()
        (path / "zarr.json").write_bytes(
            {"empty": b"", "noise": b"\x00\x01", "cut": b'{"a": '}[damage]
        )
    else:
        good = (tmp_path / f"good{path.suffix}").read_bytes()
        path.write_bytes(
            {"empty": b"", "noise": b"noise" * 50, "cut": good[: len(good) // 2]}[damage]
        )
    with pytest.raises(InputError, match="image"):
        np.asarray(open_image(path))


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r,
        lambda r: r.crop({"y": slice(4, 20), "x": slice(2, 30)}),
        lambda r: r.plane(z=1),
        lambda r: r.crop({"z": slice(1, 3), "x": slice(3, 9)}).plane(z=1).crop({"y": slice(2, 5)}),
        lambda r: open_image(r.plane(z=0), scale=0.3, units="nm", channels=["phase"]),
    ],
    ids=["whole", "crop", "plane", "several", "restated"],
)
def test_another_process_opens_the_same(tmp_path, change):
    zarr.save(tmp_path / "a.zarr", RNG.random((3, 32, 32)))
    raster = change(open_image(tmp_path / "a.zarr", axes="zyx", scale=0.5, units="um"))
    assert same(elsewhere(raster), raster)


def test_layers_of_local_zarr_arrays_can_be_opened_elsewhere(tmp_path):
    zarr.save(tmp_path / "a.zarr", RNG.random((3, 32, 32)))
    array = zarr.open_array(tmp_path / "a.zarr", mode="r")
    options = {
        "axis_labels": ("z", "y", "x"), "scale": (3, 2, 1), "rotate": 30, "name": "cells",
        "contrast_limits": (0, 1),
    }  # fmt: skip
    for data in (array, da.from_zarr(tmp_path / "a.zarr")):
        raster = open_image(Image(data, **options))
        assert raster.source is not None
        assert same(elsewhere(raster), raster)
    changed = da.from_zarr(tmp_path / "a.zarr") + 1
    assert open_image(Image(changed, **options)).source is None


def test_multiscale_layers_of_local_zarr_arrays_can_be_opened_elsewhere(tmp_path):
    levels = []
    for i, side in enumerate((32, 16)):
        zarr.save(tmp_path / f"{i}.zarr", RNG.random((side, side)))
        levels.append(zarr.open_array(tmp_path / f"{i}.zarr", mode="r"))
    raster = open_image(Image(levels, multiscale=True, contrast_limits=(0, 1), translate=(3, 4)))
    again = elsewhere(raster)
    assert same(again, raster)
    assert len(again.levels) == 2


def test_our_own_layers_can_be_opened_elsewhere_even_when_moved(tmp_path):
    Pillow.fromarray(RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    data, options, _ = open_image(tmp_path / "a.png").to_layer()
    layer = Image(data, **options)
    layer.translate = (5, 6)
    layer.name = "moved"
    raster = open_image(layer)
    assert raster.translate == (0, 5, 6)
    assert same(elsewhere(raster), raster)
    # Other data in the layer: its file is no longer what it shows.
    layer.data = layer.data + 1
    assert open_image(layer).source is None


def test_names_come_from_files(tmp_path):
    image = Pillow.fromarray(np.zeros((4, 4), np.uint8))
    image.save(tmp_path / "my cells.tif")
    assert open_image(tmp_path / "my cells.tif").name == "my cells"
    Raster.from_array(np.zeros((4, 4)), "yx").save(tmp_path / "b.ome.zarr")
    assert open_image(str(tmp_path / "b.ome.zarr")).name == "b"
