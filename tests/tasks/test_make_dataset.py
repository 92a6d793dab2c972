from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painters import at_once, denoiser, label_map
from PIL import Image
from translations import NARROW, narrowed

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError, OutputError, TinctureWarning
from napari_tincture.models.model import Model
from napari_tincture.progress import CancelToken
from napari_tincture.training.presets import preset

MOVED = {"elastic": 3, "move": 12, "turn": 90, "objects": "cell"}


@pytest.fixture(scope="module")
def model() -> Model:
    return at_once()


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    folder = tmp_path / "maps"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(label_map(seed=number)).save(folder / f"m{number}.png")
    return folder


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "dataset.json").read_text("utf-8"))
    return found


def pixels(path: Path) -> np.ndarray:
    return np.asarray(nt.open_image(path))


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_image_is_that_of_its_own_label_file(maps: Path, model: Model, tmp_path: Path) -> None:
    out = tmp_path / "set"
    report = nt.make_dataset(maps, model, out, variants=2, derive=MOVED, seed=5)
    assert report.summary == "4 done."
    record = told(out)
    assert list(record["images"]) == ["m0_00", "m0_01", "m1_00", "m1_01"]
    assert {path.name for path in (out / "images").iterdir()} == {
        f"{n}.png" for n in record["images"]
    }
    for name, entry in record["images"].items():
        labels = pixels(out / entry["labels"])
        expected = nt.synthesize(labels, model, seed=entry["seed"])
        np.testing.assert_array_equal(pixels(out / entry["images"]), np.asarray(expected))
        source = label_map(seed=int(name[1]))
        derived = nt.derive_labels(source, model=model, seed=entry["seed"], **MOVED)
        np.testing.assert_array_equal(labels, np.asarray(derived))
        assert (labels != source).any()
        for side, digest in entry["sha256"].items():
            assert hashlib.sha256((out / entry[side]).read_bytes()).hexdigest() == digest
    assert len({entry["seed"] for entry in record["images"].values()}) == 4
    steps = nt.synthesize(label_map(), model).provenance["steps"]
    assert record["model"]["fingerprint"] == steps[-1]["weights"]
    assert record["classes"][1] == {"value": 1, "name": "cell", "colour": "#f58518"}
    assert record["derive"] == MOVED


def test_the_seed_of_an_image_is_that_of_a_diffusion(tmp_path: Path) -> None:
    painter = denoiser()
    out = tmp_path / "set"
    nt.make_dataset([label_map()], painter, out, variants=2, steps=2, seed=1)
    first, second = told(out)["images"].values()
    assert (pixels(out / first["images"]) != pixels(out / second["images"])).any()
    expected = nt.synthesize(label_map(), painter, steps=2, seed=second["seed"])
    np.testing.assert_array_equal(pixels(out / second["images"]), np.asarray(expected))


