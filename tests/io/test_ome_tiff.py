"""TIFF: axes and pixel sizes as the file states them, tiles read one by one, OME-TIFF written."""

import gc
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_tincture.errors import InputError, OutputError
from napari_tincture.io import ome_tiff
from napari_tincture.io.open import open_image
from napari_tincture.io.pyramid import downsample
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster

RNG = np.random.default_rng(0)


def noise(shape, dtype="uint8"):
    return (RNG.random(shape) * 200).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "options", "axes", "rgb"),
    [
        ((50, 60), {}, "yx", False),
        ((50, 60, 3), {"photometric": "rgb"}, "cyx", True),
        ((3, 50, 60), {"photometric": "rgb", "planarconfig": "separate"}, "cyx", True),
        ((2, 50, 60), {"ome": True, "metadata": {"axes": "ZYX"}}, "zyx", False),
        ((2, 4, 50, 60), {"ome": True, "metadata": {"axes": "ZCYX"}}, "czyx", False),
        ((2, 50, 60), {"imagej": True, "metadata": {"axes": "TYX"}}, "tyx", False),
        ((2, 50, 60, 3), {"ome": True, "metadata": {"axes": "TYXS"}, "photometric": "rgb"},
         "tcyx", True),
    ],
)  # fmt: skip
def test_axes_come_from_the_file(tmp_path, shape, options, axes, rgb):
    values = noise(shape)
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    raster = open_image(tmp_path / "a.tif")
    assert raster.axes == axes
    assert raster.rgb == rgb
    data, layer, _ = raster.to_layer()
    assert layer["rgb"] == rgb
    expected = np.moveaxis(values, 0, -1) if "planarconfig" in options else values
    np.testing.assert_array_equal(np.asarray(data), expected.reshape(data.shape))


def test_pages_without_axes_are_asked_for(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", noise((5, 50, 60)), photometric="minisblack", metadata=None
    )
    with pytest.raises(InputError, match="State them"):
        open_image(tmp_path / "a.tif")
    assert open_image(tmp_path / "a.tif", axes="tyx").sizes == {"t": 5, "y": 50, "x": 60}


def test_physical_sizes_and_channels_come_from_ome_xml(tmp_path):
    metadata = {
        "axes": "TCYX", "PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5,
        "TimeIncrement": 3.0, "TimeIncrementUnit": "s", "Channel": {"Name": ["a", "b"]},
        "Plane": {"PositionX": [100.0] * 4, "PositionXUnit": ["nm"] * 4},
    }  # fmt: skip
    tifffile.imwrite(tmp_path / "a.ome.tif", noise((2, 2, 50, 60)), metadata=metadata)
    raster = open_image(tmp_path / "a.ome.tif")
    assert raster.scale == (3, 1, 0.5, 250)
    assert raster.units == ("second", "pixel", "micrometer", "nanometer")
    assert raster.translate == (0, 0, 0, 100)
    assert raster.pixel_size == pytest.approx((0.5, 0.25))
    assert raster.channels == ("a", "b")


@pytest.mark.parametrize(("unit", "known"), [("um", True), ("\\u00B5m", True), ("pixel", False)])
def test_pixel_sizes_of_imagej_need_a_length(tmp_path, unit, known):
    tifffile.imwrite(
        tmp_path / "a.tif", noise((3, 50, 60)), imagej=True, resolution=(4, 2),
        metadata={"axes": "ZYX", "unit": unit, "spacing": 1.5},
    )  # fmt: skip
    raster = open_image(tmp_path / "a.tif")
    assert raster.scale == ((1.5, 0.5, 0.25) if known else (1, 1, 1))
    assert raster.pixel_size == (pytest.approx((0.5, 0.25)) if known else None)


def test_resolution_tags_alone_mean_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise((50, 60)), resolution=(72, 72))
    assert open_image(tmp_path / "a.tif").scale == (1, 1)


def test_slides_of_aperio_state_microns_per_pixel(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.svs", noise((64, 64, 3)), photometric="rgb", tile=(32, 32), metadata=None,
        description="Aperio Image Library v1\n64x64|AppMag = 20|MPP = 0.499",
    )  # fmt: skip
    raster = open_image(tmp_path / "a.svs")
    assert raster.pixel_size == pytest.approx((0.499, 0.499))
    assert raster.rgb


def pyramidal(path, values, **options):
    with tifffile.TiffWriter(path) as file:
        file.write(values, tile=(32, 32), subifds=2, **options)
        for step in (2, 4):
            file.write(values[::step, ::step], tile=(32, 32), subfiletype=1, **options)


def test_all_levels_of_a_pyramid_are_read_tile_by_tile(tmp_path, monkeypatch):
    values = noise((200, 150))
    pyramidal(tmp_path / "a.tif", values, compression="zlib")
    raster = open_image(tmp_path / "a.tif")
    assert [level.shape for level in raster.levels] == [(200, 150), (100, 75), (50, 38)]
    np.testing.assert_array_equal(np.asarray(raster.levels[2]), values[::4, ::4])
    read = []
    original = tifffile.zarr.ZarrTiffStore.get

    async def get(self, key, *arguments, **options):
        read.append(key)
        return await original(self, key, *arguments, **options)

    monkeypatch.setattr(tifffile.zarr.ZarrTiffStore, "get", get)
    raster.read((slice(33, 60), slice(70, 90)))
    assert [key for key in read if key[0].isdigit()] == ["1.2"]


