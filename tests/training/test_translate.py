from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from full_disk import disk_for
from translations import fields, images_for, small_recipe

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError, OutputError, TrainingError
from napari_tincture.io.open import open_image
from napari_tincture.progress import CancelToken
from napari_tincture.training.checkpoints import load_checkpoint
from napari_tincture.training.control import Hooks
from napari_tincture.training.images.material import open_material
from napari_tincture.training.translate import Run, as_model, make_trainer, train_translation


def train(recipe: Any, images: Any = None, **run: Any) -> Any:
    material = open_material(recipe, images=images or images_for(recipe))
    return train_translation(recipe, material, Run(**run))


def step_of(path: Path, recipe: Any) -> int:
    return int(load_checkpoint(path, recipe.to_dict(), torch.device("cpu"))["step"])


def test_losses_that_are_no_numbers_keep_the_last_checkpoint(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan", lr=1e30, save_every=1, steps=8)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(TrainingError, match=r"stopped in step \d.*lower learning rate.*lr=1e\+30"):
        train(recipe, checkpoint=path)
    assert step_of(path, recipe) >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")
def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    recipe, path = small_recipe("cyclegan", save_every=1), tmp_path / "run.checkpoint"
    token = CancelToken()
    cancelling = Hooks(on_step=lambda step, losses: token.cancel())
    with pytest.raises(Cancelled):
        train(recipe, checkpoint=path, cancel=token, hooks=cancelling)
    with disk_for(2000), pytest.raises(OutputError, match=r"previous checkpoint is kept"):
        train(recipe, checkpoint=path)
    assert step_of(path, recipe) == 1


def test_a_checkpoint_that_knows_fewer_fields_goes_on(tmp_path: Path) -> None:
    recipe, path = small_recipe("regression", steps=1), tmp_path / "run.checkpoint"
    train(recipe, checkpoint=path)
    state = torch.load(path, weights_only=True)
    earlier = json.loads(state["recipe"])
    del earlier["sampling"]["augment"]["elastic_knots"], earlier["schedule"]["recompute"]
    torch.save({**state, "recipe": json.dumps(earlier)}, path)
    longer = recipe.replace(schedule=replace(recipe.schedule, steps=2))
    train(longer, checkpoint=path)
    assert step_of(path, longer) == 2


def test_the_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    recipe, path = small_recipe("regression", steps=1), tmp_path / "run.checkpoint"
    train(recipe, checkpoint=path)
    other = recipe.replace(weights={"mse": 1.0})
    with pytest.raises(InputError, match=r"differs in weights\.mse"):
        train(other, checkpoint=path)


def test_losses_and_figures_go_to_a_table(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan")
    train(recipe, checkpoint=tmp_path / "run.checkpoint")
    header, *rows = (tmp_path / "run.log.csv").read_text().splitlines()
    assert len(rows) == recipe.schedule.steps
    assert {"step", "G_A", "D_B", "lr_generators", "frechet", "score"} <= set(header.split(","))


def test_channels_are_called_what_the_images_call_them() -> None:
    recipe = small_recipe("regression", in_channels=2, out_channels=1, steps=1)
    values = np.stack([np.asarray(image)[:2] for image in fields(2)])
    a = [open_image(v, axes="cyx", channels=["bf", "dic"]) for v in values]
    b = [open_image(v[0], axes="yx") for v in values]
    found = train(recipe, {"pairs": {"a": a, "b": b}})[0].card
    assert found.trained_in == "float32"
    assert [channel.name for channel in found.inputs] == ["bf", "dic"]
    assert [channel.name for channel in found.outputs] == ["grey"]
    assert not found.rgb_output
    stack = [open_image(np.stack([v[0], v[1], v[0]]), axes="zyx") for v in values]
    planes = small_recipe("regression", in_channels=3, out_channels=1, steps=1)
    images = {"pairs": {"a": {"images": stack, "channels": "z"}, "b": b}}
    material = open_material(planes, images=images)
    networks = make_trainer(planes, Run()).objective.networks
    card = as_model(planes, material, networks).card
    assert [channel.name for channel in card.inputs] == ["z00", "z01", "z02"]


def test_colour_and_pixel_size_of_the_target_are_the_model_s(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan", steps=1)
    colour = [np.moveaxis(np.asarray(image), 0, -1) for image in fields(3)]
    a = [open_image(v[..., 0], axes="yx", scale=(0.5, 0.5), units="um") for v in colour]
    b = [replace(image, rgb=True) for image in fields(3, seed=5)]
    images = {"a": {"images": a, "channels": [0, 0, 0]}, "b": b}
    model, _ = train(recipe, images)
    card = model.card
    assert card.rgb_output
    assert card.pixel_size == 0.5
    assert [channel.name for channel in card.inputs] == ["grey 1", "grey 2", "grey 3"]
    path = model.save(tmp_path / "m.safetensors")
    stained = nt.stain(a[0], path)
    assert (stained.dtype, stained.rgb) == (np.uint8, True)
    with pytest.raises(InputError, match=r"0\.25.*0\.5"):
        nt.stain(open_image(colour[0][..., 0], axes="yx", scale=(0.25, 0.25), units="um"), path)


def test_what_the_recipe_says_of_the_card_holds() -> None:
    card = {"licence": "CC0-1.0", "description": "of fields"}
    model, _ = train(small_recipe("regression", steps=1, card=card))
    assert (model.card.licence, model.card.description) == ("CC0-1.0", "of fields")


def test_a_training_without_held_images_has_no_figures() -> None:
    recipe = small_recipe("cyclegan", steps=1, split={"validation": 0.0})
    model, history = train(recipe)
    assert (history, dict(model.card.figures), model.card.calibration) == ([], {}, ())
