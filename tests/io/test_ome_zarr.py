"""Zarr arrays and OME-Zarr of other programs and versions are read as they say."""

import numpy as np
import pytest
import zarr

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("fmt", [2, 3])
def test_plain_arrays_are_read_in_both_formats(tmp_path, fmt):
    values = RNG.random((3, 20, 30))
    array = zarr.create_array(tmp_path / "a.zarr", data=values, chunks=(1, 10, 10), zarr_format=fmt)
    with pytest.raises(InputError, match="State them"):
        open_image(array)
    for source in (array, tmp_path / "a.zarr"):
        raster = open_image(source, axes="zyx")
        np.testing.assert_array_equal(np.asarray(raster), values)
        assert raster.source.path == str(tmp_path / "a.zarr")


def test_dimension_names_are_axes(tmp_path):
    values = RNG.random((3, 20, 30))
    zarr.create_array(tmp_path / "a.zarr", data=values, dimension_names=("time", "y", "x"))
    assert open_image(tmp_path / "a.zarr").axes == "tyx"
    old = zarr.create_array(tmp_path / "b.zarr", data=values, zarr_format=2)
    old.attrs["_ARRAY_DIMENSIONS"] = ["x", "y", "z"]
    assert open_image(tmp_path / "b.zarr").sizes == {"z": 30, "y": 20, "x": 3}


def add_array(group, name, values):
    group.create_array(name, shape=values.shape, dtype=values.dtype)[...] = values


def ome_group(path, fmt, axes, arrays, **more):
    """Write OME-Zarr 0.4 (format 2) or 0.5 (format 3) as other programs do."""
    group = zarr.create_group(path, zarr_format=fmt)
    for i, values in enumerate(arrays):
        add_array(group, str(i), values)
    multiscale = {"datasets": [{"path": str(i)} for i in range(len(arrays))], **more.pop("ms", {})}
    if axes is not None:
        multiscale["axes"] = axes
    ome = {"multiscales": [multiscale], **more}
    group.attrs.update(ome if fmt == 2 else {"ome": {"version": "0.5", **ome}})
    return group


@pytest.mark.parametrize("fmt", [2, 3])
def test_images_of_other_programs_are_read(tmp_path, fmt):
    axes = [
        {"name": "time", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"},
        {"name": "y", "type": "space", "unit": "nanometer"},
        {"name": "x", "type": "space", "unit": "nanometer"},
    ]  # fmt: skip
    levels = [RNG.random((2, 2, 20, 30)), RNG.random((2, 2, 10, 15))]
    channels = [
        {"label": "a", "color": "FF00FF", "window": {"min": 0, "max": 9, "start": 1, "end": 8}},
        {"label": "b", "color": "0A0B0C", "window": {"min": 0, "max": 9, "start": 2, "end": 7}},
    ]
    scales = {
        "coordinateTransformations": [{"type": "scale", "scale": [2.0, 1.0, 1.0, 1.0]}],
        "datasets": [
            {"path": str(i), "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 1.0, 325.0 * 2**i, 325.0 * 2**i]},
                {"type": "translation", "translation": [3.0, 0.0, 5.0, 6.0]},
            ]} for i in range(2)
        ],
    }  # fmt: skip
    ome_group(tmp_path / "a.zarr", fmt, axes, levels, ms=scales, omero={"channels": channels})
    raster = open_image(tmp_path / "a.zarr")
    assert raster.axes == "tcyx"
    assert len(raster.levels) == 2
    assert raster.scale == (2, 1, 325, 325)
    assert raster.translate == (6, 0, 5, 6)
    assert raster.pixel_size == pytest.approx((0.325, 0.325))
    assert raster.channels == ("a", "b")
    assert raster.display == {"colours": ["magenta", "#0a0b0c"], "limits": [[1, 8], [2, 7]]}
    np.testing.assert_array_equal(np.asarray(raster), levels[0])


def test_old_versions_have_known_axes(tmp_path):
    ome_group(tmp_path / "a.zarr", 2, None, [np.zeros((1, 2, 3, 4, 5))])
    assert open_image(tmp_path / "a.zarr").axes == "tczyx"
    ome_group(tmp_path / "b.zarr", 2, ["z", "y", "x"], [np.zeros((3, 4, 5))])
    assert open_image(tmp_path / "b.zarr").axes == "zyx"


def test_axes_that_are_not_ours_are_asked_for(tmp_path):
    axes = [{"name": n, "type": "space"} for n in ("depth", "row", "column")]
    ome_group(tmp_path / "a.zarr", 3, axes, [np.zeros((3, 4, 5))])
    with pytest.raises(InputError, match="row"):
        open_image(tmp_path / "a.zarr")
    assert open_image(tmp_path / "a.zarr", axes="zyx").axes == "zyx"


def test_the_only_image_of_a_collection_is_opened_and_several_are_listed(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    ome_group(tmp_path / "a.zarr" / "0", 3, ["y", "x"], [np.ones((4, 5))])
    assert open_image(group).shape == (4, 5)
    assert open_image(tmp_path / "a.zarr").shape == (4, 5)
    ome_group(tmp_path / "a.zarr" / "1", 3, ["y", "x"], [np.ones((4, 5))])
    with pytest.raises(InputError, match=r"\['0', '1'\]"):
        open_image(tmp_path / "a.zarr")


def test_labels_of_an_image_are_labels(tmp_path):
    ome_group(tmp_path / "a.zarr", 3, ["y", "x"], [np.ones((4, 5))])
    labels = zarr.create_group(tmp_path / "a.zarr" / "labels")
    labels.attrs["ome"] = {"version": "0.5", "labels": ["nuclei"]}
    ome_group(tmp_path / "a.zarr/labels/nuclei", 3, ["y", "x"], [np.ones((4, 5), "u4")],
              **{"image-label": {}})  # fmt: skip
    assert open_image(tmp_path / "a.zarr").kind == "image"
    assert open_image(tmp_path / "a.zarr" / "labels").kind == "labels"
    assert open_image(tmp_path / "a.zarr" / "labels" / "nuclei").kind == "labels"


def test_plates_and_groups_without_images_say_what_to_open(tmp_path):
    plate = zarr.create_group(tmp_path / "plate.zarr")
    plate.attrs["ome"] = {"version": "0.5", "plate": {}}
    with pytest.raises(InputError, match="A/1/0"):
        open_image(plate)
    group = zarr.create_group(tmp_path / "group.zarr")
    add_array(group, "raw", np.zeros((4, 5)))
    with pytest.raises(InputError, match="raw"):
        open_image(group)


def test_a_missing_level_is_named(tmp_path):
    ome_group(tmp_path / "a.zarr", 3, ["y", "x"], [np.ones((4, 5))],
              ms={"datasets": [{"path": "0"}, {"path": "lost"}]})  # fmt: skip
    with pytest.raises(InputError, match="lost"):
        open_image(tmp_path / "a.zarr")


def test_arrays_in_memory_are_not_opened_elsewhere():
    array = zarr.create_array({}, data=np.zeros((4, 5)))
    assert open_image(array).source is None