def test_pixels_are_read_when_asked_and_the_file_is_closed_after(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", noise((50, 60)))
    closed = []
    original = tifffile.TiffFile.close
    monkeypatch.setattr(tifffile.TiffFile, "close", lambda f: (closed.append(f), original(f))[1])
    monkeypatch.setattr(ome_tiff.TiffLevel, "_open", lambda self: pytest.fail("was read"))
    raster = open_image(tmp_path / "a.tif")
    raster.to_layer()
    assert len(closed) == 1
    monkeypatch.undo()
    raster.compute()
    (tmp_path / "a.tif").unlink()
    del raster
    gc.collect()


def test_levels_can_be_pickled(tmp_path):
    values = noise((50, 60))
    tifffile.imwrite(tmp_path / "a.tif", values)
    raster = open_image(tmp_path / "a.tif")
    raster.compute()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(raster.data)).compute(), values)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "jpeg", "zstd"])
def test_compressed_files_are_read(tmp_path, compression):
    values = np.full((64, 64), 100, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, tile=(32, 32), compression=compression)
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a.tif")), values)


def placed(values, axes, **options):
    placement = Placement.build(
        tuple(axes), units=[{"t": "second", "c": "pixel"}.get(a, "micrometer") for a in axes],
        scale=[1.0 if a == "c" else 0.1 + "tczyx".index(a) for a in axes],
        translate=[0.0 if a == "c" else 1.5 + "tczyx".index(a) for a in axes],
    )  # fmt: skip
    return Raster.from_array(values, axes, placement=placement, **options)


SIZES = {"t": 2, "c": 3, "z": 2, "y": 700, "x": 530}


@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tczyx"])
def test_round_trip_is_the_identity(tmp_path, axes):
    names = {"channels": ("a", "b", "ü")} if "c" in axes else {}
    limits = {"limits": [[0, 1]] * SIZES["c"]} if names else {}
    raster = placed(
        noise([SIZES[a] for a in axes]), axes, name="cells", provenance={"a": [1]},
        display=limits, **names,
    )  # fmt: skip
    again = open_image(raster.save(tmp_path / "a.ome.tif"))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(raster))
    for name in ("axes", "placement", "kind", "rgb", "channels", "display", "provenance", "name"):
        assert getattr(again, name) == getattr(raster, name), name
    expected = np.asarray(raster)
    for level in again.levels:
        np.testing.assert_array_equal(np.asarray(level), expected)
        expected = downsample(expected, "image")


@pytest.mark.parametrize("axes", ["yxc", "tyxc", "zyxc"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colour_images_stay_colour_images(tmp_path, axes, samples):
    values = noise([{"c": samples}.get(a, SIZES[a]) for a in axes])
    raster = Raster.from_array(values, axes, rgb=True)
    again = open_image(raster.save(tmp_path / "a.ome.tif"))
    assert again.rgb
    np.testing.assert_array_equal(np.asarray(again.to_layer()[0][0]), values)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert file.series[0].axes.endswith("YXS")


def test_what_ome_tiff_cannot_say_is_restored_with_a_warning(tmp_path):
    turn = {"rotate": [[0.6, -0.8], [0.8, 0.6]], "shear": [0.5], "affine": np.diag([2, 1, 1])}
    raster = Raster.from_array(
        noise((40, 50)), "yx",
        placement=Placement.build(("row", "column"), scale=(2, 3), units="um", **turn),
    )  # fmt: skip
    with pytest.warns(UserWarning, match="no rotation, shear or affine"):
        raster.save(tmp_path / "a.tif")
    assert open_image(tmp_path / "a.tif").placement == raster.placement


def test_other_programs_see_sizes_names_and_positions(tmp_path):
    placed(noise((3, 40, 50)), "cyx", channels=("a", "b", "c")).save(tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert pixels["PhysicalSizeX"] == pytest.approx(4.1)
    assert pixels["PhysicalSizeXUnit"] == "µm"
    assert [channel["Name"] for channel in pixels["Channel"]] == ["a", "b", "c"]
    assert pixels["Plane"][0]["PositionX"] == pytest.approx(5.5)


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("bool", "u1"), ("u2", "u2"), ("i4", "i4"), ("f2", "f4"), ("f4", "f4"), ("f8", "f8"),
     ("i8", "i4"), ("u8", "i4")],
)  # fmt: skip
def test_data_types_are_those_that_ome_tiff_has(tmp_path, dtype, stored):
    values = noise((40, 50), dtype)
    again = open_image(Raster.from_array(values, "yx").save(tmp_path / "a.ome.tif"))
    assert again.dtype == np.dtype(stored)
    np.testing.assert_array_equal(np.asarray(again), values)


def test_labels_beyond_32_bits_are_refused_and_leave_nothing(tmp_path):
    raster = Raster.from_array(np.full((40, 50), 2**40), "yx", kind="labels")
    with pytest.raises(OutputError, match=r"32 bits.*\.ome\.zarr"):
        raster.save(tmp_path / "a.ome.tif")
    assert not list(tmp_path.iterdir())
    big = Raster.from_array(np.full((40, 50), 2**32 - 1), "yx", kind="labels")
    again = open_image(big.save(tmp_path / "b.ome.tif"))
    assert again.kind == "labels"
    assert again.dtype == np.uint32


@pytest.mark.slow
def test_our_files_need_no_codecs_and_others_say_what_they_need(tmp_path):
    Raster.from_array(noise((600, 600)), "yx").save(tmp_path / "own.tif")
    tifffile.imwrite(tmp_path / "lzw.tif", noise((64, 64)), compression="lzw")
    code = """if True:
        import sys
        sys.modules["imagecodecs"] = None
        from napari_tincture.errors import InputError
        from napari_tincture.io.open import open_image
        open_image("own.tif").save("again.tif")
        open_image("again.tif").compute()
        try:
            open_image("lzw.tif").compute()
        except InputError as error:
            assert "pip install imagecodecs" in str(error)
        else:
            raise SystemExit("lzw was read")
    """
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
