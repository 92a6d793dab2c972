"""Training from coarse to fine, for every family without pairs."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from narrow import UNPAIRED, batch_of, narrow
from torch import Tensor, nn
from torch.nn import functional

import napari_tincture as nt
from napari_tincture.errors import InputError, TrainingError
from napari_tincture.models.card import Part
from napari_tincture.models.realism import Realism
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.log import CsvLog
from napari_tincture.training.loop import Trainer
from napari_tincture.training.objective import Batch, Losses, Update
from napari_tincture.training.presets import preset
from napari_tincture.training.schedule import Schedule
from napari_tincture.training.stages import Stage, staged_rate, usual_stages
from napari_tincture.training.translate import Run, make_trainer
from napari_tincture.training.translation import TranslationRecipe

STAGES = (Stage("coarse", "inner", 2), Stage("enhancer", "enhancers", 2), Stage("both", "all"))
GENERATORS = ("forward", "backward")


def staged(family: str, **settings: Any) -> TranslationRecipe:
    options = {"steps": 6, "save_every": 6, "validate_every": 3, "decay": "constant", **settings}
    return narrow(family, coarse_to_fine=True, **{"stages": STAGES, **options})


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach().clone()
        for name, network in trainer.objective.networks.items()
        for key, value in network.named_parameters()
    }


def kind_of(key: str) -> str:
    name, _, rest = key.partition(".")
    return rest.partition(".")[0] if name in GENERATORS else "discriminators"


@pytest.mark.parametrize("family", UNPAIRED)
def test_each_stage_moves_its_own_weights(family: str) -> None:
    trainer = make_trainer(staged(family, weight_decay=0.1), Run())
    moved = []
    for step in range(6):
        before = weights_of(trainer)
        losses = trainer.advance(batch_of)
        assert all(math.isfinite(value) for value in losses.values())
        after = weights_of(trainer)
        changed = {kind_of(k) for k in before if not torch.equal(before[k], after[k])}
        assert trainer.step == step + 1
        moved.append(changed - {"discriminators"})
        assert "discriminators" in changed
    coarse, fine, both = {"inner"}, {"enhancers"}, {"inner", "enhancers"}
    assert moved == [coarse, coarse, fine, fine, both, both]
    assert all(p.requires_grad for n in trainer.objective.networks.values() for p in n.parameters())


@pytest.mark.parametrize("family", UNPAIRED)
def test_the_coarse_stage_is_the_family_s_training_on_reduced_images(family: str) -> None:
    recipe = staged(family)
    trainer = make_trainer(recipe, Run())
    networks = copy.deepcopy(dict(trainer.objective.networks))
    inner = {name: getattr(network, "inner", network) for name, network in networks.items()}
    plain = Trainer(recipe.replace(stages=()).build_objective(inner), recipe.schedule)
    reduced = {name: functional.avg_pool2d(x, 2) for name, x in batch_of(0).items()}
    expected = plain.advance(lambda step: reduced)
    assert trainer.advance(batch_of) == pytest.approx(expected, rel=1e-5)


def test_what_is_looked_at_is_the_stage_s_result() -> None:
    trainer = make_trainer(staged("cyclegan"), Run())
    x = batch_of(7)["a"]
    for step in range(3):
        trainer.advance(batch_of)
        shown = trainer.networks()["forward"]
        with torch.inference_mode():
            coarse = shown.inner(functional.avg_pool2d(x, 2))
            wide = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
            # Nothing but what the generator within has learned, until enhancers have.
            assert torch.allclose(shown(x), wide, atol=1e-6) == (step < 2)


def judge(networks: Mapping[str, nn.Module]) -> dict[str, float]:
    forward, image = networks["forward"], batch_of(50)["a"]
    drawn = torch.zeros(1, forward.noise, *image.shape[2:])
    with torch.inference_mode():
        return {"score": float(forward(torch.cat([image, drawn], 1)).mean())}


def everything(trainer: Trainer) -> dict[str, Any]:
    groups = {name: group.state_dict() for name, group in trainer.groups.items()}
    best = {name: dict(state) for name, state in (trainer.best or {}).items()}
    return flat([
        weights_of(trainer), trainer.averages.state_dict(), groups,
        trainer.objective.state_dict(), best, trainer.history,
    ])  # fmt: skip


def flat(value: Any, path: str = "") -> dict[str, Any]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    found: dict[str, Any] = {}
    for key, item in items:
        place = f"{path}/{key}"
        nested = isinstance(item, Mapping | list | tuple)
        found |= flat(item, place) if nested else {place: item}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("family", ["cyclegan", "bayesian_cyclegan"])
def test_resumed_at_any_boundary_equals_uninterrupted(family: str, tmp_path: Path) -> None:
    recipe = staged(family, ema=0.5, keep="best", validate_every=1)
    whole = make_trainer(recipe, Run())
    whole.run(batch_of, judge, logs=[CsvLog(tmp_path / "whole.csv")])
    path, logs = tmp_path / "run.checkpoint", [CsvLog(tmp_path / "run.csv")]
    for stop in (1, 2, 4, None):
        control, trainer = Control(), make_trainer(recipe, Run())
        hooks = Hooks(on_step=lambda step, _, s=stop, c=control: c.stop() if step == s else None)
        trainer.run(batch_of, judge, path, control=control, hooks=hooks, logs=logs)
    first, second = everything(whole), everything(trainer)
    assert first.keys() == second.keys()
    for key, value in first.items():
        same = (
            torch.equal(value, second[key]) if isinstance(value, Tensor) else value == second[key]
        )
        assert same, key
    rows = (tmp_path / "whole.csv").read_text()
    assert rows == (tmp_path / "run.csv").read_text()
    stages = [line.split(",")[1] for line in rows.splitlines()]
    assert stages == ["stage", "1.0", "1.0", "2.0", "2.0", "3.0", "3.0"]
    assert [row["stage"] for row in whole.history] == [1, 1, 2, 2, 3, 3]
    last = [row["score"] for row in whole.history if row["stage"] == 3]
    assert whole.best_score == max(last)


def test_a_recipe_with_stages_survives_json() -> None:
    recipe = preset("cyclegan", "tiny", coarse_to_fine=True, levels=2, steps=400)
    assert TranslationRecipe.from_json(recipe.to_json()) == recipe
    assert recipe.stages == usual_stages(400)
    assert [stage.steps for stage in recipe.stages] == [200, 20, None]
    assert recipe.sampling.crop == 4 * preset("cyclegan", "tiny").sampling.crop
    assert recipe.networks["forward"].options["levels"] == 2
    assert "stages" not in preset("cyclegan").to_dict()


def test_networks_see_what_they_were_made_for() -> None:
    recipe = preset("ugatit", coarse_to_fine=True)
    assert recipe.sampling.crop == 512
    assert recipe.networks["forward"].options["inner_options"]["img_size"] == 256
    assert recipe.networks["discriminator"].options["n_layers"] == 7
    assert (
        preset("bayesian_cyclegan", coarse_to_fine=True).networks["forward"].options["noise"] == 1
    )
    drawn = preset("bayesian_cyclegan", coarse_to_fine=True, networks={"encoder": True})
    assert "noise" not in drawn.networks["forward"].options


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((Stage("a", "inner", 6), Stage("b", "all")), "take 6 steps before the last"),
        ((Stage("a", "inner"), Stage("b", "all")), "at least 1"),
        ((Stage("a", "inner", 2), Stage("b", "all", 4)), "goes on to the end"),
        ((Stage("a", "inner", 0), Stage("b", "all")), "at least 1"),
    ],
)
def test_impossible_stages_are_refused(stages: tuple[Stage, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        staged("cyclegan", stages=stages)


def test_what_cannot_be_staged_is_refused() -> None:
    with pytest.raises(InputError, match=r"'nothing'.*inner, enhancers, all"):
        Stage("a", "nothing")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no 'coarse_to_fine' generators"):
        narrow("cyclegan", steps=9, stages=STAGES)
    recipe = staged("cyclegan")
    forward = recipe.networks["forward"]
    deep = Part(forward.architecture, {**forward.options, "levels": 2})
    with pytest.raises(InputError, match="as many levels"):
        recipe.replace(networks={**recipe.networks, "backward": deep})
    with pytest.raises(InputError, match="pix2pix learns from pairs"):
        preset("pix2pix", coarse_to_fine=True)


def test_the_schedule_is_gone_through_by_the_coarse_networks_and_again() -> None:
    schedule = Schedule(steps=100, lr=1.0, warmup=0, decay="linear", hold=50)
    stages = usual_stages(100)
    rates = [staged_rate(schedule, stages, step, "generators") for step in range(100)]
    assert rates[:25] == rates[50:75] == [1.0] * 25
    assert rates[49] == rates[99] == 0.0
    assert np.all(np.diff(rates[25:50]) < 0)
    alone = [staged_rate(schedule, [Stage("both", "all")], step, "generators") for step in (0, 60)]
    assert alone == [schedule.rate(0), schedule.rate(60)]


@pytest.mark.parametrize("family", UNPAIRED)
def test_discriminators_may_judge_several_scales(family: str) -> None:
    trainer = make_trainer(narrow(family, steps=5, networks={"scales": 2}), Run())
    before = weights_of(trainer)
    trainer.advance(batch_of)
    after = weights_of(trainer)
    judges = [key for key in before if kind_of(key) == "discriminators"]
    assert len(judges) > len(weights_of(make_trainer(narrow(family, steps=5), Run()))) // 4
    assert any("scales.1" in key or "layer1" in key for key in judges)
    # A bias before a norm has no gradient but rounding's.
    still = [key for key in judges if torch.equal(before[key], after[key])]
    assert all(key.endswith("bias") for key in still)
    names = [n for n in trainer.objective.groups["discriminators"] if "backward" not in n]
    realism = Realism([trainer.objective.networks[name].eval() for name in names])
    image = batch_of(3)["b"]
    with torch.inference_mode():
        scores = realism(image, image)
    assert scores.shape == (1, 1, 64, 64)
    assert float(scores.std()) > 0


@pytest.mark.slow
def test_a_model_trained_in_stages_stains(tmp_path: Path) -> None:
    recipe = staged("ugatit", steps=5, networks={"light": False}, validate_every=4)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :96]
    waves = [np.sin(y / 9 + k) * np.cos(x / 7 - k) for k in range(6)]
    images = {
        side: [
            nt.open_image((127 + 60 * np.stack(waves[k : k + 3]) + rng.normal(0, 9, (3, 80, 96)))
                          .astype(np.uint8), axes="cyx")
            for k in ks
        ]
        for side, ks in (("a", (0, 1, 2)), ("b", (3, 2, 1)))
    }  # fmt: skip
    model = nt.train(recipe, images=images, out=tmp_path / "m.safetensors", device="cpu")
    assert model.card.architecture == "coarse_to_fine"
    assert model.card.exact
    assert "heatmap" in model.card.offers
    assert "realism" in model.card.offers
    assert TranslationRecipe.from_dict(model.card.recipe) == recipe
    found = nt.stain(images["a"][0], model, outputs=["image", "heatmap", "realism"])
    assert {raster.shape[-2:] for raster in found.values()} == {(80, 96)}
    assert float(np.asarray(found["image"]).std()) > 0


class Exploding:
    """A signal that grows exponentially with a weight, as in a deep network without norms."""

    groups: Mapping[str, tuple[str, ...]] = {"generators": ("forward",)}

    def __init__(self) -> None:
        self.networks = {"forward": nn.Conv2d(1, 1, 1, bias=False)}
        nn.init.zeros_(self.networks["forward"].weight)

    def step(self, batch: Batch, update: Update) -> Losses:
        made = batch["a"] * torch.sinh(70 * self.networks["forward"].weight)
        loss = (made - batch["b"]).square().mean()
        update("generators", loss)
        return {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


def with_dirt(step: int) -> dict[str, Tensor]:
    """Targets that disagree, and one crop with values far outside the usual."""
    a = torch.full((1, 1, 4, 4), 1000.0 if step == 300 else 0.1)
    return {"a": a, "b": a * (-1) ** step}


def test_shorter_gradients_keep_an_unstable_training_finite() -> None:
    def train(clip: float) -> float:
        schedule = Schedule(
            steps=400, lr=0.1, warmup=100, decay="constant", clip=clip, optimiser="adam",
            betas=(0.5, 0.999), ema=0.0,
        )  # fmt: skip
        trainer = Trainer(Exploding(), schedule)
        trainer.run(with_dirt)
        return float(trainer.networks()["forward"].weight.detach())

    with pytest.raises(TrainingError, match=r"step 302: loss is inf.*clip=0; 0 is none"):
        train(clip=0.0)
    assert abs(train(clip=1.0)) < 0.05
