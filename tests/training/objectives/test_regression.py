from __future__ import annotations

import pytest
import torch

from napari_tincture.errors import InputError
from napari_tincture.models.registry import build_network
from napari_tincture.training.loop import Trainer
from napari_tincture.training.losses import LossTerm
from napari_tincture.training.objective import find_objective
from napari_tincture.training.objectives.regression import Regression, Weights, build, parts
from napari_tincture.training.schedule import Schedule


def pair(seed: int = 0) -> dict[str, torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.rand(2, 2, 16, 16, generator=draws) for name in "ab"}


def loss_of(terms: tuple[LossTerm, ...], batch: dict[str, torch.Tensor]) -> float:
    seen: list[float] = []
    objective = Regression({"forward": torch.nn.Identity()}, terms)
    found = objective.step(batch, lambda name, loss: seen.append(loss.item()))
    assert seen == [found["loss"].item()]
    return seen[0]


@pytest.mark.parametrize(("kind", "power"), [("l1", 1), ("mse", 2)])
def test_weighted_losses_are_means_over_the_weight(kind: str, power: int) -> None:
    batch = pair()
    draws = torch.Generator().manual_seed(1)
    weight = torch.rand(2, 1, 16, 16, generator=draws)
    errors = (batch["a"] - batch["b"]).abs() ** power
    expected = (errors.mean(1, keepdim=True) * weight).sum() / weight.sum()
    terms = (LossTerm(kind),)
    assert loss_of(terms, {**batch, "weight": weight}) == pytest.approx(expected.item(), rel=1e-6)
    plain = loss_of(terms, batch)
    assert loss_of(terms, {**batch, "weight": torch.ones_like(weight)}) == pytest.approx(plain)
    assert loss_of(terms, {**batch, "weight": torch.zeros_like(weight)}) == 0.0


def test_other_losses_take_pixels_of_no_weight_to_be_right() -> None:
    batch, terms = pair(), (LossTerm("ssim"), LossTerm("pearson"))
    uneven = torch.rand(2, 1, 16, 16) + 0.1
    assert loss_of(terms, {**batch, "weight": uneven}) == loss_of(terms, batch)
    left = torch.ones(2, 1, 16, 16)
    left[..., 8:] = 0
    found = loss_of(terms, {**batch, "weight": left})
    changed = {**batch, "b": batch["b"] * left}
    assert found == loss_of(terms, {**changed, "weight": left})
    assert 0 < found < loss_of(terms, batch)


def test_the_recipe_family_learns() -> None:
    family = find_objective("regression")
    assert (family.parts, family.build) == (parts, build)
    (part,) = parts("tiny", 2, 2, head="sigmoid").values()
    torch.manual_seed(0)
    network = build_network(part.architecture, part.options)
    objective = build({"forward": network}, Weights(l1=1.0, mse=2.0))
    trainer = Trainer(objective, Schedule(steps=6, lr=1e-2, warmup=0))
    losses = [trainer.advance(lambda step: pair())["loss"] for _ in range(6)]
    assert losses[-1] < 0.9 * losses[0]


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(InputError, match=r"'huge'.*tiny, standard, large"):
        parts("huge")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no loss"):
        build({"forward": torch.nn.Identity()}, Weights(l1=0.0))
