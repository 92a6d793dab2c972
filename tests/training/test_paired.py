from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

from napari_tincture.errors import Cancelled, InputError
from napari_tincture.models import Channel, ModelCard, Normalisation, load_model
from napari_tincture.progress import CancelToken
from napari_tincture.tasks.train import train
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.data import load_examples
from napari_tincture.training.images.augment import Augment
from napari_tincture.training.losses import LossTerm
from napari_tincture.training.paired import Batches, Recipe, train_paired
from napari_tincture.training.schedule import Schedule
from napari_tincture.training.starters import read_recipe, recipe_names

DATA = {
    "kind": "planes",
    "folder": "field",
    "inputs": ["a.png", "b.png"],
    "shift": 8,
    "targets": [{"file": "t.png", "low": 0, "high": 65535}],
    "train": [0, 48],
    "validation": [48, 64],
    "test": [64, 96],
}


@pytest.fixture
def field(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "field").mkdir()
    for name in ("a", "b", "t"):
        image = rng.integers(0, 65536, (40, 96)).astype(np.uint16)
        imsave(tmp_path / "field" / f"{name}.png", image, check_contrast=False)
    return tmp_path


def recipe(precision: str = "float32") -> Recipe:
    return Recipe(
        card=ModelCard(
            name="tiny",
            task="stain",
            architecture="unet",
            options={"in_channels": 2, "out_channels": 1, "depth": 1, "width": 4, "padded": True,
                     "dropout": 0.0},
            inputs=(Channel("a"), Channel("b")),
            outputs=(Channel("t"),),
            normalisation=Normalisation("standard"),
            stride=2,
        ),
        data=DATA,
        losses=(LossTerm("mse"), LossTerm("ssim", 0.1)),
        schedule=Schedule(steps=6, warmup=2, save_every=2, validate_every=3, precision=precision),
        augment=Augment(flips=(True, True), noise=0.1),
        training_options={"norm": "batch", "dropout": 0.2},
        crop=16,
        batch=2,
    )  # fmt: skip


def test_recipes_survive_json() -> None:
    assert Recipe.from_json(recipe().to_json()) == recipe()
    with pytest.raises(InputError, match="no recipe"):
        Recipe.from_json("{}")
    with pytest.raises(InputError, match="unknown"):
        Recipe.from_json(recipe().to_json().replace('"crop"', '"unknown"'))


@pytest.mark.parametrize("name", recipe_names())
def test_committed_recipes_can_be_read(name: str) -> None:
    assert read_recipe(name).name == name


class Stop:
    """Cancels after some steps."""

    def __init__(self, after: int) -> None:
        self.after, self.token = after, CancelToken()

    def __call__(self, done: int, total: int) -> None:
        if done == self.after:
            self.token.cancel()


@pytest.mark.usefixtures("bfloat16_units")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumed_equals_uninterrupted(field: Path, tmp_path: Path, precision: str) -> None:
    plan = recipe(precision=precision)
    whole, history = train_paired(plan, field)
    stop = Stop(5)  # the last checkpoint is of step 4
    checkpoint = tmp_path / "run.checkpoint"
    with pytest.raises(Cancelled):
        train_paired(plan, field, checkpoint, progress=stop, cancel=stop.token)
    resumed, again = train_paired(plan, field, checkpoint)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[key]), key
    assert again == history
    assert resumed.card.trained_in == precision


def test_batches_depend_on_the_step_alone(field: Path) -> None:
    plan = recipe()
    batches = Batches(plan, load_examples(DATA, field, "train"))
    later = batches(3)
    batches(0)
    for first, second in zip(later, batches(3), strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(batches(3)[0], batches(4)[0])


def test_training_never_sees_the_other_columns(field: Path) -> None:
    (example,) = load_examples(DATA, field, "train")
    changed = example.image.copy()
    changed[..., 48:] = 0
    other = type(example)("x", changed, example.target, example.columns)
    plan = recipe()
    for first, second in zip(Batches(plan, [example])(0), Batches(plan, [other])(0), strict=True):
        assert torch.equal(first, second)


def test_the_public_call_writes_a_complete_model(field: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "tiny.safetensors"
    model = train(json.loads(recipe().to_json()), data=field, out=out)
    again = load_model(out)
    assert again.card == model.card
    assert set(again.card.figures) == {"pearson", "ssim", "psnr"}
    assert (again.card.stride, again.card.exact) == (2, True)
    assert (again.card.halo or 0) > 0
    assert again.card.recipe["crop"] == 16


def test_a_stopped_training_gives_a_model_and_goes_on(field: Path, tmp_path: Path) -> None:
    out, control = tmp_path / "tiny.safetensors", Control()
    hooks = Hooks(on_step=lambda step, losses: control.stop() if step == 1 else None)
    early = train(recipe(), data=field, out=out, control=control, hooks=hooks)
    rows = out.with_suffix(".log.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["step", "1"]
    late = train(recipe(), data=field, out=out)
    assert late.card.figures != early.card.figures
    assert len(out.with_suffix(".log.csv").read_text().splitlines()) == 7


def test_missing_data_and_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        train(recipe(), data=tmp_path, out=tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="no recipe 'colours'"):
        train("colours", data=tmp_path, out=tmp_path / "m.safetensors")
    (tmp_path / "field").mkdir()
    with pytest.raises(InputError, match=r"a\.png"):
        load_examples(DATA, tmp_path, "train")
    with pytest.raises(InputError, match="'table'"):
        load_examples({"kind": "table"}, tmp_path, "train")


def test_labelled_folders_are_split_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "mode"])
        writer.writerows([["a1", "gray"], ["b1", "gray"], ["c1", "gray"], ["a2", "rgb"]])
    for name in ("a1", "b1", "c1", "a2"):
        labels = np.zeros((20, 20), np.uint16)
        labels[3:9, 3:9] = 1
        imsave(
            folder / "images" / f"{name}.png", (labels * 99).astype(np.uint8), check_contrast=False
        )
        imsave(folder / "labels" / f"{name}.png", labels, check_contrast=False)
    data = {"kind": "instances", "folder": "set", "index": "index.csv", "modes": ["gray"],
            "border": 2.0, "validation": "b", "test": "cd"}  # fmt: skip
    names = {
        s: [e.name for e in load_examples(data, tmp_path, s)]
        for s in ("train", "validation", "test")
    }
    assert names == {"train": ["a1"], "validation": ["b1"], "test": ["c1"]}
    (example,) = load_examples(data, tmp_path, "train")
    assert (example.image.shape, example.target.shape) == ((1, 20, 20), (3, 20, 20))
