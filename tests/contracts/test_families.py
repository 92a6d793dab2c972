"""What every family of training promises; a new one is tested here without an edit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from models import of_channels
from torch import Tensor, nn
from translations import batch_of, fields, images_for, small_recipe

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.models.label_maps import one_hot
from napari_tincture.models.model import Model
from napari_tincture.raster import Raster
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import open_material
from napari_tincture.training.objective import find_objective, objective_names
from napari_tincture.training.presets import for_channels, preset
from napari_tincture.training.sizes import Size
from napari_tincture.training.translate import Run, make_trainer, train_translation
from napari_tincture.training.translation import TranslationRecipe

# Of three steps nobody expects more.
pytestmark = pytest.mark.filterwarnings("ignore:.*no better than a constant prediction")

FAMILIES = objective_names()
SYNTHESIZING = [n for n in FAMILIES if find_objective(n).PUBLISHED.synthesizes]
LABELLED = [n for n in FAMILIES if find_objective(n).PUBLISHED.labels and n not in SYNTHESIZING]
STAINING = [n for n in FAMILIES if n not in LABELLED + SYNTHESIZING]
DENOISING = [n for n in FAMILIES if find_objective(n).PUBLISHED.denoises]
UNPAIRED = [n for n in FAMILIES if find_objective(n).PUBLISHED.data == "unpaired"]
NOISY = [n for n in FAMILIES if find_objective(n).PUBLISHED.noise]
SAME = [n for n in FAMILIES if "identity" in find_objective(n).Weights.__dataclass_fields__]


def weights_of(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


def learned(model: Model) -> dict[str, Tensor]:
    parts = {name: model.part(name) for name in model.card.parts}
    return weights_of({"forward": model.network, **parts})


def train(recipe: TranslationRecipe, **run: Any) -> tuple[Model, list[dict[str, float]]]:
    material = open_material(recipe, images=images_for(recipe))
    return train_translation(recipe, material, Run(**run))


@cache
def trained(family: str) -> tuple[Model, list[dict[str, float]], list[dict[str, float]]]:
    """A model, its history, and the losses of every step."""
    losses: list[dict[str, float]] = []
    hooks = Hooks(on_step=lambda step, values: losses.append(dict(values)))
    model, history = train(small_recipe(family), hooks=hooks)
    return model, history, losses


@pytest.mark.parametrize("size", get_args(Size))
@pytest.mark.parametrize("family", FAMILIES)
def test_a_preset_is_complete_and_survives_json(family: str, size: Size) -> None:
    recipe = preset(family, size)
    assert TranslationRecipe.from_json(recipe.to_json()) == recipe
    assert recipe.to_dict() == json.loads(recipe.to_json())
    assert for_channels(recipe, 3, 3)
    assert not for_channels(recipe, 4, 3)
    published = recipe.published
    assert all(getattr(recipe.schedule, k) == v for k, v in published.schedule.items())
    assert published.title
    assert any(str(year) in published.citation for year in range(2014, 2027))
    if recipe.schedule.decay == "linear":
        assert recipe.schedule.rate(recipe.schedule.steps // 2 - 1) == recipe.schedule.lr


@pytest.mark.parametrize("family", FAMILIES)
def test_unknown_settings_are_refused(family: str) -> None:
    for wrong in ({"nonsense": 1}, {"networks": {"nonsense": 1}}):
        with pytest.raises(InputError, match="nonsense"):
            preset(family, "tiny", **wrong)
    recipe = small_recipe(family)
    networks = recipe.build_networks()
    for wrong in ({"weights": {"nonsense": 1.0}}, {"options": {"nonsense": 1}}):
        with pytest.raises(InputError, match="nonsense"):
            recipe.replace(**wrong).build_objective(networks)
    for section in ("schedule", "sampling"):
        values = recipe.to_dict()
        values[section]["nonsense"] = 1
        with pytest.raises(InputError, match="nonsense"):
            TranslationRecipe.from_dict(values)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_all_networks_learn(family: str) -> None:
    model, history, losses = trained(family)
    recipe = small_recipe(family)
    begun = make_trainer(recipe, Run()).objective
    members = [name for names in begun.groups.values() for name in names]
    assert sorted(members) == sorted(recipe.networks)
    before, after = weights_of(begun.networks), learned(model)
    assert before.keys() == after.keys()
    for name in members:
        own = [key for key in before if key.startswith(f"{name}.")]
        assert any(not torch.equal(before[key], after[key]) for key in own), name
    assert len(losses) == recipe.schedule.steps
    assert all(np.isfinite(list(values.values())).all() for values in losses)
    assert [row["step"] for row in history] == [2.0, 3.0]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_card_says_all_that_is_known(family: str) -> None:
    model, history, _ = trained(family)
    card, recipe = model.card, small_recipe(family)
    recipe, _ = fitted(recipe, open_material(recipe, images=images_for(recipe)))
    published = recipe.published
    assert (card.family, card.citation) == (family, published.citation)
    assert {"forward", *card.parts} == recipe.networks.keys()
    assert TranslationRecipe.from_dict(card.recipe) == recipe
    assert "2 train, 1 validation" in card.split
    assert bool(card.exact) == (family not in DENOISING)
    assert (card.denoising is not None) == (family in DENOISING)
    inputs = card.class_inputs if family in SYNTHESIZING else card.image_inputs
    assert len(inputs) == 3
    assert len(card.noise_inputs) == published.noise
    assert ("reconstruction" in card.offers) == ("backward" in recipe.networks)
    assert ("realism" in card.offers) == ("discriminator" in recipe.networks)
    assert len(card.calibration) == (101 if "realism" in card.offers else 0)
    assert list(card.calibration) == sorted(card.calibration)
    assert len(card.training_statistics["channels"]) == 3
    found = {"frechet"} if published.data == "unpaired" else {"ssim", "psnr", "mse", "pearson"}
    found = {"mean_iou", "accuracy", "constant"} if family in LABELLED else found
    found = {"denoising", "constant"} if family in DENOISING else found
    assert {f"validation {name}" for name in found} <= card.figures.keys()
    assert found | {"score"} <= history[-1].keys()


@pytest.mark.parametrize("family", LABELLED)
def test_the_file_loads_and_segments_in_tiles_as_at_once(family: str, tmp_path: Path) -> None:
    model = nt.load_model(trained(family)[0].save(tmp_path / "m.safetensors"))
    (image,) = fields(1, (3, 64, 50), seed=9)
    found = nt.segment(image, model, output="probabilities", tile=32, context="exact")
    whole = model.predict(torch.from_numpy(np.asarray(image))[None])[0].numpy()
    # Probabilities; the order of sums in convolutions differs.
    np.testing.assert_allclose(np.asarray(found), whole, atol=1e-5)
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-6)
    classes = np.asarray(nt.segment(image, model, output="classes"))
    np.testing.assert_array_equal(classes, np.array([1, 4, 9])[whole.argmax(axis=0)])


@pytest.mark.parametrize("family", [n for n in SYNTHESIZING if n not in DENOISING])
def test_the_file_loads_and_synthesizes_in_tiles_as_at_once(family: str, tmp_path: Path) -> None:
    model = nt.load_model(trained(family)[0].save(tmp_path / "m.safetensors"))
    assert [channel.value for channel in model.card.class_inputs] == [1, 4, 9]
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (1, 1, 100, 70)))
    maps = one_hot(labels.repeat_interleave(2, 2), 3)
    whole = model.predict(maps)[0].numpy()
    image = nt.open_image(maps[0].numpy(), axes="cyx")
    found = nt.stain(image, of_channels(model), tile=32, context="exact", dtype="float32")
    # The order of sums differs, and goes through every norm that follows.
    np.testing.assert_allclose(np.asarray(found), whole, atol=2e-3 * whole.std())


@pytest.mark.parametrize("family", DENOISING)
def test_the_file_loads_and_draws_the_same_image_again(family: str, tmp_path: Path) -> None:
    model = nt.load_model(trained(family)[0].save(tmp_path / "m.safetensors"))
    labels = np.random.default_rng(0).choice([1, 4, 9], (40, 56)).astype(np.uint8)
    first, again, other = (
        np.asarray(nt.synthesize(labels, model, steps=2, seed=seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (3, 40, 56)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize("family", STAINING)
def test_the_file_loads_and_stains_in_tiles_as_at_once(family: str, tmp_path: Path) -> None:
    model = nt.load_model(trained(family)[0].save(tmp_path / "m.safetensors"))
    (image,) = fields(1, (3, 64, 50), seed=9)
    offered = [name for name in model.card.offers if name not in ("cycle_error_twice", "std")]

    def stained(outputs: list[str], **settings: Any) -> dict[str, np.ndarray]:
        found = nt.stain(image, model, outputs=outputs, dtype="float32", **settings)
        rasters = {"image": found} if isinstance(found, Raster) else found
        return {name: np.asarray(raster) for name, raster in rasters.items()}

    known = stained(offered)
    assert known.keys() == set(offered)
    assert all(np.isfinite(values).all() for values in known.values())
    assert {values.shape[-2:] for values in known.values()} == {(64, 50)}
    tiled = stained(["image"], tile=32, context="exact")["image"]
    if model.card.noise_inputs:
        whole = stained(["image"], tile=1024)["image"]
    else:
        whole = model.predict(torch.from_numpy(np.asarray(image))[None])[0].numpy()
    # The order of sums differs, and goes through every norm that follows.
    np.testing.assert_allclose(tiled, whole, atol=2e-3 * whole.std())


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_resumed_equals_uninterrupted(family: str, tmp_path: Path) -> None:
    recipe, path = small_recipe(family), tmp_path / "run.checkpoint"
    control = Control()
    hooks = Hooks(on_step=lambda step, losses: control.stop() if step == 2 else None)
    train(recipe, checkpoint=path, control=control, hooks=hooks)
    model, history = train(recipe, checkpoint=path)
    whole, expected, _ = trained(family)
    assert history == expected
    first, second = learned(whole), learned(model)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("family", UNPAIRED)
def test_the_domains_have_networks_of_their_own(family: str) -> None:
    networks = small_recipe(family).build_networks()
    twins = [name for name in networks if f"{name}_backward" in networks]
    assert twins
    for one, other in (("forward", "backward"), *((n, f"{n}_backward") for n in twins)):
        first, second = ([*networks[name].parameters()] for name in (one, other))
        assert not {p.data_ptr() for p in first} & {p.data_ptr() for p in second}
        assert any(not torch.equal(p, q) for p, q in zip(first, second, strict=True))


class Doubling(nn.Module):
    """Gives an image of zeros as it is, and of no other."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        return {"image": self(x), "cam_logit": torch.zeros(len(x), 2)}


