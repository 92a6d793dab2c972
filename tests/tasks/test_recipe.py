"""A recipe, its Python and its command make the same files."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from models import image_of
from painters import denoiser, label_map

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.models import Channel, Model, ModelCard, Normalisation
from napari_tincture.models.registry import build_network
from napari_tincture.tasks import recipe as recipes
from napari_tincture.tasks.recipe import Recipe, as_image
from napari_tincture.tasks.run import run

IMAGE = image_of((2, 61, 50))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    np.save(tmp_path / "scan.npy", IMAGE)
    nt.open_image(tmp_path / "scan.npy", axes="cyx").save(tmp_path / "my scan.ome.tif")
    return tmp_path / "my scan.ome.tif"


def bytes_of(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def command(line: str) -> str:
    name, *words = shlex.split(line)
    assert name == "napari-tincture"
    program = [sys.executable, "-m", "napari_tincture.cli", *words]
    return subprocess.run(program, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """File of a network of two channels, with random weights."""
    options = {"in_channels": 2, "out_channels": 2, "depth": 1, "width": 4, "padded": True}
    torch.manual_seed(0)
    channels = (Channel("a"), Channel("b"))
    card = ModelCard(
        name="small", task="stain", architecture="unet", options=options, inputs=channels,
        outputs=channels, normalisation=Normalisation("percentile", 1.0, 99.0),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return str(Model(build_network("unet", options), card).save(path))


@pytest.fixture
def found(scan: Path, model: str) -> Recipe:
    return Recipe("stain", (as_image(scan),), model, {"region": {"y": [8, 61]}, "tile": 32})


@pytest.mark.slow
def test_recipe_python_and_command_give_the_same_bytes(found: Recipe, tmp_path: Path) -> None:
    made = []
    for place, do in enumerate(
        (run, lambda each: exec(each.python, {}), lambda each: command(each.command))
    ):
        target = tmp_path / f"{place}.ome.zarr"
        do(found.replace(save_to=str(target)))
        made.append(bytes_of(target))
    assert made[0]
    assert made[0] == made[1] == made[2]


def test_a_recipe_survives_json_and_files(found: Recipe, tmp_path: Path) -> None:
    assert Recipe.load(found.to_json()) == found
    assert Recipe.load(found.to_dict()) == found
    path = found.replace(save_to="a.ome.zarr", overwrite=True).save(tmp_path / "a.recipe.json")
    assert Recipe.load(path) == found.replace(save_to="a.ome.zarr", overwrite=True)
    assert json.loads(path.read_text())["images"] == [found.images[0]["path"]]  # type: ignore[index]
    with pytest.raises(InputError, match="cannot be read"):
        Recipe.load(tmp_path / "none.json")


def test_images_in_memory_are_given_when_it_is_run(found: Recipe) -> None:
    open_ = found.replace(images=(None,))
    expected = np.asarray(nt.stain(IMAGE_RASTER, found.model, **found.settings))
    np.testing.assert_array_equal(np.asarray(run(open_, IMAGE_RASTER)), expected)
    with pytest.raises(InputError, match=r"Image 1 of this recipe was in memory.*nt.run"):
        run(open_)
    with pytest.raises(InputError, match=r"Image 1 is in memory.*Save it"):
        open_.command  # noqa: B018 - it raises
    assert "image = ...  # it was in memory" in open_.python


IMAGE_RASTER = nt.Raster.from_array(IMAGE, "cyx", name="scan")


@pytest.mark.slow
def test_settings_may_speak_of_further_images(scan: Path, model: str, tmp_path: Path) -> None:
    second = nt.open_image(scan).plane(c=1)
    found = Recipe(
        "stain", (as_image(scan), as_image(second)), model,
        {"channels": [["c", 1], {"source": 1}]}, str(tmp_path / "a.ome.zarr"),
    )  # fmt: skip
    image = nt.open_image(scan)
    expected = np.asarray(nt.stain(image, model, channels=[("c", 1), image.plane(c=1)]))
    np.testing.assert_array_equal(np.asarray(run(found)), expected)
    # What takes more than a word is JSON on the command line, too.
    line = found.replace(save_to=str(tmp_path / "b.ome.zarr")).command
    assert "napari-tincture run" in line
    command(line)
    assert bytes_of(tmp_path / "a.ome.zarr") == bytes_of(tmp_path / "b.ome.zarr")
    with pytest.raises(InputError, match="speaks of image 4, and there are 2"):
        run(found.with_settings(channels=[0, {"source": 3}]))


@pytest.mark.slow
def test_a_folder_is_done_image_by_image(scan: Path, model: str, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a", "b"):
        nt.open_image(scan).save(folder / f"{name}.ome.tif")
    found = Recipe("stain", (), model, {"tile": 32}, str(tmp_path / "out"), folder=str(folder))
    report = run(found)
    assert [each.path.name for each in report.done] == ["a.ome.zarr", "b.ome.zarr"]
    told = command(found.command)
    assert "2 skipped" in told
    assert "nt.batch(" in found.python
    with pytest.raises(InputError, match="takes no other images"):
        run(found, IMAGE)


@pytest.mark.slow
def test_comparisons_are_written_as_reports_and_tables(scan: Path, tmp_path: Path) -> None:
    images = (as_image(scan), as_image(scan))
    found = Recipe("compare", images, settings={"metrics": ["psnr", "ssim"]})
    assert run(found).table[0]["ssim"] == 1
    for suffix in (".csv", ".md", ".html"):
        target = tmp_path / f"a{suffix}"
        made = found.replace(save_to=str(target))
        run(made)
        before = target.read_bytes()
        exec(made.python, {})
        assert target.read_bytes() == before
    told = command(found.command)
    assert "ssim" in told
    # A mask beside image and reference.
    mask = np.zeros((61, 50), np.uint8)
    mask[10:40, 10:40] = 1
    np.save(tmp_path / "mask.npy", mask)
    masked = found.replace(images=(*images, as_image(tmp_path / "mask.npy"))).with_settings(
        reference={"source": 1}, mask={"source": 2}
    )
    expected = nt.compare([scan], scan, metrics=["psnr", "ssim"], mask=mask)
    assert run(masked).table == expected.table
    scope: dict[str, object] = {}
    exec(masked.python, scope)
    assert scope["found"].table == expected.table  # type: ignore[attr-defined]
    assert expected.to_markdown() in command(masked.command)
    with pytest.raises(InputError, match=r"\.csv, .*got 'a\.doc'"):
        run(found.replace(save_to="a.doc"))
    with pytest.raises(InputError, match="an image and a reference"):
        run(found.replace(images=images[:1]))


def test_what_cannot_be_right_is_refused() -> None:
    for values, message in (
        ({"task": "dream"}, "Unknown task 'dream'"),
        ({"task": "stain"}, "needs a model"),
        ({"task": "train"}, "the training's own"),
        ({"task": "stain", "model": "a", "folder": "b"}, "set save_to"),
    ):
        with pytest.raises(InputError, match=message):
            Recipe(**values)
    with pytest.raises(InputError, match="no setting 'tiel'; did you mean 'tile'"):
        run(Recipe("stain", (None,), "nuclei", {"tiel": 3}))
    good = Recipe("stain", (None,), "nuclei").to_dict()
    for values, message in (
        ({}, "does not say"),
        ({**good, recipes.KEY: recipes.VERSION + 1}, "Update napari-tincture"),
        ({**good, "strange": 1}, "strange"),
        ({**good, "images": [3]}, "3 is no image"),
    ):
        with pytest.raises(InputError, match=message):
            Recipe.load(values)
    for text, message in (("{", "not valid JSON"), ("[1]", "cannot be read")):
        with pytest.raises(InputError, match=message):
            Recipe.load(text)


def test_a_result_s_step_is_a_recipe(tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", label_map(40, 48))
    model = str(denoiser().save(tmp_path / "painter.safetensors"))
    path = nt.synthesize(nt.open_image(tmp_path / "map.npy"), model, steps=2, seed=4).save(
        tmp_path / "a.ome.zarr"
    )
    found = Recipe.of_step(nt.explain(path).steps[-1])
    assert found.settings["seed"] == 4
    run(found.replace(save_to=str(tmp_path / "b.ome.zarr")))
    np.testing.assert_array_equal(
        np.asarray(nt.open_image(tmp_path / "b.ome.zarr")), np.asarray(nt.open_image(path))
    )
    other = run(found.with_settings(seed=5))
    assert (np.asarray(other) != np.asarray(nt.open_image(path))).any()
    with pytest.raises(InputError, match="dream"):
        Recipe.of_step({"step": "dream"})
