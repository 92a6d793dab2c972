"""napari opens what was saved, with everything in its place, and leaves other files alone."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr

from napari_tincture import Placement, Raster, open_image
from napari_tincture.errors import OutputError
from napari_tincture.layers import METADATA

RNG = np.random.default_rng(0)
PLUGIN = "napari-tincture"
SUFFIXES = [".ome.zarr", ".ome.tif"]
TURN = np.array([[0.6, -0.8], [0.8, 0.6]])


def placed(raster_axes, turned=False):
    n = len(raster_axes)
    rotate, affine = np.eye(n), np.eye(n + 1)
    if turned:
        rotate[-2:, -2:] = TURN
        affine[-3, -1] = 7
    units = [{"t": "second", "c": "pixel"}.get(a, "micrometer") for a in raster_axes]
    return Placement.build(
        tuple(raster_axes), scale=[1.0 if a == "c" else 0.5 for a in raster_axes],
        translate=[0.0 if a == "c" else 3.0 for a in raster_axes], units=units,
        rotate=rotate, affine=affine,
    )  # fmt: skip


def check_same_place(one, other):
    for name in ("scale", "translate", "rotate", "shear", "affine"):
        first, second = (np.asarray(getattr(layer, name)) for layer in (one, other))
        np.testing.assert_allclose(first, second, atol=1e-9, err_msg=name)
    assert (one.units, one.axis_labels) == (other.units, other.axis_labels)


def saved(raster, path):
    """Save without the warning that other programs will not see the rotation."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*no rotation, shear or affine.*")
        return raster.save(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["image", "labels"])
def test_napari_opens_what_was_saved(viewer, tmp_path, suffix, kind):
    values = RNG.integers(0, 200, (2, 1100, 700), dtype=np.uint16)
    raster = Raster.from_array(
        values, "zyx", kind=kind, name="cells", placement=placed("zyx", turned=True),
        provenance={"steps": [{"step": "stain"}]},
    )  # fmt: skip
    path = saved(raster, tmp_path / f"a{suffix}")
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert layer._type_string == kind
    assert layer.multiscale
    assert layer.name == "cells"
    np.testing.assert_array_equal(np.asarray(layer.data[0]), values)
    assert layer.metadata[METADATA]["provenance"]["steps"] == [{"step": "stain"}]
    check_same_place(layer, type(layer)(values, **raster.to_layer()[1]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_channels_become_layers_and_colour_images_stay_one(viewer, tmp_path, suffix):
    values = RNG.integers(0, 200, (3, 40, 50), dtype=np.uint8)
    channels = Raster.from_array(values, "cyx", name="cells", channels=("a", "b", "c"))
    layers = viewer.open(channels.save(tmp_path / f"a{suffix}"), plugin=PLUGIN)
    assert [layer.name for layer in layers] == ["cells a", "cells b", "cells c"]
    np.testing.assert_array_equal(np.asarray(layers[1].data), values[1])
    colour = Raster.from_array(values, "cyx", rgb=True, name="smear")
    (layer,) = viewer.open(colour.save(tmp_path / f"b{suffix}"), plugin=PLUGIN)
    assert layer.rgb
    np.testing.assert_array_equal(np.asarray(layer.data), np.moveaxis(values, 0, -1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*no rotation, shear or affine:UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("multiscale", [False, True])
@pytest.mark.parametrize("kind", ["image", "labels"])
def test_layers_are_saved_and_opened_again(viewer, tmp_path, suffix, kind, multiscale):
    values = RNG.integers(0, 200, (1100, 700), dtype=np.uint16)
    data = [values, values[::2, ::2]] if multiscale else values
    options = {
        "scale": (0.5, 0.25), "translate": (3, 4), "rotate": TURN, "units": ("um", "um"),
        "axis_labels": ("y", "x"), "name": "mine", "multiscale": multiscale,
    }  # fmt: skip
    layer = getattr(viewer, f"add_{kind}")(data, **options)
    path = tmp_path / f"a{suffix}"
    assert viewer.layers.save(str(path)) == [str(path)]
    viewer.layers.remove(layer)
    (again,) = viewer.open(path, plugin=PLUGIN)
    np.testing.assert_array_equal(np.asarray(again.data[0]), values)
    assert (again._type_string, again.name) == (kind, "mine")
    check_same_place(again, layer)


def test_limits_and_colour_are_saved_as_shown_and_saving_twice_replaces(viewer, tmp_path):
    path = tmp_path / "a.ome.zarr"
    viewer.add_image(RNG.random((30, 40)), contrast_limits=(0.25, 0.5), colormap="magenta")
    for _ in range(2):
        assert viewer.layers.save(str(path)) == [str(path)]
    (again,) = viewer.open(path, plugin=PLUGIN)
    assert again.contrast_limits == [0.25, 0.5]
    assert again.colormap.name == "magenta"


def test_an_image_is_opened_with_the_labels_inside_it(viewer, tmp_path):
    from napari_tincture.io.label_groups import register

    image = Raster.from_array(RNG.random((30, 40)), "yx").save(tmp_path / "a.ome.zarr")
    numbers = RNG.integers(0, 9, (30, 40))
    written = Raster.from_array(numbers, "yx", kind="labels", name="nuclei")
    (image / "labels").mkdir()
    labels = written.save(tmp_path / "b.ome.zarr").rename(image / "labels" / "nuclei")
    register(labels)
    first, second = viewer.open(image, plugin=PLUGIN)
    assert (first._type_string, second._type_string) == ("image", "labels")
    assert second.name == "nuclei"
    np.testing.assert_array_equal(np.asarray(second.data), numbers)
    (alone,) = viewer.open(labels, plugin=PLUGIN)
    assert alone._type_string == "labels"


def test_files_of_others_are_refused(viewer, tmp_path):
    from npe2 import read

    tifffile.imwrite(tmp_path / "b.ome.tif", np.zeros((30, 40), np.uint8))
    group = zarr.create_group(tmp_path / "a.zarr")
    group.attrs["ome"] = {"version": "0.5"}
    (tmp_path / "folder").mkdir()
    (tmp_path / "damaged.zarr").mkdir()
    (tmp_path / "damaged.zarr" / "zarr.json").write_text("{")
    for name in ("a.zarr", "b.ome.tif", "folder", "damaged.zarr"):
        with pytest.raises(ValueError, match="refused the file"):
            read([str(tmp_path / name)], stack=False, plugin_name=PLUGIN)


def test_axes_that_cannot_be_known_are_asked_for(viewer, tmp_path):
    viewer.add_image(np.zeros((3, 4, 30, 40)))
    # napari takes a ValueError for a writer that does not want to, and says nothing of its reason.
    with pytest.raises(OutputError, match="axes"):
        viewer.layers.save(str(tmp_path / "a.ome.zarr"))


def test_the_layers_of_a_stack_of_files_are_left_to_others(tmp_path):
    from napari_tincture.io.napari_files import get_reader

    path = Raster.from_array(np.zeros((30, 40)), "yx").save(tmp_path / "a.ome.zarr")
    assert get_reader([str(path)]) is None
    assert get_reader(str(path)) is not None
    assert open_image(path).shape == (30, 40)
