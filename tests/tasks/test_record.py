"""What is written down of a step is enough to make the same pixels again."""

from __future__ import annotations

import json

import dask.array as da
import numpy as np
import pytest
from models import image_of, model_of
from networks import EXACT, Fn, conv

import napari_tincture as nt
from napari_tincture import Raster, open_image, segment, stain
from napari_tincture.io.identity import signature
from napari_tincture.io.provenance import completed, versions

IMAGE = image_of((2, 61, 50))


@pytest.fixture(scope="module")
def finder():
    """Three maps of one small convolution, and objects of these."""
    network = Fn(lambda self, x: self.a(x), a=conv(2, 3, 5))
    return model_of(network, 2, 3, name="finder", task="segment", instances={"largest": 20})


class Untouched:
    """An array that must not be read."""

    shape, dtype, ndim = (2, 61, 50), np.dtype("uint8"), 3

    def __getitem__(self, index):
        raise AssertionError(f"{index} was read")


def test_nothing_is_read_for_a_lazy_result(plain):
    result = stain(open_image(Untouched(), axes="cyx"), plain)
    (source,) = result.provenance["steps"][0]["sources"]
    assert (source["shape"], source["axes"], source["dtype"]) == ([2, 61, 50], "cyx", "uint8")
    assert "signature" not in source
    json.dumps(result.provenance, allow_nan=False)


def test_a_saved_step_says_everything(tmp_path, normed):
    np.save(tmp_path / "a.npy", IMAGE)
    image = open_image(tmp_path / "a.npy", axes="cyx")
    result = stain(image, normed, tile=16, region={"y": slice(5, 20)})
    saved = open_image(result.save(tmp_path / "a.ome.zarr")).provenance
    (step,) = saved["steps"]
    assert step["sources"][0]["source"]["path"] == str(tmp_path / "a.npy")
    assert step["sources"][0]["signature"] == signature(image)
    assert (step["model"], step["architecture"]) == ("small", "test")
    assert step["weights"] == normed.fingerprint
    assert step["settings"] == {
        "region": {"y": [5, 20]}, "channels": None, "context": "auto", "device": "auto",
        "precision": "auto", "tile": 16, "nonfinite": "error", "pixel_size": "refuse",
        "dtype": "auto", "on_read_error": "stop", "outputs": ["image"], "direction": "forward",
        "samples": 3, "seed": 0, "seams": "exact",
    }  # fmt: skip
    assert (saved["device"], saved["precision"]) == ("cpu", "float32")
    assert saved["versions"] == versions()
    assert saved["values"][""]["how"]["context"] == "lock-step"


def test_the_same_job_writes_the_same_provenance(tmp_path, normed):
    image = Raster.from_array(IMAGE, "cyx")
    for name in "ab":
        stain(image, normed, tile=16).save(tmp_path / f"{name}.ome.zarr")
    first, second = (open_image(tmp_path / f"{name}.ome.zarr").provenance for name in "ab")
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize("output", ["labels", "classes", "probabilities"])
def test_every_output_of_segment_keeps_the_facts_of_its_run(tmp_path, finder, output):
    result = segment(Raster.from_array(IMAGE, "cyx"), finder, output=output, tile=16)
    saved = open_image(result.save(tmp_path / "a.ome.zarr"))
    np.testing.assert_array_equal(np.asarray(saved), result.compute())
    assert saved.provenance["device"] == "cpu"
    assert saved.provenance["values"][""]["how"] == {"statistics": "whole plane"}
    assert "signature" in saved.provenance["steps"][0]["sources"][0]


def test_a_chain_computed_at_once_signs_its_first_image_and_keeps_all_runs(tmp_path, normed):
    image = Raster.from_array(IMAGE, "cyx", name="scan")
    one = model_of(EXACT["unet"](), 2, 1)
    again = stain(stain(image, one, tile=16), normed, channels=[0, 0], tile=16)
    first, last = open_image(again.save(tmp_path / "a.ome.zarr")).provenance["steps"]
    assert first["sources"][0]["signature"] == signature(image)
    assert first["run"]["device"] == "cpu"
    assert last["sources"][0]["computed"]
    assert "signature" not in last["sources"][0]


def test_facts_of_a_run_stay_with_their_step(tmp_path, normed):
    image = Raster.from_array(IMAGE, "cyx")
    saved = open_image(stain(image, normed, context="exact").save(tmp_path / "a.ome.zarr"))
    second = stain(saved, normed, channels=[0, 0]).provenance
    run = second["steps"][0]["run"]
    assert run["values"][""]["how"] == saved.provenance["values"][""]["how"]
    assert "shares" not in run["values"][""]
    assert not {"values", "device", "versions"} & set(second)


def test_images_among_the_channels_are_sources(tmp_path, plain):
    image = Raster.from_array(IMAGE[0], "yx", name="one")
    other = Raster.from_array(IMAGE[1], "yx", name="two")
    result = stain(image, plain, channels={"in0": 0, "in1": other})
    (step,) = completed(result, {})["steps"]
    assert step["settings"]["channels"] == {"in0": 0, "in1": {"source": 1}}
    assert [source["name"] for source in step["sources"]] == ["one", "two"]
    assert step["sources"][1]["signature"] == signature(other)


def test_a_crop_of_a_lazy_result_is_not_computed_to_be_signed(plain):
    first = stain(Raster.from_array(IMAGE, "cyx"), plain, tile=16)
    job = first.runner.job
    second = stain(first.crop({"y": slice(0, 20)}), plain, channels=[0, 0])
    last = completed(second, {})["steps"][-1]
    assert "signature" not in last["sources"][0]
    assert not job.known


def test_an_image_that_vanished_does_not_cost_the_result(tmp_path, plain):
    class Failing(Untouched):
        def __getitem__(self, index):
            raise OSError("the disk was pulled out")

    result = stain(open_image(Failing(), axes="cyx"), plain)
    (step,) = completed(result, {})["steps"]
    assert step["sources"][0]["signature"]["sample"] is None


def test_the_file_of_a_model_is_named_unless_it_has_a_name(tmp_path):
    from napari_tincture.models import find_card
    from napari_tincture.samples import load

    card = find_card("nuclei")
    named = nt.load_model(card.name)
    path = tmp_path / "own.safetensors"
    path.write_bytes(named.path.read_bytes())
    image = load("nuclei")
    assert segment(image, card.name).provenance["steps"][0]["model_file"] is None
    step = segment(image, path).provenance["steps"][0]
    assert step["model_file"] == str(path)
    assert step["licence"] == card.licence


def test_dask_sources_in_memory_are_signed(plain):
    image = Raster.from_array(da.from_array(IMAGE, chunks=20), "cyx")
    (step,) = completed(stain(image, plain), {})["steps"]
    assert step["sources"][0]["signature"] == signature(image)
