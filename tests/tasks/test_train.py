from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave
from translations import fields, images_for, small_recipe

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.models.model import Model
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import open_material
from napari_tincture.training.run import as_recipe
from napari_tincture.training.starters import read_recipe, recipe_names
from napari_tincture.training.translation import TranslationRecipe


def test_a_recipe_trains_from_layers_and_the_model_can_be_used_by_its_path(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan")
    seen: list[tuple[int, int]] = []
    out = tmp_path / "new" / "mine.safetensors"
    model = nt.train(
        recipe, images=images_for(recipe), out=out, device="cpu",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert isinstance(model, Model)
    assert model.path == out
    assert seen == [(1, 3), (2, 3), (3, 3)]
    names = {path.name for path in out.parent.iterdir()}
    assert names == {"mine.safetensors", "mine.checkpoint", "mine.log.csv"}
    assert nt.load_model(out).card.recipe == recipe.to_dict()
    assert np.asarray(nt.stain(fields(1)[0], out)).shape == (3, 72, 90)


def test_json_and_folders_do_the_same_as_recipes_and_arrays(tmp_path: Path) -> None:
    for side, seed in (("a", 1), ("b", 2)):
        (tmp_path / side).mkdir()
        for image in fields(3, seed=seed):
            values = np.moveaxis(np.asarray(image), 0, -1)
            imsave(tmp_path / side / f"{image.name}.png", values, check_contrast=False)
    recipe = small_recipe("regression", steps=2).replace(
        data={"pairs": {side: {"images": side} for side in "ab"}}
    )
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())
    found = nt.train(path, data=tmp_path, out=tmp_path / "one.safetensors")
    mapped = nt.train(json.loads(recipe.to_json()), data=tmp_path, out=tmp_path / "two.safetensors")
    plain = recipe.replace(data={})
    given = nt.train(plain, images=images_for(plain), out=tmp_path / "three.safetensors")
    assert found.fingerprint == mapped.fingerprint
    for other in (mapped, given):
        assert all(map(torch.equal, found.network.parameters(), other.network.parameters()))
        assert found.card.figures == other.card.figures


def test_the_same_call_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    recipe, control = small_recipe("regression"), Control()
    steps: list[int] = []

    def stop(step: int, losses: object) -> None:
        steps.append(step)
        control.stop()

    where = {"images": images_for(recipe), "out": tmp_path / "m.safetensors"}
    first = nt.train(recipe, control=control, hooks=Hooks(on_step=stop), **where)
    before = first.fingerprint
    last = nt.train(recipe, hooks=Hooks(on_step=lambda step, _: steps.append(step)), **where)
    assert steps == [1, 2, 3]
    assert last.fingerprint != before


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match=f"no recipe 'magic'.*{recipe_names()[0]}"):
        nt.train("magic", out=out)
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        nt.train(tmp_path / "r.json", out=out)
    with pytest.raises(InputError):
        nt.train({"name": "x"}, out=out)


@pytest.mark.parametrize(
    ("name", "folder"), [("phc-u373", "PhC-C2DH-U373"), ("dic-hela", "DIC-C2DH-HeLa")]
)
def test_a_recipe_reads_a_folder_of_the_cell_tracking_challenge(
    name: str, folder: str, tmp_path: Path
) -> None:
    for sequence in ("01", "02"):
        own, truth = tmp_path / folder / sequence, tmp_path / folder / f"{sequence}_GT" / "SEG"
        own.mkdir(parents=True)
        truth.mkdir(parents=True)
        field = np.tile(np.arange(600) // 3, (520, 1)).astype(np.uint8)
        for frame in range(8):
            imsave(own / f"t{frame:03d}.tif", field, check_contrast=False)
        for frame in (2, 5, 7):
            labels = np.zeros((520, 600), np.uint16)
            labels[100:200, 100:300] = frame
            imsave(truth / f"man_seg{frame:03d}.tif", labels, check_contrast=False)
    recipe = read_recipe(name)
    assert isinstance(recipe, TranslationRecipe)
    recipe, material = fitted(recipe, open_material(recipe, tmp_path))
    held = material.validation.pairs.pictures + material.train.pairs.pictures
    assert {p.name for p in held} == {"t002", "t005", "t007"} == {
        p.name for p in material.test.pairs.pictures
    }  # fmt: skip
    batch = material.train.sampler(recipe.sampling)(0)
    assert batch["a"].shape == (1, 1, 572, 572)
    assert batch["b"].shape == (1, 2, 572, 572)
    assert {0.0, 1.0} >= set(batch["b"][:, 0].unique().tolist())


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_of_starters_can_be_read(name: str) -> None:
    recipe = read_recipe(name)
    assert as_recipe(json.loads(recipe.to_json())) == recipe
