"""What is written is valid OME-Zarr, and every reader sees the same values, scale and units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import zarr
from ome_zarr_models import v04, v05

from napari_tincture import OutputError, Placement, Raster, open_image
from napari_tincture.io import label_groups, layout
from napari_tincture.io.napari_files import get_reader

RNG = np.random.default_rng(0)
SIZES = {"t": 2, "c": 3, "z": 2, "y": 560, "x": 130}
UNITS = {"t": "second", "c": "pixel", "z": "micrometer", "y": "nanometer", "x": "micrometer"}
# The other readers' own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def raster_of(axes, kind="image", rgb=False):
    values = RNG.integers(0, 250, [SIZES[a] for a in axes]).astype(
        "u2" if kind == "labels" else "u1"
    )
    placement = Placement.build(
        tuple(axes), units=[UNITS[a] for a in axes],
        scale=[1.0 if a == "c" else 0.5 + "tczyx".index(a) for a in axes],
        translate=[0.0 if a == "c" else 10.0 * "tczyx".index(a) for a in axes],
    )  # fmt: skip
    return Raster.from_array(values, axes, kind=kind, rgb=rgb, placement=placement, name="cells")


IMAGES = {
    "plane": ("yx", "image", False), "stack": ("zyx", "image", False),
    "channels": ("cyx", "image", False), "all": ("tczyx", "image", False),
    "time": ("tyx", "image", False), "colour": ("cyx", "image", True),
    "labels": ("yx", "labels", False), "labels-in-time": ("tzyx", "labels", False),
}  # fmt: skip


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def version(request):
    return request.param


@pytest.fixture(scope="module", params=IMAGES)
def raster(request):
    return raster_of(*IMAGES[request.param])


@pytest.fixture(scope="module")
def path(raster, version, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Several shards and levels of a small image.
        patch.setattr(layout, "SHARD", 256)
        patch.setattr(layout, "CHUNK", 128)
        return raster.save(tmp_path_factory.mktemp("store") / "a.ome.zarr", version=version)


@dataclass
class Seen:
    """What a reader shows: values in canonical axes, and scale and unit per axis but c."""

    values: np.ndarray
    scale: dict[str, float]
    units: dict[str, str | None]


def without_channel(axes, values):
    return {a: v for a, v in zip(axes, values, strict=True) if a != "c"}


def by_ome_zarr_py(path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    node = next(iter(Reader(parse_url(path, mode="r"))()))
    axes = [axis["name"] for axis in node.metadata["axes"]]
    (scale, _), *_ = node.metadata["coordinateTransformations"]
    units = [axis.get("unit") for axis in node.metadata["axes"]]
    return Seen(
        np.asarray(node.data[0]), without_channel(axes, scale["scale"]),
        without_channel(axes, units),
    )  # fmt: skip


def by_napari_ome_zarr(path):
    from napari.layers import Layer
    from napari_ome_zarr import napari_get_reader

    ((data, options, kind),) = napari_get_reader(str(path))(str(path))
    values, axis = np.asarray(data[0]), options.pop("channel_axis", None)
    part = [level if axis is None else level.take(0, axis=axis) for level in map(np.asarray, data)]
    several = {"name", "colormap", "contrast_limits", "visible"} if axis is not None else set()
    kept = {key: value for key, value in options.items() if key not in several}
    layer = Layer.create(part if len(part) > 1 else part[0], kept, kind)
    labels = layer.axis_labels
    return Seen(
        values, dict(zip(labels, layer.scale, strict=True)),
        dict(zip(labels, map(str, layer.units), strict=True)),
    )  # fmt: skip


def by_napari(path):
    layers = get_reader(str(path))(str(path))
    parts = [np.asarray(data[0] if options["multiscale"] else data) for data, options, _ in layers]
    options = layers[0][1]
    axes = options["axis_labels"]
    values = np.moveaxis(parts[0], -1, 0) if options.get("rgb") else np.stack(parts)
    if len(parts) == 1 and not options.get("rgb"):
        values = parts[0]
    elif not options.get("rgb"):
        values = np.moveaxis(values, 0, 1 if axes[0] == "t" else 0)
    return Seen(
        values, dict(zip(axes, options["scale"], strict=True)),
        dict(zip(axes, options["units"], strict=True)),
    )  # fmt: skip


def by_us(path):
    image = open_image(path)
    return Seen(
        np.asarray(image), without_channel(image.axes, image.scale),
        without_channel(image.axes, image.units),
    )  # fmt: skip


@pytest.mark.parametrize("reader", [by_us, by_napari, by_ome_zarr_py, by_napari_ome_zarr])
def test_every_reader_sees_the_same(path, raster, reader):
    if reader is by_napari_ome_zarr:
        pytest.importorskip("napari_ome_zarr")
    elif reader is by_ome_zarr_py:
        pytest.importorskip("ome_zarr")
    seen = reader(path)
    np.testing.assert_array_equal(seen.values, np.asarray(raster))
    assert seen.scale == pytest.approx(without_channel(raster.axes, raster.scale))
    assert seen.units == without_channel(raster.axes, raster.units)


def test_the_store_is_valid_by_specification(path, raster, version):
    models = {"0.4": v04, "0.5": v05}[version]
    group = zarr.open_group(path, mode="r")
    model = models.image_label.ImageLabel if raster.kind == "labels" else models.image.Image
    valid = model.from_zarr(group)
    attributes = dict(group.attrs)
    ome = attributes if version == "0.4" else attributes["ome"]
    about = ome["image-label"] if raster.kind == "labels" else ome.get("omero")
    assert ("omero" in ome) == (raster.kind == "image")
    versions = {"0.4": [ome["multiscales"][0], about], "0.5": [ome]}[version]
    assert {part["version"] for part in versions} == {version}
    (multiscale,) = valid.ome_attributes.multiscales
    assert [axis.name for axis in multiscale.axes] == list(raster.axes)
    (scale, translation) = multiscale.datasets[0].coordinateTransformations
    assert (tuple(scale.scale), tuple(translation.translation)) == (raster.scale, raster.translate)


def test_everything_of_ours_comes_back(path, raster):
    again = open_image(path)
    for name in ("axes", "placement", "kind", "rgb", "channels", "name", "order"):
        assert getattr(again, name) == getattr(raster, name), name


@pytest.mark.parametrize("reader", [by_us, by_napari])
@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_a_rotated_placement_comes_back(tmp_path, reader, suffix):
    raster = raster_of("zyx")
    turn = np.eye(3)
    turn[1:, 1:] = [[0.6, -0.8], [0.8, 0.6]]
    placement = Placement.build(
        "zyx", units=raster.units, scale=raster.scale, rotate=turn, affine=np.diag([1, 2, 2, 1.0])
    )
    turned = Raster.from_array(np.asarray(raster), "zyx", placement=placement)
    with pytest.warns(UserWarning, match="no rotation, shear or affine"):
        path = turned.save(tmp_path / f"a{suffix}")
    assert open_image(path).placement == placement
    if reader is by_napari:
        (_, options, _), = get_reader(str(path))(str(path))  # fmt: skip
        np.testing.assert_allclose(options["rotate"], turn)
        np.testing.assert_allclose(options["affine"], np.diag([1, 2, 2, 1.0]))


def test_many_channels_have_colours(tmp_path):
    values = RNG.integers(0, 9, (9, 20, 30), dtype=np.uint8)
    path = Raster.from_array(values, "cyx").save(tmp_path / "a.ome.zarr")
    channels = zarr.open_group(path, mode="r").attrs["ome"]["omero"]["channels"]
    assert len({channel["label"] for channel in channels}) == 9
    assert all(len(channel["color"]) == 6 for channel in channels)


def test_labels_are_written_into_their_image_in_its_version(tmp_path, version):
    image, labels = raster_of("yx"), raster_of("yx", "labels")
    path = image.save(tmp_path / "a.ome.zarr", version=version)
    for name in ("nuclei", "cells"):
        labels.save(path / "labels" / name)
    labels.save(path / "labels" / "cells", overwrite=True)
    assert [p.name for p in label_groups.label_paths(path)] == ["nuclei", "cells"]
    found = open_image(path / "labels" / "nuclei")
    assert found.kind == "labels"
    np.testing.assert_array_equal(found.compute(), np.asarray(labels))
    np.testing.assert_array_equal(open_image(path).compute(), np.asarray(image))
    valid = {"0.5": v05.ImageLabel, "0.4": v04.ImageLabel}[version]
    valid.from_zarr(zarr.open_group(path / "labels" / "nuclei", mode="r"))
    other = {"0.5": "0.4", "0.4": "0.5"}[version]
    with pytest.raises(OutputError, match=f"is OME-Zarr {version}"):
        labels.save(path / "labels" / "more", version=other)
