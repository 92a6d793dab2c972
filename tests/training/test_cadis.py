"""The recipe for cataract surgery runs on folders laid out as the data set's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cadis import CLASSES, SIZE, VIDEOS, write_cadis

import napari_tincture as nt
from napari_tincture.models.card import Part
from napari_tincture.training.images.material import open_material
from napari_tincture.training.starters import read_recipe
from napari_tincture.training.translation import TranslationRecipe

SMALL = {
    "width": 8, "channel_mult": [1, 2], "attention_factors": [2], "head_channels": 8,
    "norm_groups": 4, "spade_width": 4, "style_dim": 4,
}  # fmt: skip


def small_recipe() -> TranslationRecipe:
    """The recipe with a network and crops that a test can afford, and two steps."""
    recipe = read_recipe("cadis")
    assert isinstance(recipe, TranslationRecipe)
    part = recipe.networks["forward"]
    network = Part(part.architecture, {**part.options, **SMALL})
    sampling = replace(recipe.sampling, crop=32, batch=2)
    schedule = replace(recipe.schedule, steps=2, warmup=0, save_every=2, validate_every=2)
    return recipe.replace(networks={"forward": network}, sampling=sampling, schedule=schedule)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cadis(tmp_path_factory.mktemp("data"))


def test_the_recipe_is_the_variant_for_surgical_scenes() -> None:
    recipe = read_recipe("cadis")
    assert isinstance(recipe, TranslationRecipe)
    options = recipe.networks["forward"].options
    assert (options["res_blocks"], options["blocks"], options["condition"]) == (3, "biggan", "both")
    assert (options["time"], recipe.options["steps"]) == ("level", 2000)
    values = [each.value for each in recipe.labelling.classes]
    assert values == list(range(CLASSES))
    assert len({each.colour for each in recipe.labelling.classes}) == CLASSES
    assert recipe.labelling.classes[6].name == "Cornea"
    recipe.build_objective(recipe.build_networks())


def test_videos_are_split_as_published(folder: Path) -> None:
    material = open_material(read_recipe("cadis").replace(sampling=small_recipe().sampling), folder)
    parts = (material.train, material.validation, material.test)
    videos = [sorted({p.name.split("_")[0] for p in part.pairs.pictures}) for part in parts]
    assert videos == [["Video1", "Video3"], ["Video5"], ["Video2"]]
    assert sum(len(part.pairs.pictures) for part in parts) == sum(VIDEOS.values())


def test_two_steps_give_a_model_with_the_classes_and_a_style_per_video(
    folder: Path, tmp_path: Path
) -> None:
    model = nt.train(small_recipe(), data=folder, out=tmp_path / "cadis.safetensors", device="cpu")
    card = model.card
    assert card.styles == ("Video1", "Video3")
    assert card.options["styles"] == 2
    assert [channel.value for channel in card.class_inputs] == list(range(CLASSES))
    assert card.rgb_output
    assert card.denoising.schedule == {"name": "cosine", "steps": 2000}
    assert card.denoising.guided
    assert 0 < card.figures["test denoising"] < 10

    labels = next((folder / "CaDISv2" / "Video02" / "Labels").iterdir())
    path = tmp_path / "cadis.safetensors"
    drawn = np.asarray(nt.synthesize(labels, path, steps=1, style="Video3"))
    assert drawn.shape == (3, *SIZE)
    np.testing.assert_array_equal(drawn, nt.synthesize(labels, path, steps=1, style=2))
