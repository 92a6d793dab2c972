"""The command line: what it says, writes and returns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import napari_tincture as nt
from napari_tincture.cli.app import app
from napari_tincture.models.shipped import VARIABLE
from napari_tincture.tasks.recipe import Recipe


def ask(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=typed)


@pytest.mark.slow
def test_headless_work_loads_neither_napari_nor_qt(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from napari_tincture.cli.app import app\n"
        "assert 'torch' not in sys.modules, 'help is quick'\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print({'napari', 'qtpy', 'PyQt6', 'PySide6'} & set(sys.modules), file=sys.stderr)\n"
    )
    words = ["segment", "sample:nuclei", "nuclei", "--out", str(tmp_path / "a.ome.zarr")]
    words += ["--set", 'region={"y": [0, 64], "x": [0, 64]}']
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=300,
        check=True,
    )  # fmt: skip
    assert done.stderr.strip().endswith("set()")
    assert done.stdout.strip() == str(tmp_path / "a.ome.zarr")


def test_results_are_told_as_json_and_failures_in_one_line(tmp_path: Path) -> None:
    out, recipe = str(tmp_path / "a.ome.zarr"), tmp_path / "a.recipe.json"
    words = ["segment", "sample:nuclei", "nuclei", "-o", out, "--output", "probabilities"]
    words += ["--set", 'region={"y": [0, 40], "x": [0, 40]}', "--recipe", str(recipe), "--json"]
    told = json.loads(ask(*words).stdout)
    assert told["results"]["result"]["path"] == out
    assert told["results"]["result"]["shape"] == [3, 40, 40]
    assert Recipe.load(recipe).to_dict() == told["recipe"]
    again = ask(*words)
    assert again.exit_code == 1
    assert again.stderr.splitlines() == [again.stderr.strip()]
    assert "exists" in again.stderr
    assert ask(*words, "--overwrite").exit_code == 0
    assert ask("run", str(recipe), "-o", str(tmp_path / "b.ome.zarr"), "-q").exit_code == 0
    found = [np.asarray(nt.open_image(tmp_path / name)) for name in ("a.ome.zarr", "b.ome.zarr")]
    np.testing.assert_array_equal(*found)
    explained = ask("explain", out)
    assert "1. segment" in explained.stdout
    assert "nt.segment(" in ask("explain", out, "--python").stdout
    assert json.loads(ask("explain", out, "--json").stdout)["steps"][0]["step"] == "segment"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["segment", "sample:nobody", "nuclei", "-o", "a.ome.zarr"], 1, "no sample 'nobody'"),
        (["segment", "none.tif", "nuclei", "-o", "a.ome.zarr"], 1, "none.tif"),
        (["segment", "sample:nuclei", "nobody", "-o", "a.ome.zarr"], 1, "Unknown model 'nobody'"),
        (["segment", "sample:nuclei", "nuclei"], 2, "--out"),
        (["stain", "a.tif", "nuclei", "-o", "a.ome.zarr", "--set", "tile"], 1, "NAME=VALUE"),
        (["run", "none.json"], 1, "cannot be read"),
        (["train", "none.json"], 1, "none.json cannot be read"),
        (["train", "nobody"], 1, "nobody"),
        (["metrics", "--of", "dreams"], 2, "dreams"),
        (["dream"], 2, "No such command"),
    ],
)
def test_what_is_wrong_is_named_with_an_exit_code(words: list[str], code: int, text: str) -> None:
    found = ask(*words)
    assert found.exit_code == code
    assert text in found.stderr


def test_a_recipe_without_a_file_for_its_result_asks_for_one(tmp_path: Path) -> None:
    path = Recipe("segment", (None,), "nuclei").save(tmp_path / "a.recipe.json")
    found = ask("run", str(path), "sample:nuclei")
    assert found.exit_code == 2
    assert "give --out" in found.stderr


def test_images_are_compared_with_the_last_one(tmp_path: Path) -> None:
    found = ask(
        "compare", "sample:neuron_dapi", "sample:neuron_dapi", "--metrics", "psnr,pearson",
        "--set", 'region={"y": [0, 64], "x": [0, 64]}', "--json",
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["table"][0]["pearson"] == pytest.approx(1)
    assert "psnr" in ask("metrics").stdout.split()
    assert "warping" in json.loads(ask("metrics", "--of", "labels", "--json").stdout)


@pytest.mark.slow
def test_models_are_listed_shown_imported_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    assert "nuclei" in ask("models", "list").stdout
    cards = json.loads(ask("models", "list", "--json").stdout)
    assert {"nuclei", "em-tissue"} <= {card["name"] for card in cards}
    shown = ask("models", "show", "nuclei").stdout
    assert "CC0" in shown
    assert "pixel size" in shown
    assert json.loads(ask("models", "show", "nuclei", "--json").stdout)["task"] == "segment"

    package = tmp_path / "nuclei.zip"
    image = tmp_path / "crop.npy"
    np.save(image, np.asarray(nt.samples.load("nuclei"))[:128, :128])
    assert (
        ask("models", "export", "nuclei", "-o", str(package), "--image", str(image)).exit_code == 0
    )
    made = ask("models", "import", str(package), "--name", "mine")
    assert made.exit_code == 0, made.stderr
    assert (tmp_path / "own" / "mine.safetensors").is_file()
    assert "mine" in ask("models", "list").stdout
    assert ask("models", "remove", "mine", typed="n\n").exit_code == 1
    assert ask("models", "remove", "mine", typed="y\n").exit_code == 0
    assert "mine" not in ask("models", "list").stdout
    refused = ask("models", "remove", "nuclei", "--yes")
    assert refused.exit_code == 1
    assert "only these are removed" in refused.stderr
    assert nt.load_model("nuclei").card.name == "nuclei"
