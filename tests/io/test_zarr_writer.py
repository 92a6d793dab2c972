"""OME-Zarr as we write it is valid, read by others, and read back by us unchanged."""

import json
import warnings
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image

from napari_tincture.io.open import open_image
from napari_tincture.io.pyramid import downsample
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster

RNG = np.random.default_rng(0)
SIZES = {"t": 2, "c": 3, "z": 2, "y": 300, "x": 270}
UNITS = {"t": "second", "c": "pixel", "z": "micrometer", "y": "micrometer", "x": "micrometer"}


def image(axes, dtype="uint8", **options):
    values = RNG.random([SIZES[a] for a in axes]) * 200
    placement = Placement.build(
        tuple(axes), units=[UNITS[a] for a in axes],
        scale=[1.0 if a == "c" else 0.1 + "tczyx".index(a) for a in axes],
        translate=[0.0 if a == "c" else 1.5 + "tczyx".index(a) for a in axes],
    )  # fmt: skip
    return Raster.from_array(values.astype(dtype), axes, placement=placement, **options)


def turned(raster):
    n = raster.ndim
    rotate, shear, affine = np.eye(n), np.eye(n), np.eye(n + 1)
    rotate[-2:, -2:] = [[0.6, -0.8], [0.8, 0.6]]
    shear[-2, -1] = 0.25
    affine[-3, -1] = 7
    affine[-2, -3] = 0.1
    placement = Placement.build(
        [f"my {label}" for label in raster.axis_labels], units=raster.units, scale=raster.scale,
        translate=raster.translate, rotate=rotate, shear=shear, affine=affine,
    )  # fmt: skip
    return replace(raster, placement=placement)


@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tczyx"])
def test_round_trip_is_the_identity(tmp_path, axes):
    names = {"channels": ("a", "b", "c")} if "c" in axes else {}
    raster = image(
        axes, name="cells", provenance={"steps": [{"step": "stain"}]},
        display={"colours": ["green"] * (3 if "c" in axes else 1)}, **names,
    )  # fmt: skip
    again = open_image(raster.save(tmp_path / "a.ome.zarr"))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(raster))
    for name in ("axes", "placement", "kind", "rgb", "channels", "display", "provenance", "name"):
        assert getattr(again, name) == getattr(raster, name), name
    assert again.dtype == raster.dtype


@pytest.mark.parametrize("axes", ["yx", "tzyx"])
def test_what_ome_zarr_cannot_say_is_restored_with_a_warning(tmp_path, axes):
    raster = turned(image(axes))
    with pytest.warns(UserWarning, match="no rotation, shear or affine"):
        raster.save(tmp_path / "a.ome.zarr")
    assert open_image(tmp_path / "a.ome.zarr").placement == raster.placement


def test_a_placement_changed_by_another_program_is_believed(tmp_path):
    raster = image("yx")
    raster.save(tmp_path / "a.ome.zarr")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r+")
    ome = dict(group.attrs["ome"])
    ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] = [9.0, 8.0]
    group.attrs["ome"] = ome
    assert open_image(tmp_path / "a.ome.zarr").scale == (9, 8)


@pytest.mark.parametrize("own", [None, 3, {"axes": "yx"}, {"axes": "zyx"}, "text"])
def test_damaged_metadata_of_our_own_are_ignored(tmp_path, own):
    raster = image("yx")
    raster.save(tmp_path / "a.ome.zarr")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r+")
    group.attrs["napari_tincture"] = own
    again = open_image(tmp_path / "a.ome.zarr")
    assert again.scale == raster.scale
    assert again.translate == raster.translate


INTEGERS = ["bool", "u1", "i2", "u4", "i8", "u8"]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("image", dtype) for dtype in [*INTEGERS, "f2", "f4", "f8"]]
    + [("labels", dtype) for dtype in INTEGERS],
)
def test_all_data_types_and_levels_survive(tmp_path, kind, dtype):
    raster = Raster.from_array((RNG.random((1300, 700)) * 100).astype(dtype), "yx", kind=kind)
    again = open_image(raster.save(tmp_path / "a.ome.zarr"))
    assert again.kind == kind
    expected = np.asarray(raster)
    assert len(again.levels) == 3
    for level in again.levels:
        # Labels of OME-Zarr are integers.
        assert level.dtype == ("u1" if (kind, dtype) == ("labels", "bool") else raster.dtype)
        np.testing.assert_array_equal(np.asarray(level), expected)
        expected = downsample(expected, kind)


def test_colour_images_stay_colour_images(tmp_path):
    raster = Raster.from_array(
        RNG.integers(0, 255, (600, 700, 3), dtype=np.uint8), "yxc", rgb=True,
        channels=("red", "green", "blue"),
    )  # fmt: skip
    again = open_image(raster.save(tmp_path / "a.ome.zarr"))
    assert again.rgb
    data, options, _ = again.to_layer()
    np.testing.assert_array_equal(np.asarray(data[0]), np.asarray(raster.to_layer()[0]))
    assert Image(data, **options).rgb


