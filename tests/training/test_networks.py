from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from translations import narrowed, small_recipe

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.card import Channel, ModelCard, Part
from napari_tincture.models.model import Model
from napari_tincture.training.networks import begin_from, check_crops, continued
from napari_tincture.training.presets import preset
from napari_tincture.training.translate import Run, make_trainer
from napari_tincture.training.translation import TranslationRecipe


@pytest.mark.parametrize(
    ("family", "crop", "message"),
    [
        ("cyclegan", 97, "forward.*gives images of 100 × 100 px.*crops of 96 px"),
        ("cyclegan", 16, "discriminator.*at least 24 pixels.*crops of 32 px"),
        ("pix2pix", 100, "forward.*crops of 96 px"),
        ("ugatit", 97, "forward.*multiple of 4.*crops of 96 px"),
    ],
)
def test_crops_that_do_not_suit_the_networks_are_refused(
    family: str, crop: int, message: str
) -> None:
    recipe = narrowed(preset(family, "tiny", crop=crop))
    with pytest.raises(InputError, match=f"Crops of {crop} px do not suit.*{message}"):
        check_crops(recipe)
    with pytest.raises(InputError, match=f"Crops of {crop} px"):
        make_trainer(recipe, Run())


@pytest.mark.parametrize("family", ["cyclegan", "pix2pix", "ugatit", "pix2pixhd"])
def test_crops_of_the_presets_suit(family: str) -> None:
    check_crops(preset(family, "standard"))


def saved(folder: Path, trained: TranslationRecipe, **card: Any) -> Model:
    """A model of random weights with both generators of a recipe."""
    torch.manual_seed(99)
    networks = trained.build_networks()
    part = trained.networks["forward"]
    found = ModelCard(
        name="before", task="stain", architecture=part.architecture, options=part.options,
        inputs=tuple(map(Channel, "abc")), outputs=tuple(map(Channel, "abc")),
        parts={"backward": trained.networks["backward"]}, **card,
    )  # fmt: skip
    model = Model(networks["forward"], found, {"backward": networks["backward"]})
    return Model.from_file(model.save(folder / "before.safetensors"))


def test_a_training_starts_from_a_model_s_weights(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan")
    model = saved(tmp_path, recipe)
    begun = make_trainer(recipe.replace(start=str(model.path)), Run()).objective.networks
    fresh = make_trainer(recipe, Run()).objective.networks
    for name, network in (("forward", model.network), ("backward", model.part("backward"))):
        for key, value in network.state_dict().items():
            assert torch.equal(begun[name].state_dict()[key], value)
        assert not torch.equal(next(begun[name].parameters()), next(fresh[name].parameters()))
    judge = [n["discriminator"].state_dict() for n in (begun, fresh)]
    assert all(torch.equal(judge[0][key], judge[1][key]) for key in judge[0])


def test_a_model_of_other_networks_is_no_start(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan")
    start = str(saved(tmp_path, recipe).path)
    wider = {**recipe.networks["forward"].options, "ngf": 3}
    for part, message in (
        (Part("resnet_generator", wider), "ngf 2 → 3"),
        (Part("unet_generator", {"num_downs": 5}), "resnet_generator → unet_generator"),
    ):
        other = recipe.replace(networks={**recipe.networks, "forward": part}, start=start)
        with pytest.raises(ModelError, match=f"'forward'.*{message}"):
            begin_from(other.build_networks(), other)
    absent = recipe.replace(start=str(tmp_path / "none.safetensors"))
    with pytest.raises(ModelError, match="none"):
        begin_from(absent.build_networks(), absent)


def test_the_recipe_of_a_finished_model_goes_on_from_it(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan")
    model = saved(tmp_path, recipe, recipe=recipe.to_dict())
    assert continued(model) == recipe.replace(start=str(model.path))
    for other in (Model(model.network, model.card.replace(parts={})), saved(tmp_path, recipe)):
        with pytest.raises(InputError, match="keeps no recipe"):
            continued(other)
