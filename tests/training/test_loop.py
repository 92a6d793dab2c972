from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from game import Game, play
from torch import Tensor, nn

from napari_tincture.errors import Cancelled, InputError, TrainingError
from napari_tincture.progress import CancelToken
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.log import CsvLog
from napari_tincture.training.loop import Trainer
from napari_tincture.training.losses import LossTerm
from napari_tincture.training.objectives.regression import Regression
from napari_tincture.training.schedule import Schedule

STEPS = 7
SETTINGS: dict[str, Any] = {
    "steps": STEPS, "lr": 0.01, "warmup": 2, "save_every": 2, "validate_every": 3, "keep": "best",
    "optimiser": "adam", "betas": (0.5, 0.999), "decay": "linear", "hold": 3,
    "lr_discriminators": 0.02,
}  # fmt: skip


def trainer(seed: int = 0, **changes: Any) -> Trainer:
    return Trainer(Game(seed), Schedule(**{**SETTINGS, **changes}))


def judge(networks: Mapping[str, nn.Module]) -> dict[str, float]:
    with torch.no_grad():
        shown = networks["forward"](play(99)["a"])
    return {"score": float(shown.mean()), "spread": float(shown.std())}


def everything(made: Trainer) -> dict[str, Any]:
    state = {
        f"{n}.{k}": v for n, net in made.networks().items() for k, v in net.state_dict().items()
    }
    for name, network in made.objective.networks.items():
        state |= {f"live.{name}.{k}": v for k, v in network.state_dict().items()}
    pool = made.objective.state_dict()
    return {**state, **{f"pool {i}": x for i, x in enumerate(pool["pool"])}, "draws": pool["draws"]}


def assert_same(a: Trainer, b: Trainer) -> None:
    first, second = everything(a), everything(b)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    assert (a.step, a.history, a.best_score) == (b.step, b.history, b.best_score)


@pytest.mark.usefixtures("bfloat16_units")
@pytest.mark.parametrize(
    "changes",
    [{}, {"precision": "bfloat16"}, {"precision": "float16"}, {"optimiser": "adamw", "ema": 0.0}],
    ids=["float32", "bfloat16", "float16", "no averages"],
)
def test_resumed_equals_uninterrupted(tmp_path: Path, changes: dict[str, Any]) -> None:
    whole = trainer(**changes)
    whole.run(play, judge, logs=[CsvLog(tmp_path / "whole.csv")])
    token = CancelToken()

    def stop_at_5(step: int, losses: Mapping[str, float]) -> None:
        if step == 5:  # the last checkpoint is of step 4
            token.cancel()

    path = tmp_path / "run.checkpoint"
    logs = [CsvLog(tmp_path / "run.csv")]
    with pytest.raises(Cancelled):
        trainer(**changes).run(
            play, judge, path, cancel=token, hooks=Hooks(on_step=stop_at_5), logs=logs
        )
    resumed = trainer(seed=5, **changes)
    resumed.run(play, judge, path, logs=logs)
    assert_same(whole, resumed)
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "run.csv").read_text()
    again = trainer(**changes)
    again.run(play, judge, path)
    assert_same(whole, again)


def test_a_training_goes_on_in_another_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.checkpoint"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    first = trainer(precision="auto", steps=2, decay="constant")
    first.run(play, None, path)
    assert (first.precision, first.trained_in) == ("bfloat16", "bfloat16")
    assert first.recipe["schedule"]["precision"] == "auto"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for steps, precision in ((5, "auto"), (6, "float16"), (7, "float32")):
        made = trainer(precision=precision, steps=steps, decay="constant")
        made.run(play, None, path)
    said = "bfloat16 (2 steps), float32 (4 steps), float16 (1 steps)"
    assert (made.precision, made.trained_in) == ("float32", said)