@pytest.mark.parametrize("axes", ["yx", "cyx", "tczyx"])
def test_metadata_are_valid_ome_zarr_0_5(tmp_path, axes):
    models = pytest.importorskip("ome_zarr_models.v05")
    raster = image(axes)
    raster.save(tmp_path / "a.ome.zarr")
    valid = models.Image.from_zarr(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"))
    multiscale = valid.ome_attributes.multiscales[0]
    assert [axis.name for axis in multiscale.axes] == list(axes)
    assert [axis.unit for axis in multiscale.axes] == [
        None if UNITS[a] == "pixel" else UNITS[a] for a in axes
    ]
    scale, translation = multiscale.datasets[0].coordinateTransformations
    assert tuple(scale.scale) == raster.scale
    assert tuple(translation.translation) == raster.translate


def test_labels_are_valid_image_labels(tmp_path):
    models = pytest.importorskip("ome_zarr_models.v05.image_label")
    raster = Raster.from_array(RNG.integers(0, 9, (300, 200)), "yx", kind="labels")
    raster.save(tmp_path / "a.ome.zarr")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    assert models.ImageLabel.from_zarr(group).ome_attributes.image_label is not None
    assert "omero" not in group.attrs["ome"]


def test_levels_lie_on_the_pixels_that_they_cover(tmp_path):
    raster = Raster.from_array(
        np.zeros((1100, 900), np.uint8), "yx",
        placement=Placement.build("yx", scale=(2, 3), translate=(10, 20)),
    )  # fmt: skip
    raster.save(tmp_path / "a.ome.zarr")
    datasets = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"][
        "multiscales"
    ][0]["datasets"]
    assert len(datasets) == 3
    for level, dataset in enumerate(datasets):
        scale, translation = (t[t["type"]] for t in dataset["coordinateTransformations"])
        expected = raster.placement.level((2**level, 2**level))
        assert tuple(scale) == expected.scale
        assert tuple(translation) == expected.translate


@pytest.mark.filterwarnings("ignore")  # deprecations of the other reader's own making
@pytest.mark.parametrize("axes", ["yx", "cyx", "tczyx"])
def test_another_reader_sees_the_same(tmp_path, axes):
    io = pytest.importorskip("ome_zarr.io")
    reader = pytest.importorskip("ome_zarr.reader")
    names = {"channels": ("a", "b", "c")} if "c" in axes else {"channels": ("a",)}
    limits = [[1.0, 100.0]] * len(names["channels"])
    raster = image(axes, display={"limits": limits, "colours": ["red"] * len(limits)}, **names)
    raster.save(tmp_path / "a.ome.zarr")
    node = next(iter(reader.Reader(io.parse_url(tmp_path / "a.ome.zarr", mode="r"))()))
    np.testing.assert_array_equal(np.asarray(node.data[0]), np.asarray(raster))
    assert [axis["name"] for axis in node.metadata["axes"]] == list(axes)
    assert node.metadata["channel_names"] == list(names["channels"])
    assert node.metadata["contrast_limits"] == limits
    assert node.metadata["coordinateTransformations"][0][0]["scale"] == list(raster.scale)


def test_limits_are_found_while_writing(tmp_path):
    values = np.stack([np.linspace(2, 5, 300 * 200), np.full(300 * 200, np.nan)])
    values[0, 0], values[0, 1] = np.nan, np.inf
    raster = Raster.from_array(values.reshape(2, 300, 200), "cyx")
    raster.save(tmp_path / "a.ome.zarr")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    windows = [channel["window"] for channel in group.attrs["ome"]["omero"]["channels"]]
    assert windows[0]["start"] == pytest.approx(2, abs=1e-3)
    assert windows[0]["end"] == 5
    assert windows[1] == {"min": 0, "max": 1, "start": 0, "end": 1}


class Reports:
    """A runner that knows more after the run than before."""

    def freeze(self):
        return {"tile": 8}

    def identity(self):
        return {"weights": "0"}

    def stream(self, write, progress, cancel, checkpoint):
        write((slice(0, 8), slice(0, 8)), np.zeros((8, 8)))
        return {"tolerance": np.float32(0.5), "halvings": (1, 2)}


def test_facts_of_the_run_become_provenance(tmp_path):
    raster = Raster(
        levels=(da.zeros((8, 8)),), axes="yx", placement=Placement.build("yx"),
        provenance={"model": "m"}, runner=Reports(),
    )  # fmt: skip
    again = open_image(raster.save(tmp_path / "a.ome.zarr"))
    assert again.provenance == {"model": "m", "tolerance": 0.5, "halvings": [1, 2]}


def test_a_store_can_be_saved_over_itself(tmp_path):
    raster = open_image(image("yx").save(tmp_path / "a.ome.zarr"))
    expected = np.asarray(raster)
    raster.crop({"x": slice(10, 200)}).save(tmp_path / "a.ome.zarr", overwrite=True)
    np.testing.assert_array_equal(
        np.asarray(open_image(tmp_path / "a.ome.zarr")), expected[:, 10:200]
    )


def test_nothing_warns_about_ordinary_images(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_image(image("tczyx").save(tmp_path / "a.ome.zarr")).compute()
