"""Trainings that begin with the weights of another model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from translations import small_recipe

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.card import Channel, ModelCard, Part
from napari_tincture.models.model import Model
from napari_tincture.models.registry import build_network
from napari_tincture.training.starts import begin_from, continued
from napari_tincture.training.translate import Run, make_trainer
from napari_tincture.training.translation import TranslationRecipe


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


def test_other_classes_than_the_start_s_are_learned_anew(tmp_path: Path) -> None:
    five, two = (segmenting("", in_channels=1, out_channels=count) for count in (5, 2))
    network = five.build_networks()["forward"]
    part = five.networks["forward"]
    card = ModelCard(
        name="before", task="segment", architecture=part.architecture, options=part.options,
        inputs=(Channel("grey"),), outputs=tuple(map(Channel, "abcde")),
    )  # fmt: skip
    file = Model(network, card).save(tmp_path / "before.safetensors")
    recipe = two.replace(start=str(file))
    trainer = make_trainer(recipe, Run())
    assert trainer.begun == "before: forward but last.weight, last.bias"
    begun = trainer.objective.networks["forward"].state_dict()
    fresh = make_trainer(two, Run()).objective.networks["forward"].state_dict()
    for key, value in network.state_dict().items():
        expected = fresh[key] if key.startswith("last.") else value
        assert torch.equal(begun[key], expected), key
    wider = segmenting(str(file), in_channels=1, out_channels=2, width=6)
    with pytest.raises(ModelError, match="width 4 → 6"):
        begin_from(wider.build_networks(), wider)


def test_the_recipe_of_a_finished_model_goes_on_from_it(tmp_path: Path) -> None:
    recipe = small_recipe("cyclegan")
    model = saved(tmp_path, recipe, recipe=recipe.to_dict())
    assert continued(model) == recipe.replace(start=str(model.path))
    for other in (Model(model.network, model.card.replace(parts={})), saved(tmp_path, recipe)):
        with pytest.raises(InputError, match="keeps no recipe"):
            continued(other)


def segmenting(start: str, **options: Any) -> TranslationRecipe:
    """A recipe of a narrow network with a classifier's first convolution, or a U-Net."""
    recipe = small_recipe("segmentation", networks={"encoder": "resnet18"}).replace(start=start)
    part = Part("encoder_unet", {"in_channels": 1, "depth": 1, "encoder_width": 64, "width": 4})
    if options:
        part = Part("unet", {"padded": True, "depth": 2, "width": 4, **options})
    return recipe.replace(networks={"forward": part})


@pytest.mark.parametrize("kind", [".pth", ".safetensors"])
def test_imagenet_weights_of_a_user_are_taken(kind: str, tmp_path: Path) -> None:
    network = segmenting("").build_networks()["forward"]
    state = {
        key.removeprefix("encoder."): torch.rand_like(value) if value.is_floating_point() else value
        for key, value in network.state_dict().items()
        if key.startswith("encoder.")
    }
    state |= {"conv1.weight": torch.rand(64, 3, 7, 7), "fc.weight": torch.rand(1000, 512)}
    file = tmp_path / f"resnet18-f37072fd{kind}"
    if kind == ".pth":
        torch.save(state, file)
    else:
        save_file(state, file)
    recipe = segmenting(str(file))
    trainer = make_trainer(recipe, Run())
    begun = trainer.objective.networks["forward"].state_dict()
    assert trainer.begun == f"{file.name}: the encoder"
    grey = state["conv1.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(begun["encoder.conv1.weight"], grey)
    assert torch.equal(begun["encoder.bn1.weight"], state["bn1.weight"])
    with pytest.raises(ModelError, match="UNet has no encoder with published weights"):
        make_trainer(segmenting(str(file), in_channels=1), Run())


def test_an_encoder_that_does_not_fit_is_named(tmp_path: Path) -> None:
    own = {"encoder_options": {"depth": 2, "width": 4, "norm": "batch"}, "in_channels": 1}
    card = ModelCard(
        name="before", task="stain", architecture="autoencoder", options=own,
        inputs=(Channel("grey"),), outputs=(Channel("grey"),),
    )  # fmt: skip
    model = Model(build_network("autoencoder", own), card)
    start = str(model.save(tmp_path / "before.safetensors"))
    fits = {"in_channels": 1, "norm": "batch"}
    make_trainer(segmenting(start, **fits), Run())
    for options, message in (
        ({"norm": "none"}, r"down\.0\.1\.bias: \(4,\) given, none expected"),
        ({"in_channels": 2}, r"down\.0\.0\.weight: \(4, 1, 3, 3\) given, \(4, 2, 3, 3\) expected"),
    ):
        other = segmenting(start, **{**fits, **options})
        with pytest.raises(ModelError, match=f"{re.escape(start)}.*{message}.*Build both"):
            begin_from(other.build_networks(), other)
