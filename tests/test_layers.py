"""Layers become rasters and rasters layers without moving, whatever their transforms."""

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels, Points

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.layers import METADATA, from_layer, is_layer, to_layers
from napari_tincture.raster import Raster
from napari_tincture.samples import tissue_map
from napari_tincture.source import SourceRef

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

RNG = np.random.default_rng(0)
# The same products are formed in the same order, but folding into the affine rounds once more.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def transforms(n, *, turned=None):
    """Transforms of n axes; only the last `turned` are rotated and sheared."""
    m = n if turned is None else turned
    rotate, shear, affine = np.eye(n), np.eye(n), np.eye(n + 1)
    rotate[n - m :, n - m :] = np.linalg.qr(RNG.normal(size=(m, m)))[0]
    shear[n - m :, n - m :] += np.triu(RNG.normal(size=(m, m)), 1)
    affine[n - m : n, n - m : n] += 0.1 * RNG.normal(size=(m, m))
    affine[:n, n] = RNG.normal(size=n)
    return {
        "scale": RNG.uniform(0.1, 2, n), "translate": RNG.normal(size=n), "rotate": rotate,
        "shear": shear, "affine": affine,
    }  # fmt: skip


def layer_of(raster):
    data, options, kind = raster.to_layer()
    return {"image": Image, "labels": Labels}[kind](data, **options)


def world(layer, points):
    return np.array([layer.data_to_world(point) for point in points])


def random_points(n):
    return RNG.uniform(-3, 9, size=(6, n))


SHAPES = {"t": 2, "c": 3, "z": 4, "y": 12, "x": 10}


@pytest.mark.parametrize("axes", ["yx", "zyx", "tyx", "czyx", "tczyx", "zcyx", "xyz"])
def test_a_layer_keeps_its_place_data_units_and_labels(axes):
    units = [{"t": "second", "c": "pixel"}.get(a, "micrometer") for a in axes]
    layer = Image(
        RNG.random([SHAPES[a] for a in axes]), axis_labels=tuple(axes), units=units, name="cells",
        **transforms(len(axes)),
    )  # fmt: skip
    raster = from_layer(layer)
    assert raster.axes == "".join(a for a in "tczyx" if a in axes)
    again = layer_of(raster)
    np.testing.assert_array_equal(again.data, layer.data)
    points = random_points(len(axes))
    np.testing.assert_allclose(world(again, points), world(layer, points), **CLOSE)
    assert again.units == layer.units
    assert again.axis_labels == layer.axis_labels
    assert again.name == layer.name


@pytest.mark.parametrize("axes", ["yx", "zyx", "tczyx"])
def test_components_are_kept_one_by_one(axes):
    layer = Image(RNG.random([SHAPES[a] for a in axes]), axis_labels=tuple(axes),
                  **transforms(len(axes)))  # fmt: skip
    again = layer_of(from_layer(layer))
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_array_equal(getattr(again, name), getattr(layer, name))
    np.testing.assert_array_equal(np.asarray(again.affine), np.asarray(layer.affine))


@pytest.mark.parametrize("axes", ["yx", "zyx", "zcyx"])
def test_a_crop_of_a_layer_stays_in_place(axes):
    layer = Image(RNG.random([SHAPES[a] for a in axes]), axis_labels=tuple(axes),
                  **transforms(len(axes)))  # fmt: skip
    starts = dict.fromkeys(axes, 1) | {"y": 3, "x": 2}
    cropped = layer_of(from_layer(layer).crop({a: slice(s, s + 2) for a, s in starts.items()}))
    offset = np.array([starts[a] for a in axes])
    points = random_points(len(axes))
    np.testing.assert_allclose(world(cropped, points), world(layer, points + offset), **CLOSE)


def test_a_plane_of_a_tilted_stack_stays_in_place():
    layer = Image(RNG.random((4, 12, 10)), axis_labels=("z", "y", "x"), **transforms(3))
    plane = layer_of(from_layer(layer).plane(z=3))
    points = random_points(2)
    inside = np.column_stack([np.full(len(points), 3.0), points])
    np.testing.assert_allclose(world(plane, points), world(layer, inside)[:, 1:], **CLOSE)
    np.testing.assert_array_equal(plane.data, layer.data[3])


