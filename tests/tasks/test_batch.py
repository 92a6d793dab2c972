"""Many images give what each of them gives alone, and one that fails stops no other."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
import zarr
from models import image_of, model_of
from networks import Fn, conv
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models.v05 import HCS
from PIL import Image
from plates import write_plate

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError, OutputError, TinctureError
from napari_tincture.models import Normalisation
from napari_tincture.progress import CancelToken
from napari_tincture.tasks.find import find_task

FORMATS = ("a.png", "b.tif", "c.npy", "d.ome.zarr")


def one_channel(task="stain", **card):
    torch.manual_seed(1)
    network = Fn(lambda self, x: torch.sigmoid(self.a(x)), a=conv(1, 3 if task == "segment" else 1))
    outputs = 3 if task == "segment" else 1
    scale = Normalisation("range", 0, 255)
    return model_of(network, 1, outputs, task=task, normalisation=scale, **card)


@pytest.fixture(scope="module")
def model():
    return one_channel()


@pytest.fixture
def folder(tmp_path):
    """One image per format, all different."""
    path = tmp_path / "in"
    path.mkdir()
    images = [image_of((50 + i, 61), seed=i) for i in range(4)]
    Image.fromarray(images[0]).save(path / "a.png")
    tifffile.imwrite(path / "b.tif", images[1])
    np.save(path / "c.npy", images[2])
    nt.open_image(images[3]).save(path / "d.ome.zarr")
    return path


def names(results):
    return [each.path.name for each in results]


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_each_result_is_that_of_the_image_alone(folder, model, tmp_path, suffix):
    report = nt.batch(folder, "stain", model, tmp_path / "out", suffix=suffix, tile=32)
    assert names(report.done) == [f"{stem}{suffix}" for stem in "abcd"]
    assert report.skipped == report.failed == ()
    report.raise_for_failures()
    for name, result in zip(FORMATS, report.done, strict=True):
        expected = nt.stain(folder / name, model, tile=32).compute()
        np.testing.assert_array_equal(np.asarray(nt.open_image(result.path)), expected)


def test_segment_takes_its_settings(folder, tmp_path):
    finder = one_channel("segment")
    out = tmp_path / "out"
    report = nt.batch(folder, "segment", finder, out, output="classes", pattern="*.png")
    (found,) = report.done
    expected = nt.segment(folder / "a.png", finder, output="classes").compute()
    result = nt.open_image(found.path)
    assert result.kind == "labels"
    np.testing.assert_array_equal(np.asarray(result), expected)


def test_damaged_images_are_told_at_the_end(folder, model, tmp_path):
    (folder / "a.png").write_bytes(b"no image")
    (folder / "b.tif").write_bytes((folder / "b.tif").read_bytes()[:200])
    np.save(folder / "c2.npy", np.zeros((2, 9, 9), "u1"))
    missing = folder / "gone.png"
    images = [*sorted(folder.iterdir()), missing]
    report = nt.batch(images, "stain", model, tmp_path / "out")
    assert names(report.done) == ["c.ome.zarr", "d.ome.zarr"]
    reasons = {each.image.split("/")[-1]: each.reason for each in report.failed}
    assert list(reasons) == ["a.png", "b.tif", "c2.npy", "gone.png"]
    assert "cannot be read" in reasons["a.png"]
    assert "axes" in reasons["c2.npy"]
    assert "There is no file" in reasons["gone.png"]
    text = str(report)
    assert text.splitlines()[-1] == "2 done, 4 failed."
    assert all(f"failed   {each.image}" in text for each in report.failed)
    with pytest.raises(TinctureError, match=r"4 of 6 images failed.*\n.*a\.png: .*cannot") as info:
        report.raise_for_failures()
    assert len(info.value.__cause__.exceptions) == 4
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"c.ome.zarr", "d.ome.zarr"}


def test_a_second_run_does_what_is_left(folder, model, tmp_path):
    good = (folder / "b.tif").read_bytes()
    (folder / "b.tif").write_bytes(b"no image")
    out = tmp_path / "out"
    first = nt.batch(folder, "stain", model, out)
    (folder / "b.tif").write_bytes(good)
    before = {p: (p / "zarr.json").stat().st_mtime_ns for p in out.iterdir()}
    second = nt.batch(folder, "stain", model, out)
    assert names(second.skipped) == names(first.done) == [f"{s}.ome.zarr" for s in "acd"]
    assert names(second.done) == ["b.ome.zarr"]
    assert {p: (p / "zarr.json").stat().st_mtime_ns for p in before} == before


CHANGES = {
    "settings": ({"tile": 32}, "settings.tile: None → 32"),
    "channels": ({"channels": [0]}, "settings.channels"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_results_of_other_settings_are_not_taken_for_finished(folder, model, tmp_path, change):
    out = tmp_path / "out"
    nt.batch(folder, "stain", model, out, pattern="*.png")
    settings, reason = CHANGES[change]
    report = nt.batch(folder, "stain", model, out, pattern="*.png", **settings)
    (failure,) = report.failed
    assert isinstance(failure.error, OutputError)
    assert reason in failure.reason
    again = nt.batch(folder, "stain", model, out, pattern="*.png", existing="overwrite", **settings)
    assert names(again.done) == ["a.ome.zarr"]


def test_results_of_another_model_or_image_are_not_taken_for_finished(folder, model, tmp_path):
    out = tmp_path / "out"
    nt.batch(folder, "stain", model, out, pattern="*.png")
    other = one_channel(output_range=(0.0, 2.0))
    (failure,) = nt.batch(folder, "stain", other, out, pattern="*.png").failed
    assert "weights: " in failure.reason
    Image.fromarray(image_of((50, 61), seed=9)).save(folder / "a.png")
    (failure,) = nt.batch(folder, "stain", model, out, pattern="*.png").failed
    assert "image.sample: " in failure.reason
    nt.open_image(folder / "a.png").save(out / "a.ome.zarr", overwrite=True)
    (failure,) = nt.batch(folder, "stain", model, out, pattern="*.png").failed
    assert "does not say how it was made" in failure.reason


def test_existing_results_can_be_errors(folder, model, tmp_path):
    out = tmp_path / "out"
    assert len(nt.batch(folder, "stain", model, out, existing="error").done) == 4
    report = nt.batch(folder, "stain", model, out, existing="error")
    assert [type(each.error) for each in report.failed] == [OutputError] * 4
    assert "exists" in report.failed[0].reason


def test_names_that_clash_and_images_without_a_path(folder, model, tmp_path):
    Image.fromarray(image_of((40, 40), seed=8)).save(folder / "b.png")
    array = image_of((40, 40), seed=7)
    images = [folder / "b.tif", folder / "b.png", array, array]
    report = nt.batch(images, "stain", model, tmp_path / "out")
    expected = ["b_tif", "b_png", "image-003", "image-004"]
    assert names(report.done) == [f"{name}.ome.zarr" for name in expected]
    again = nt.batch(images, "stain", model, tmp_path / "out")
    assert len(again.skipped) == 4


def test_an_image_is_never_its_own_result(folder, model):
    report = nt.batch([folder / "d.ome.zarr"], "stain", model, folder, existing="overwrite")
    assert "is the image itself" in report.failed[0].reason
    assert nt.open_image(folder / "d.ome.zarr").shape == (53, 61)
    with pytest.raises(InputError, match="Choose another folder for the results"):
        nt.batch(folder, "stain", model, folder)


class Watch:
    """Remembers every step; cancels, or interrupts, after a number of them."""

    def __init__(self, token=None, after=None, raises=None):
        self.steps, self.token, self.after, self.raises = [], token, after, raises

    def __call__(self, step):
        self.steps.append(step)
        if self.after is not None and self.after(step):
            if self.raises is not None:
                raise self.raises
            self.token.cancel()


def test_progress_counts_images_and_tiles(folder, model, tmp_path, capsys):
    watch = Watch()
    nt.batch(folder, "stain", model, tmp_path / "out", tile=32, progress=watch)
    assert [s.done for s in watch.steps] == sorted(s.done for s in watch.steps)
    assert {s.images for s in watch.steps} == {4}
    tiles = [(s.tiles, s.all_tiles) for s in watch.steps if s.image.endswith("a.png")]
    assert tiles == [(0, 0), (0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert (watch.steps[-1].done, watch.steps[-1].image) == (4, "")
    nt.batch(folder, "stain", model, tmp_path / "bar", progress=True)
    error = capsys.readouterr().err
    assert "2/4" in error
    assert error.endswith("4 of 4 images\n")


@pytest.mark.parametrize("kind", ["cancel", "interrupt"])
def test_what_is_complete_stays_when_it_stops(folder, model, tmp_path, kind):
    token = CancelToken()
    out = tmp_path / "out"
    raises = KeyboardInterrupt() if kind == "interrupt" else None
    watch = Watch(token, lambda step: step.done == 2 and step.tiles == 1, raises)
    expected = KeyboardInterrupt if raises else Cancelled
    with pytest.raises(expected) as info:
        nt.batch(folder, "stain", model, out, tile=32, progress=watch, cancel=token)
    if not raises:
        assert info.value.__notes__ == ["2 of 4 images were worked on before."]
    assert {p.name for p in out.iterdir()} == {"a.ome.zarr", "b.ome.zarr"}
    rest = nt.batch(folder, "stain", model, out, tile=32)
    assert names(rest.skipped) == ["a.ome.zarr", "b.ome.zarr"]
    assert names(rest.done) == ["c.ome.zarr", "d.ome.zarr"]


def test_the_model_is_read_once(folder, model, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    nt.load_model("nuclei").save(path)
    read = []
    from napari_tincture.models import model as module

    load = module.load_weights
    monkeypatch.setattr(module, "load_weights", lambda *a: read.append(a) or load(*a))
    report = nt.batch(
        folder, "segment", path, tmp_path / "out", output="classes", pixel_size="ignore"
    )
    assert (len(report.done), len(read)) == (4, 1)


def test_what_can_never_work_is_refused_at_once(folder, model, tmp_path):
    out = tmp_path / "out"
    refused = [
        ({"task": "paint"}, r"no task 'paint'"),
        ({"task": "channels"}, r"no task 'channels'"),
        ({"task": "segment"}, r"is made to stain, not to segment"),
        ({"suffix": ".png"}, r"suffix='.png': expected one of .ome.zarr, .ome.tif"),
        ({"existing": "ask"}, r"existing='ask': expected 'skip'"),
        ({"halo": 3}, r"stain has no settings \['halo'\]; expected some of \['channels'"),
    ]
    for arguments, message in refused:
        with pytest.raises(InputError, match=message):
            nt.batch(
                **{"images": folder, "task": "stain", "model": model, "folder": out} | arguments
            )
    assert not out.exists()
    assert find_task("stain") is nt.stain


class Client:
    """What a client is to `save`: something that is handed on."""


def test_a_client_is_handed_on(folder, model, tmp_path, monkeypatch):
    seen = []
    from napari_tincture.raster import Raster

    monkeypatch.setattr(Raster, "save", lambda self, path, **options: seen.append(options))
    client = Client()
    nt.batch(folder, "stain", model, tmp_path / "out", client=client)
    assert [options["client"] for options in seen] == [client] * 4
    nt.batch(folder, "stain", model, tmp_path / "out")
    assert all("client" not in options for options in seen[4:])


# Plates


def check_plate(path, wells, fields):
    """Valid to ome-zarr-models, and seen whole by ome-zarr-py."""
    plate = HCS.from_zarr(zarr.open_group(str(path), mode="r"))
    found = {
        place.path: [image.path for image in well.ome_attributes.well.images]
        for place, well in zip(plate.ome_attributes.plate.wells, plate.well_groups, strict=True)
    }
    assert found == dict.fromkeys(wells, fields)
    nodes = list(Reader(parse_url(str(path)))())
    assert nodes
    return nodes[0]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("task", ["stain", "segment"])
def test_a_plate_gives_a_plate(tmp_path, version, task):
    wells, fields = ("A/1", "A/3", "B/2"), ["0", "1"]
    plate = write_plate(tmp_path / "assay.zarr", version, wells)
    model = one_channel(task)
    settings = {"output": "classes"} if task == "segment" else {}
    report = nt.batch(plate, task, model, tmp_path / "out", **settings)
    assert len(report.done) == 6, str(report)
    target = tmp_path / "out" / "assay.ome.zarr"
    node = check_plate(target, wells, fields)
    assert tuple(node.data[0].shape[-2:]) == (2 * 70, 3 * 60)
    for well in wells:
        for field in fields:
            result = nt.open_image(target / well / field)
            source = nt.open_image(plate / well / field)
            expected = getattr(nt, task)(source, model, **settings).compute()
            np.testing.assert_array_equal(np.asarray(result), expected)
            assert result.scale == source.scale == (0.5, 0.25)
            assert result.units == source.units
    assert len(nt.batch(plate, task, model, tmp_path / "out", **settings).skipped) == 6


def test_a_plate_with_damaged_fields_is_valid_without_them(tmp_path, model):
    plate = write_plate(tmp_path / "assay.zarr")
    (plate / "A" / "1" / "0" / "zarr.json").write_text("{")
    (plate / "B" / "2" / "zarr.json").unlink()
    report = nt.batch([plate], "stain", model, tmp_path / "out")
    assert [each.image for each in report.failed] == [f"{plate}/A/1/0", f"{plate}/B/2"]
    target = tmp_path / "out" / "assay.ome.zarr"
    found = HCS.from_zarr(zarr.open_group(str(target), mode="r"))
    listed = [[image.path for image in w.ome_attributes.well.images] for w in found.well_groups]
    assert listed == [["1"], ["0", "1"]]
