"""Label images are listed in their image, valid by specification, and opened by their path."""

import os

import numpy as np
import pytest
import zarr
from ome_zarr_models import v04, v05

from napari_tincture import Raster, open_image
from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.label_groups import is_inside_image, label_paths, register
from napari_tincture.io.ome_metadata import ome_metadata

RNG = np.random.default_rng(0)
FORMATS = {"0.4": 2, "0.5": 3}
MODELS = {"0.4": v04, "0.5": v05}


def write(path, version, kind="image"):
    """A store of one level as the writers make it."""
    raster = Raster.from_array(RNG.integers(0, 9, (20, 30), np.uint16), "yx", kind=kind, name="n")
    group = zarr.create_group(path, zarr_format=FORMATS[version])
    names = {"dimension_names": ["y", "x"]} if version == "0.5" else {}
    keys = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if version == "0.4" else {}
    array = group.create_array("0", shape=raster.shape, dtype=raster.dtype, **names, **keys)
    array[...] = np.asarray(raster)
    group.attrs.update(ome_metadata(raster, [raster.shape], {}, version))
    return path


@pytest.fixture(params=["0.4", "0.5"])
def version(request):
    return request.param


@pytest.fixture
def image(tmp_path, version):
    return write(tmp_path / "image.ome.zarr", version)


def test_a_registered_label_image_is_valid_by_specification(image, version):
    path = write(image / "labels" / "nuclei", version, "labels")
    assert is_inside_image(path)
    register(path)
    models = MODELS[version]
    group = zarr.open_group(image / "labels", mode="r")
    labels = models.labels.Labels.from_zarr(group)
    attributes = labels.attributes.ome if version == "0.5" else labels.attributes
    assert attributes.labels == ["nuclei"]
    label = models.image_label.ImageLabel.from_zarr(zarr.open_group(path, mode="r"))
    about = (label.attributes.ome if version == "0.5" else label.attributes).image_label
    assert (about.version, about.source.image) == (version, "../../")
    models.image.Image.from_zarr(zarr.open_group(image, mode="r"))


def test_image_and_labels_are_opened_by_their_paths(image, version):
    path = write(image / "labels" / "nuclei", version, "labels")
    register(path)
    assert label_paths(image) == [path]
    assert open_image(image).kind == "image"
    for opened in (open_image(path), open_image(image / "labels")):
        assert opened.kind == "labels"
        np.testing.assert_array_equal(np.asarray(opened), zarr.open_array(path / "0")[...])


def test_labels_and_attributes_of_others_stay(image, version):
    first = write(image / "labels" / "zebra", version, "labels")
    register(first)
    group = zarr.open_group(image / "labels", mode="r+")
    group.attrs["other"] = {"program": 1}
    register(write(image / "labels" / "ant", version, "labels"))
    assert [path.name for path in label_paths(image)] == ["zebra", "ant"]
    assert zarr.open_group(image / "labels", mode="r").attrs["other"] == {"program": 1}
    attributes = dict(zarr.open_group(first, mode="r").attrs)
    register(first)
    assert dict(zarr.open_group(first, mode="r").attrs) == attributes


def test_a_label_image_that_was_deleted_is_taken_off_the_list(image, version):
    from shutil import rmtree

    for name in ("a", "b"):
        register(write(image / "labels" / name, version, "labels"))
    rmtree(image / "labels" / "a")
    register(image / "labels" / "b")
    assert [path.name for path in label_paths(image)] == ["b"]


def test_what_is_half_written_is_not_listed(image, version):
    zarr.create_group(image / "labels" / "unfinished", zarr_format=FORMATS[version])
    write(image / "labels" / ".hidden.partial", version, "labels")
    register(write(image / "labels" / "done", version, "labels"))
    assert [path.name for path in label_paths(image)] == ["done"]
    with pytest.raises(OutputError, match="no finished OME-Zarr label image"):
        register(image / "labels" / "unfinished")


def test_labels_outside_an_image_or_of_another_version_are_refused(tmp_path):
    alone = write(tmp_path / "labels" / "alone", "0.5", "labels")
    assert not is_inside_image(alone)
    with pytest.raises(OutputError, match="lies in no OME-Zarr image"):
        register(alone)
    image = write(tmp_path / "image.ome.zarr", "0.4")
    other = write(image / "labels" / "new", "0.5", "labels")
    with pytest.raises(OutputError, match=r"0\.5 \(zarr format 3\), its image .*Write 0\.4"):
        register(other)


def test_damaged_metadata_are_named(image, version):
    path = write(image / "labels" / "nuclei", version, "labels")
    name = "zarr.json" if version == "0.5" else ".zattrs"
    (path / name).write_text("{")
    with pytest.raises(InputError, match=f"{name} is no valid JSON.*write it again"):
        register(path)


def test_a_full_disk_leaves_the_list_as_it_was(image, version, monkeypatch):
    register(write(image / "labels" / "a", version, "labels"))
    new = write(image / "labels" / "b", version, "labels")
    name = "zarr.json" if version == "0.5" else ".zattrs"
    before = (image / "labels" / name).read_text()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"labels.*the disk is full"):
            register(new)
    assert (image / "labels" / name).read_text() == before
    assert not list((image / "labels").glob("*.partial"))