@pytest.mark.parametrize("axes", ["yx", "zyx", "tzyx"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colour_layers_hold_c_first_and_give_it_back_last(axes, samples):
    shape = [*(SHAPES[a] for a in axes), samples]
    layer = Image(
        RNG.integers(0, 255, shape, dtype=np.uint8), rgb=True, axis_labels=tuple(axes),
        **transforms(len(axes), turned=2),
    )  # fmt: skip
    raster = from_layer(layer)
    assert raster.rgb
    assert raster.sizes["c"] == samples
    assert raster.channels == ("red", "green", "blue", "alpha")[:samples]
    again = layer_of(raster)
    assert again.rgb
    np.testing.assert_array_equal(again.data, layer.data)
    points = random_points(len(axes))
    np.testing.assert_allclose(world(again, points), world(layer, points), **CLOSE)


def test_multiscale_layers_keep_levels_and_place():
    levels = [RNG.random((64, 48)), RNG.random((32, 24)), RNG.random((16, 12))]
    layer = Image(levels, multiscale=True, **transforms(2))
    raster = from_layer(layer)
    assert [level.shape for level in raster.levels] == [(64, 48), (32, 24), (16, 12)]
    again = layer_of(raster.crop({"y": slice(8, 40), "x": slice(4, 48)}))
    assert again.multiscale
    points = random_points(2)
    np.testing.assert_allclose(
        world(again, points), world(layer, points + np.array([8, 4])), **CLOSE
    )


def test_multiscale_colour_layers():
    levels = [RNG.random((64, 48, 3)).astype("f4"), RNG.random((32, 24, 3)).astype("f4")]
    again = layer_of(from_layer(Image(levels, multiscale=True, rgb=True)))
    assert again.rgb
    for level, expected in zip(again.data, levels, strict=True):
        np.testing.assert_array_equal(level, expected)


def test_labels_layers_stay_labels():
    layer = Labels(RNG.integers(0, 9, (12, 10)), **transforms(2))
    raster = from_layer(layer)
    assert raster.kind == "labels"
    again = layer_of(raster)
    assert isinstance(again, Labels)
    assert again.data is layer.data


def test_what_was_painted_on_is_not_what_its_source_holds(monkeypatch):
    layer = layer_of(tissue_map(128))
    source = from_layer(layer).source
    assert source == SourceRef("sample", "tissue_map", {"size": 128, "seed": 0})
    layer.data[3, 4] += 1
    assert from_layer(layer).source is None
    layer.data[3, 4] -= 1
    assert from_layer(layer).source == source
    layer.data = layer.data[::-1].copy()
    assert from_layer(layer).source is None
    # What is too large to be looked at may have been painted on.
    monkeypatch.setattr("napari_tincture.layers.LARGEST_NAMED", 100)
    assert from_layer(layer_of(tissue_map(128))).source is None


def test_a_mapped_file_stays_its_source(tmp_path):
    np.save(tmp_path / "map.npy", RNG.integers(0, 9, (64, 48)))
    layer = layer_of(open_image(tmp_path / "map.npy"))
    assert from_layer(layer).source.path == str(tmp_path / "map.npy")
    layer.data = np.array(layer.data)
    assert from_layer(layer).source is None


def test_dask_layers_stay_lazy():
    layer = Image(da.zeros((40, 40), chunks=10), contrast_limits=(0, 1))
    raster = from_layer(layer)
    assert raster.data.chunks == ((10,) * 4, (10,) * 4)
    assert raster.source is None


def test_default_labels_say_nothing():
    assert from_layer(Image(np.zeros((5, 5)))).axes == "yx"
    with pytest.raises(InputError, match=r"axes='zyx'.*layer\.axis_labels"):
        from_layer(Image(np.zeros((3, 5, 5))))
    with pytest.raises(InputError, match="cannot be known"):
        # Not even an axis of three or of one is guessed.
        from_layer(Image(np.zeros((1, 3, 5, 5))))
    assert from_layer(Image(np.zeros((3, 5, 5))), axes="tyx").axes == "tyx"


def test_default_labels_of_the_last_two_axes_are_y_and_x():
    layer = Image(np.zeros((3, 5, 6)), axis_labels=("z", "-2", "-1"))
    raster = from_layer(layer)
    assert raster.sizes == {"z": 3, "y": 5, "x": 6}
    assert layer_of(raster).axis_labels == ("z", "-2", "-1")


def test_stated_axes_of_a_colour_layer_may_leave_out_c():
    layer = Image(np.zeros((2, 5, 6, 3), np.uint8), rgb=True)
    assert from_layer(layer, axes="tyx").axes == "tcyx"
    assert from_layer(layer, axes="zyxc").axes == "czyx"


def test_our_own_layers_are_understood_without_labels():
    raster = Raster.from_array(np.zeros((2, 3, 5, 6)), "tcyx", channels=("a", "b", "c"))
    layer = layer_of(raster)
    layer.axis_labels = ("-4", "-3", "-2", "-1")
    again = from_layer(layer)
    assert again.axes == "tcyx"
    assert again.channels == ("a", "b", "c")
    layer.axis_labels = ("z", "c", "y", "x")
    assert from_layer(layer).sizes == {"c": 3, "z": 2, "y": 5, "x": 6}


def test_provenance_and_display_travel_with_the_layer():
    raster = Raster.from_array(
        np.zeros((5, 6)), "yx", provenance={"steps": ["a"]},
        display={"limits": [[0.0, 2.0]], "colours": ["green"]},
    )  # fmt: skip
    layer = layer_of(raster)
    assert layer.contrast_limits == [0, 2]
    assert layer.colormap.name == "green"
    assert layer.metadata[METADATA]["provenance"] == {"steps": ["a"]}
    assert from_layer(layer).provenance == raster.provenance
    assert from_layer(layer).display == raster.display


def test_channels_can_be_layers_of_their_own():
    array = RNG.random((2, 3, 5, 6))
    raster = Raster.from_array(
        array, "tcyx", channels=("DAPI", "MAP2", "NFH"), name="stain",
        display={"colours": ["blue", "green", "red"], "limits": [[0, 1], [0, 2], [0, 3]]},
    )  # fmt: skip
    layers = [Image(data, **options) for data, options, _ in to_layers(raster)]
    assert [layer.name for layer in layers] == ["stain DAPI", "stain MAP2", "stain NFH"]
    assert [layer.colormap.name for layer in layers] == ["blue", "green", "red"]
    for i, layer in enumerate(layers):
        np.testing.assert_array_equal(layer.data, array[:, i])
    colour = Raster.from_array(np.zeros((5, 6, 3), np.uint8), "yxc", rgb=True)
    assert len(to_layers(colour)) == 1


def test_other_layers_are_refused_by_name():
    with pytest.raises(InputError, match=r"'dots' is a Points layer"):
        from_layer(Points(np.zeros((2, 2)), name="dots"))


def test_only_layers_are_layers():
    assert is_layer(Image(np.zeros((2, 2))))
    assert not is_layer(np.zeros((2, 2)))