@pytest.mark.parametrize("family", SAME)
def test_the_identity_loss_is_of_the_target_domain(family: str) -> None:
    recipe = small_recipe(family)
    networks = {**recipe.build_networks(), "forward": Doubling(), "backward": Doubling()}
    batch = batch_of(recipe)
    empty = torch.zeros_like(batch["a"])
    found = []
    for a, b in ((empty, batch["b"]), (batch["a"], empty)):
        losses = recipe.build_objective(networks).step({"a": a, "b": b}, lambda *_: None)
        found.append([float(v) for k, v in losses.items() if "idt" in k or "identity" in k])
    # With no image of A, only what A → B makes of B is another image.
    assert all(sorted(np.sign(values)) == [0, 1] for values in found)
    assert np.sign(found[0]).tolist() == np.sign(found[1]).tolist()[::-1]


@pytest.mark.parametrize("family", UNPAIRED)
def test_a_few_pairs_steer_an_unpaired_training(family: str) -> None:
    recipe = small_recipe(family)
    alone, pairs = batch_of(recipe), batch_of(recipe, seed=1)
    both = {**alone, "pair_a": pairs["a"], "pair_b": pairs["b"]}
    left = torch.zeros(1, 1, *pairs["a"].shape[2:])
    left[..., : left.shape[3] // 2] = 1

    def step(batch: Mapping[str, Tensor], **weights: float) -> tuple[dict[str, float], Tensor]:
        torch.manual_seed(0)
        networks = recipe.build_networks()
        slopes = []

        def update(group: str, loss: Tensor) -> None:
            if group == "generators":
                loss.backward()
                slopes.extend(p.grad.flatten() for p in networks["forward"].parameters())

        objective = recipe.replace(weights=weights).build_objective(networks)
        losses = objective.step(batch, update)
        return {name: float(value) for name, value in losses.items()}, torch.cat(slopes)

    plain, plain_slope = step(alone)
    steered, slope = step(both)
    added = {"pair_A", "pair_B", "pair_features_A", "pair_features_B"}
    assert steered.keys() - plain.keys() == added
    assert all(steered[name] > 0 for name in added)
    assert not torch.allclose(slope, plain_slope)
    marked = step({**both, "weight": left}, pair_features=0.0)[0]
    changed = pairs["b"].clone()
    changed[..., left.shape[3] // 2 :] = 0
    again = step({**both, "pair_b": changed, "weight": left}, pair_features=0.0)[0]
    assert marked["pair_A"] == again["pair_A"]
    assert marked["pair_B"] != again["pair_B"]
    assert "pair_features_A" not in marked


@pytest.mark.parametrize("family", NOISY)
def test_noise_is_drawn_reproducibly(family: str) -> None:
    model = trained(family)[0]
    again, _ = train(small_recipe(family))
    first, second = learned(model), learned(again)
    assert all(torch.equal(first[key], second[key]) for key in first)
    (image,) = fields(1, (3, 40, 40), seed=9)
    drawn = [np.asarray(nt.stain(image, model, seed=seed, dtype="float32")) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.allclose(drawn[0], drawn[2])
