"""`explain` says how an image was made; its Python makes the same pixels again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from models import image_of
from napari.layers import Image
from painters import denoiser, label_map

import napari_tincture as nt
from napari_tincture import Raster, explain, open_image, segment, stain
from napari_tincture.errors import InputError
from napari_tincture.samples import load

IMAGE = image_of((2, 61, 50))


@pytest.fixture(scope="module")
def nuclei():
    return load("nuclei").crop({"y": slice(0, 96), "x": slice(0, 96)})


@pytest.fixture
def saved(tmp_path, nuclei):
    np.save(tmp_path / "scan.npy", np.asarray(nuclei))
    image = open_image(tmp_path / "scan.npy").crop({"y": slice(10, 90)})
    result = segment(image, "nuclei", output="probabilities", tile=64, region={"x": (0, 70)})
    return result.save(tmp_path / "maps.ome.zarr")


def run(code, name):
    scope = {}
    exec(code, scope)  # the test is of this code
    return np.asarray(scope[name])


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_a_file_is_explained_in_words(tmp_path, saved, suffix):
    path = open_image(saved).save(tmp_path / f"again{suffix}")
    told = explain(path)
    text = " ".join(str(told).split())
    for expected in (
        str(path), "1. segment", "'scan', yx 80 × 96 uint8", f"from {tmp_path / 'scan.npy'} (crop)",
        "nuclei (unet), SHA-256", nt.load_model("nuclei").card.licence, "tile 64",
        "on cpu in float32, tiles of 64 × 64 pixels", "exact yes", "torch", "whole plane",
        "region x [0, 70]",
    ):  # fmt: skip
        assert expected in text, expected
    json.dumps(told.steps, allow_nan=False)


def test_its_python_gives_the_same_pixels(saved):
    told = explain(saved)
    np.testing.assert_array_equal(run(told.python, "result_1"), np.asarray(open_image(saved)))


def test_its_python_goes_through_all_steps(tmp_path, nuclei):
    model = tmp_path / "own.safetensors"
    model.write_bytes(nt.load_model("phase-to-dapi").path.read_bytes())
    image = load("neuron_phase").crop({"y": slice(0, 64), "x": slice(0, 96)})
    stained = stain(image, model, channels={"phase": "z"}, tile=64, context="exact")
    path = segment(stained, "nuclei", tile=64).save(tmp_path / "a.ome.zarr")
    told = explain(path)
    assert [step["step"] for step in told.steps] == ["stain", "segment"]
    assert told.steps[0]["run"]["device"] == "cpu"
    text = " ".join(str(told).split())
    for expected in ("from sample neuron", "the result of the step before", str(model)):
        assert expected in text, expected
    np.testing.assert_array_equal(run(told.python, "result_2"), np.asarray(open_image(path)))


def test_synthesis_is_explained_and_made_again(tmp_path):
    np.save(tmp_path / "map.npy", label_map(48, 64))
    model = str(denoiser().save(tmp_path / "painter.safetensors"))
    labels = open_image(tmp_path / "map.npy")
    bent = nt.derive_labels(labels, elastic=3, move=4, resize=1.2, objects=[4], seed=2)
    scene = nt.synthesize(bent, model, steps=2, seed=5, classes={"4": "wall"})
    changed = np.array(bent)
    changed[10:20, 10:20] = 1
    np.save(tmp_path / "changed.npy", changed)
    other = open_image(tmp_path / "changed.npy")
    path = nt.repaint(scene, other, margin=4).save(tmp_path / "scene.ome.zarr")
    told = explain(path)
    assert [step["step"] for step in told.steps] == ["derive_labels", "synthesize", "repaint"]
    text = " ".join(str(told).split())
    for expected in ("steps 2", "changed.npy", "semantic_sr3", "objects 1 of", "on cpu in float32"):
        assert expected in text, expected
    assert "exact" not in text, "it is drawn, not run in tiles"
    assert "unknown" not in text
    np.testing.assert_array_equal(run(told.python, "result_3"), np.asarray(open_image(path)))


def test_layers_and_rasters_are_explained(saved, plain):
    raster = open_image(saved)
    data, options, _ = raster.to_layer()
    for image in (raster, Image(data, **options)):
        assert explain(image).steps == explain(saved).steps
    lazy = stain(Raster.from_array(IMAGE, "cyx", name="scan"), plain)
    told = explain(lazy)
    assert "signature" in told.steps[0]["sources"][0]
    assert "not yet, or not recorded" in str(told)
    assert "from memory" in str(told)


def test_what_no_file_holds_is_left_open_in_the_python(plain):
    code = explain(stain(Raster.from_array(IMAGE, "cyx", name="scan"), plain)).python
    assert "image_1 = ...  # 'scan', cyx 2 × 61 × 50 uint8: it was in memory" in code
    assert f"model_1 = ...  # 'small', a model of your own, SHA-256 {plain.fingerprint}" in code
    compile(code, "code", "exec")


def test_values_that_were_given_come_from_the_result(tmp_path, normed):
    image = Raster.from_array(IMAGE, "cyx", name="scan")
    first = stain(image, normed, context="exact", tile=16)
    first.compute()
    path = stain(image, normed, context=first, tile=16).save(tmp_path / "a.ome.zarr")
    assert f"context=nt.open_image({str(path)!r})" in explain(path).python


def test_events_and_warnings_are_told(tmp_path):
    raster = Raster.from_array(
        IMAGE[0], "yx", name="r",
        provenance={
            "licence": "CC0",
            "steps": [{"step": "stain", "model": "m", "image": "old"}],
            "events": ["out of memory: batch halved to 2"], "warning": "objects may be cut",
            "device": "cuda", "precision": "bfloat16", "tile": [512, 256], "exact": False,
            "values": {"0": {"how": {"context": "sampled", "tiles": 8, "of_tiles": 90,
                                     "halves_differ": 0.013}}},
        },
    )  # fmt: skip
    text = " ".join(str(explain(raster.save(tmp_path / "a.ome.zarr"))).split())
    for expected in (
        "licence CC0", "event out of memory: batch halved to 2", "warning objects may be cut",
        "on cuda in bfloat16, tiles of 512 × 256 pixels", "exact no",
        "values sampled from 8 of 90 tiles, two halves of which differ by 0.013",
    ):  # fmt: skip
        assert expected in text, expected


@pytest.mark.parametrize("name", ["a.npy", "b.ome.tif"])
def test_files_of_others_say_that_nothing_is_recorded(tmp_path, name):
    import tifffile

    path = tmp_path / name
    np.save(path, IMAGE) if name == "a.npy" else tifffile.imwrite(path, IMAGE, ome=True)
    told = explain(path)
    assert told.steps == ()
    assert told.python == ""
    assert "not recorded" in str(told)
    assert "not recorded" in str(explain(IMAGE[0]))


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match="no file or folder /no/where"):
        explain("/no/where.ome.zarr")


def test_an_unknown_step_is_left_as_a_comment(tmp_path):
    raster = Raster.from_array(IMAGE[0], "yx", provenance={"steps": [{"step": "dream"}]})
    told = explain(raster)
    assert "1. dream" in str(told)
    assert "step 1, 'dream', is not known" in told.python