def test_the_same_call_makes_what_is_missing_with_the_same_bytes(
    maps: Path, model: Model, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "set"
    settings = {"variants": 3, "derive": MOVED}
    nt.make_dataset(maps, model, whole, **settings)
    token, seen = CancelToken(), []

    def stop(step: nt.BatchProgress) -> None:
        seen.append(step.image)
        if step.done == 4:
            token.cancel()

    with pytest.raises(Cancelled):
        nt.make_dataset(maps, model, out, **settings, progress=stop, cancel=token)
    assert len(told(out)["images"]) == 4
    (out / "labels" / "m0_01.png").unlink()
    (out / "images" / "m1_02.png.1234abcd.partial").write_bytes(b"half")
    report = nt.make_dataset(maps, model, out, **settings)
    assert report.summary == "3 done, 3 skipped."
    assert files(out) == files(whole)
    assert nt.make_dataset(maps, model, out, **settings).summary == "6 skipped."


def test_more_variants_and_more_maps_add_to_what_is_there(
    maps: Path, model: Model, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    nt.make_dataset(maps, model, out)
    before = files(out / "images")
    Image.fromarray(label_map(seed=7)).save(maps / "a-new-one.png")
    report = nt.make_dataset(maps, model, out, variants=2)
    assert report.summary == "4 done, 2 skipped."
    assert before.items() <= files(out / "images").items()


def test_other_arguments_and_other_folders_are_refused(
    maps: Path, model: Model, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    nt.make_dataset(maps, model, out, derive={"elastic": 2})
    before = files(out)
    for changed, said in (
        ({"derive": {"elastic": 3}}, r"derive.elastic: 2 → 3"),
        ({"derive": {"elastic": 2}, "seed": 1}, r"seed: 0 → 1"),
        ({"derive": {"elastic": 2}, "dtype": "uint16"}, r"settings.dtype: None → 'uint16'"),
        ({}, r"derive: .* → None"),
    ):
        with pytest.raises(OutputError, match=f"{said}.*Choose another folder"):
            nt.make_dataset(maps, model, out, **changed)
    assert files(out) == before
    with pytest.raises(OutputError, match="not empty, and holds no dataset"):
        nt.make_dataset([label_map()], model, maps)


def test_a_changed_map_or_a_painted_file_is_told_and_left_alone(
    maps: Path, model: Model, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    nt.make_dataset(maps, model, out)
    Image.fromarray(label_map(seed=9)).save(maps / "m0.png")
    painted = np.ones((48, 60), np.uint8)
    Image.fromarray(painted).save(out / "labels" / "m1_00.png")
    report = nt.make_dataset(maps, model, out)
    first, second = (failure.reason for failure in report.failed)
    assert "m0_00 was made of something else: map.sample" in first
    assert "m1_00.png was changed since" in second
    np.testing.assert_array_equal(pixels(out / "labels" / "m1_00.png"), painted)


def test_a_map_that_does_not_fit_stops_no_other(maps: Path, model: Model, tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 9, np.uint8)).save(maps / "a.png")
    out = tmp_path / "set"
    report = nt.make_dataset(maps, model, out)
    (failure,) = report.failed
    assert "9 (400 px)" in failure.reason
    assert list(told(out)["images"]) == ["m0_00", "m1_00"]
    assert not (out / "labels" / "a_00.png").exists()


def test_ome_zarr_keeps_place_and_pixel_size(model: Model, tmp_path: Path) -> None:
    stack = np.stack([label_map(seed=n) for n in range(2)])
    given = nt.open_image(stack, axes="zyx", scale=(2, 0.25, 0.25), units="um")
    out = tmp_path / "set"
    nt.make_dataset([given], model, out, format="ome-zarr", dtype="float32")
    (entry,) = told(out)["images"].values()
    image, labels = (nt.open_image(out / entry[side]) for side in ("images", "labels"))
    assert image.scale == labels.scale == given.scale
    assert (image.dtype, labels.kind) == (np.float32, "labels")
    np.testing.assert_array_equal(np.asarray(labels), stack)
    assert entry["pixel_size"] == [0.25, 0.25]
    assert nt.make_dataset([given], model, out, format="ome-zarr", dtype="float32").skipped


def test_deep_and_coloured_images_and_large_values(tmp_path: Path) -> None:
    grey, colour = denoiser(), denoiser(outputs=3)
    labels = label_map().astype(np.int32)
    labels[labels == 4] = 900
    classes = {900: "wall"}
    out = tmp_path / "deep"
    nt.make_dataset([labels], grey, out, steps=1, dtype="uint16", classes=classes)
    (entry,) = told(out)["images"].values()
    assert pixels(out / entry["images"]).dtype == np.uint16
    np.testing.assert_array_equal(pixels(out / entry["labels"]), labels)
    assert told(out)["classes"][2] == {
        "value": 4, "name": "wall", "colour": "#54a24b", "also": [900],
    }  # fmt: skip
    out = tmp_path / "colour"
    nt.make_dataset([label_map()], colour, out, steps=1)
    (entry,) = told(out)["images"].values()
    expected = nt.synthesize(label_map(), colour, steps=1, seed=entry["seed"])
    np.testing.assert_array_equal(pixels(out / entry["images"]), np.asarray(expected))


def test_what_png_cannot_hold_is_told_before_anything_is_drawn(
    model: Model, tmp_path: Path
) -> None:
    stack = np.stack([label_map()] * 2)
    for number, (labels, settings) in enumerate(
        [
            (nt.open_image(stack, axes="zyx"), {}),
            (label_map(), {"dtype": "float32"}),
            (label_map().astype(np.int32) - 1, {"classes": {-1: None, 3: None}}),
            (label_map().astype(np.int32) * 10**6, {"classes": {10**6: "cell", 4 * 10**6: "wall"}}),
        ]
    ):
        out = tmp_path / str(number)
        (failure,) = nt.make_dataset([labels], model, out, **settings).failed
        assert isinstance(failure.error, OutputError), failure.reason
        assert not (out / "images").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variants": 0}, "variants=0: expected a whole number from 1"),
        ({"format": "jpeg"}, "format='jpeg': expected 'png' or 'ome-zarr'"),
        ({"seed": -1}, "seed=-1"),
        ({"derive": {"elastik": 3}}, r"derive_labels has no settings \['elastik'\]"),
        ({"derive": {"elastic": -3}}, "elastic=-3"),
        ({"derive": {"move": 3}}, "no objects are named"),
        ({"derive": {"onto": 0}}, "Nothing is to be changed"),
        ({"derive": "elastic"}, "derive='elastic'"),
        ({"region": None}, r"synthesize has no settings \['region'\]"),
    ],
)
def test_arguments_that_cannot_be_right_leave_no_folder(
    settings: dict[str, Any], message: str, model: Model, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        nt.make_dataset([label_map()], model, tmp_path / "set", **settings)
    assert not (tmp_path / "set").exists()


def test_the_folders_train_a_segmentation_as_pairs(
    maps: Path, model: Model, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    nt.make_dataset(maps, model, out, variants=2, derive={"flip": True, "elastic": 2})
    options = {"classes": told(out)["classes"], "unlabelled": -1}
    recipe = narrowed(
        preset("segmentation", "tiny", crop=32, steps=2, save_every=2, validate_every=2,
               options=options)
    ).replace(data={"pairs": {"a": {"images": "images"}, "b": {"images": "labels"}}})  # fmt: skip
    with pytest.warns(TinctureWarning, match="no better than a constant"):
        found = nt.train(recipe, data=out, out=tmp_path / "mine.safetensors", device="cpu")
    assert [channel.name for channel in found.card.outputs] == ["field", "cell", "wall"]
    assert NARROW["width"] == 4