def test_more_steps_go_on_from_a_finished_training(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    settings = {"decay": "constant", "steps": 4}
    trainer(**settings).run(play, judge, path)
    longer = trainer(**{**settings, "steps": 6})
    longer.run(play, judge, path)
    whole = trainer(**{**settings, "steps": 6})
    whole.run(play, judge)
    first, second = everything(longer), everything(whole)
    assert all(torch.equal(first[key], second[key]) for key in first if key.startswith("live"))
    with pytest.raises(InputError, match=r"schedule\.steps \(6 → 5\)"):
        trainer(**{**settings, "steps": 5}).run(play, judge, path)


def test_the_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trainer().run(play, None, path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"differs in schedule\.lr \(0\.01 → 0\.5\)\."):
        trainer(lr=0.5).run(play, None, path)
    assert path.read_bytes() == before


def test_networks_that_do_not_fit_the_checkpoint_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trainer().save(path)
    other = trainer()
    other.objective.networks["forward"].append(nn.Conv2d(1, 1, 1))  # type: ignore[operator]
    with pytest.raises(InputError, match=r"does not fit.*5\.weight"):
        other.load(path)


def test_the_best_validated_weights_are_kept_on_request() -> None:
    scores = iter([1.0, 3.0, 2.0])
    schedule = Schedule(steps=3, validate_every=1, keep="best", lr=0.1)
    objective = Regression({"forward": nn.Conv2d(1, 1, 1)}, (LossTerm("mse"),))
    kept: list[Tensor] = []

    def validate(networks: Mapping[str, nn.Module]) -> dict[str, float]:
        kept.append(networks["forward"].state_dict()["weight"].clone())
        return {"score": next(scores)}

    batch = {"a": torch.ones(1, 1, 2, 2), "b": torch.zeros(1, 1, 2, 2)}
    best = Trainer(objective, schedule).run(lambda step: batch, validate)
    assert torch.equal(best["forward"].state_dict()["weight"], kept[1])
    assert not torch.equal(kept[1], kept[2])


def test_stop_and_keep_saves_what_was_learned(tmp_path: Path) -> None:
    control, path = Control(), tmp_path / "run.checkpoint"
    made = trainer(keep="last")
    hooks = Hooks(on_step=lambda step, losses: control.stop() if step == 3 else None)
    networks = made.run(play, None, path, control=control, hooks=hooks)
    assert made.step == 3
    resumed = trainer(keep="last")
    resumed.load(path)
    assert resumed.step == 3
    for key, value in networks["forward"].state_dict().items():
        assert torch.equal(value, resumed.networks()["forward"].state_dict()[key])


def test_previews_see_averages_and_hinder_nothing() -> None:
    plain, watched = trainer(keep="last"), trainer(keep="last")
    seen: list[tuple[int, bool]] = []

    def look(step: int, networks: Mapping[str, nn.Module]) -> None:
        torch.rand(5)
        seen.append((step, any(network.training for network in networks.values())))

    plain.run(play)
    done: list[tuple[int, int]] = []
    watched.run(
        play, progress=lambda *at: done.append(at), hooks=Hooks(on_preview=look, preview_every=3)
    )
    assert seen == [(3, False), (6, False)]
    assert done == [(step, STEPS) for step in range(1, STEPS + 1)]
    assert watched.seconds_left() == 0.0
    assert_same(plain, watched)


class Failing(Game):
    """From some step on a loss or a gradient is no number."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.steps = what, 0

    def step(self, batch: Any, update: Any) -> dict[str, Tensor]:
        self.steps += 1
        if self.steps < 6:
            return super().step(batch, update)
        shown = self.networks["forward"](batch["a"])
        factor = {"loss": float("nan"), "gradient": 0.0}[self.what]
        loss = factor * shown.mean() + (0 * shown.mean()).sqrt()  # the root's slope is infinite
        update("generators", loss)
        return {"G": loss.detach()}


@pytest.mark.usefixtures("bfloat16_units")
@pytest.mark.parametrize(
    ("what", "named"), [("loss", "G is nan"), ("gradient", "gradient of the generators is nan")]
)
def test_losses_that_are_no_numbers_stop_the_training(
    tmp_path: Path, what: str, named: str
) -> None:
    path = tmp_path / "run.checkpoint"
    made = Trainer(Failing(what), Schedule(**SETTINGS, precision="bfloat16"))
    message = rf"step 6: {named}.*step 4 is kept.*lr=0\.01.*clip=1.*float32"
    with pytest.raises(TrainingError, match=message):
        made.run(play, None, path)
    assert all(x.isfinite().all() for x in made.averages.networks["forward"].parameters())
    good = trainer(precision="bfloat16")
    good.load(path)
    assert good.step == 4


def test_recomputed_activations_give_the_same_training() -> None:
    def learn(recompute: bool) -> Trainer:
        torch.manual_seed(0)
        level = [nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Dropout(0.3)) for _ in range(3)]
        objective = Regression({"forward": nn.Sequential(*level)}, (LossTerm("l1"),))
        made = Trainer(objective, Schedule(steps=3, recompute=recompute))
        made.run(play)
        return made

    plain, spared = (learn(recompute).networks()["forward"].state_dict() for recompute in (0, 1))
    assert all(torch.equal(plain[key], spared[key]) for key in plain)
