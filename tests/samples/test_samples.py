"""The shipped samples: what they are, that they can be opened elsewhere, and their size."""

import json
from pathlib import Path

import dask
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_tincture import samples
from napari_tincture.errors import InputError
from napari_tincture.io.pyramid import downsample
from napari_tincture.raster import SourceRef
from napari_tincture.samples import napari_samples
from napari_tincture.samples.mirror import mirrored

NAMES = [name for name in samples.available() if name != "mosaic"]


@pytest.mark.parametrize(
    ("name", "axes", "shape", "dtype"),
    [
        ("neuron_phase", "zyx", (7, 1024, 1024), "uint8"),
        ("neuron_dapi", "yx", (1024, 1024), "uint16"),
        ("nuclei", "yx", (520, 696), "uint8"),
        ("nuclei_labels", "yx", (520, 696), "uint8"),
        ("blood_smear", "cyx", (3, 480, 640), "uint8"),
        ("unstained_blood", "yx", (772, 1032), "uint8"),
        ("tissue_map", "yx", (512, 512), "uint8"),
        ("nuclei_map", "yx", (520, 696), "uint8"),
    ],
)
def test_samples_are_what_they_say(name, axes, shape, dtype):
    raster = samples.load(name)
    assert (raster.axes, raster.shape, raster.dtype) == (axes, shape, np.dtype(dtype))
    assert raster.provenance["source"]
    assert raster.provenance["licence"]
    # No pixel size is known, and none is made up.
    assert raster.pixel_size is None


@pytest.mark.parametrize("name", [*NAMES, "mosaic"])
def test_samples_can_be_opened_in_another_process(name):
    options = {"size": 1500} if name == "mosaic" else {}
    raster = samples.load(name, **options).crop({"y": slice(100, 140), "x": slice(50, 90)})
    again = SourceRef.from_json(json.loads(json.dumps(raster.source.to_json()))).open()
    np.testing.assert_array_equal(np.asarray(again), np.asarray(raster))
    assert again.name == raster.name
    assert again.placement == raster.placement


@pytest.mark.parametrize(("index", "count"), [(0, 130), (1, 54), (2, 23)])
def test_nuclei_and_their_labels_fit(index, count):
    image, labels = samples.nuclei(index), samples.nuclei_labels(index)
    assert image.shape == labels.shape
    assert labels.kind == "labels"
    values = np.asarray(labels)
    assert len(np.unique(values)) == count + 1
    pixels = np.asarray(image)
    assert pixels[values > 0].mean() > 2 * pixels[values == 0].mean()


def test_planes_are_named_and_differ():
    raster = samples.neuron_phase()
    assert raster.display["planes"] == ["z00", "z02", "z04", "z06", "z08", "z10", "z12"]
    planes = np.asarray(raster)
    assert all((planes[i] != planes[i + 1]).any() for i in range(6))


def test_unknown_samples_are_refused_with_the_choice():
    with pytest.raises(InputError, match="neuron_phase"):
        samples.load("cats")
    with pytest.raises(InputError, match="0, 1 or 2"):
        samples.nuclei(3)
    with pytest.raises(InputError, match="at least 1"):
        samples.mosaic(0)


@pytest.mark.parametrize("size", [1, 1023, 1024, 2048, 2500])
def test_a_mosaic_is_the_sample_mirrored(size):
    base = np.asarray(samples.neuron_dapi())
    expected = np.pad(base, [(0, max(size - 1024, 0))] * 2, mode="symmetric")[:size, :size]
    np.testing.assert_array_equal(np.asarray(samples.mosaic(size, "neuron_dapi")), expected)


def test_levels_of_a_mosaic_are_those_of_its_pixels():
    mosaic = samples.mosaic(4096, "neuron_dapi")
    expected = np.asarray(mosaic)
    assert len(mosaic.levels) == 3
    for level in mosaic.levels:
        np.testing.assert_array_equal(np.asarray(level), expected)
        expected = downsample(expected, "image")


def test_odd_samples_have_no_mirrored_levels():
    raster = samples.nuclei().crop({"y": slice(0, 101)})
    assert len(mirrored(raster, 5000).levels) == 1


def test_a_large_mosaic_is_made_where_it_is_read():
    mosaic = samples.mosaic(65536)
    with dask.config.set(scheduler="synchronous"):
        window = mosaic.read((slice(0, 7), slice(60000, 60064), slice(3000, 3064)))
    base = np.asarray(samples.neuron_phase())
    rows = 1023 - np.arange(60000, 60064) % 1024 if 60000 // 1024 % 2 else np.arange(608, 672)
    columns = np.arange(3000, 3064) % 2048
    np.testing.assert_array_equal(window, base[:, rows][:, :, np.minimum(columns, 2047 - columns)])


@pytest.mark.parametrize(
    "function",
    [
        "neurons",
        "neuron_mosaic",
        "nuclei",
        "nuclei_large",
        "blood_smear",
        "unstained_blood",
        "tissue_map",
        "nuclei_map",
    ],
)
def test_napari_makes_layers_of_them(function):
    for data, options, kind in getattr(napari_samples, function)():
        layer = {"image": Image, "labels": Labels}[kind](data, **options)
        assert layer.metadata["licence"]
        assert layer.name


def test_every_file_has_a_licence_and_all_fit_into_the_package():
    files = [path for path in samples.DATA.rglob("*") if path.suffix in (".png", ".jpg")]
    assert sum(path.stat().st_size for path in files) < 7.5e6
    stated = (samples.DATA / "README.md").read_text("utf-8")
    for path in files:
        pattern = "phase_z00" if path.stem.startswith("phase") else path.stem
        assert pattern in stated or Path(path).stem.endswith("_labels"), path
