from __future__ import annotations

from math import exp, log, log1p
from typing import Any

import numpy as np
import pytest
import torch
from cells import discs, named
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import open_material
from napari_tincture.training.networks import check_crops
from napari_tincture.training.objectives.adversarial_segmentation import (
    AdversarialSegmentation,
    Weights,
    build,
    parts,
)
from napari_tincture.training.presets import preset

GAMES: dict[Any, float] = {"vanilla": 8.0, "lsgan": 1.0}
"""With the rate at which gradient descent of the toy discriminator converges best."""


class Told(nn.Module):
    """Class 1 where the image is 1, class 0 where it is 0, without a doubt."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(100.0))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([-self.gain * x, self.gain * (x - 1)], dim=1)


class Weighing(nn.Module):
    """A score for every class, whatever the image: the least that can judge label maps."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, 1:] * self.scores[:, None, None]).sum(1, keepdim=True)


class Matching(nn.Module):
    """A score of 2 where the class is what the image says, else of -2."""

    def forward(self, x: Tensor) -> Tensor:
        image, first, second = x.split(1, dim=1)
        return 2 * (1 - 2 * image) * (first - second)


def toy(**options: Any) -> tuple[AdversarialSegmentation, Weighing]:
    judge = Weighing()
    weights = options.pop("weights", Weights(adversarial=0.5))
    options.setdefault("mismatched", False)
    return build({"forward": Told(), "discriminator": judge}, weights, **options), judge


def flat(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, 2, 2)


def at_its_best(
    image: Tensor, labels: Tensor, game: Any, **options: bool
) -> tuple[dict[str, float], Weighing]:
    """Losses with the discriminator at its optimum, and that discriminator."""
    objective, judge = toy(game=game, **options)

    def update(group: str, loss: Tensor) -> None:
        if group == "discriminators":
            (slope,) = torch.autograd.grad(loss, [judge.scores])
            judge.scores.data -= GAMES[game] * slope

    for _ in range(60):
        losses = objective.step({"a": image, "b": labels}, update)
    return {name: float(value) for name, value in losses.items()}, judge


@pytest.mark.parametrize("game", GAMES)
def test_the_game_has_the_optimum_of_theory(game: str) -> None:
    # Of labels, ¾ are class 0; of what the network says, ¼. D* = p_y / (p_y + p_s): ¾ and ¼.
    losses, judge = at_its_best(flat(0, 1, 1, 1), flat(0, 0, 0, 1), game)
    scores = torch.sigmoid(judge.scores) if game == "vanilla" else judge.scores
    # Sixty steps at a rate of convergence of at most ¼ leave float32's rounding.
    torch.testing.assert_close(scores.detach(), torch.tensor([0.75, 0.25]), rtol=0, atol=1e-6)
    expected = {
        "D_real": 0.75 / 16 + 0.25 * 9 / 16,
        "D_fake": 0.25 * 9 / 16 + 0.75 / 16,
        "G_GAN": 0.5 * (0.25 / 16 + 0.75 * 9 / 16),
    }
    if game == "vanilla":
        expected["D_real"] = expected["D_fake"] = -0.75 * log(0.75) - 0.25 * log(0.25)
        expected["G_GAN"] = 0.5 * (-0.25 * log(0.75) - 0.75 * log(0.25))
    assert {name: losses[name] for name in expected} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("game", GAMES)
def test_mismatched_pairs_are_wrong_ones(game: str) -> None:
    image = flat(0, 1, 1, 1)
    # Of any picture's labels ¾ are class 0: D* = ¾ / (¾ + (¼ + ¾) / 2), ¼ / (¼ + (¾ + ¼) / 2).
    _, judge = at_its_best(image, flat(0, 0, 0, 1), game, mismatched=True)
    scores = torch.sigmoid(judge.scores) if game == "vanilla" else judge.scores
    torch.testing.assert_close(scores.detach(), torch.tensor([0.6, 1 / 3]), rtol=0, atol=1e-6)


def test_labels_of_a_pair_s_neighbour_are_mismatched() -> None:
    networks: dict[str, nn.Module] = {"forward": Told(), "discriminator": Matching()}
    objective = build(networks, mismatched=True)
    image = torch.cat([flat(0, 0, 0, 0), flat(1, 1, 1, 1)])
    losses = objective.step({"a": image, "b": image}, lambda *_: None)
    # The score is 2 for the right class and -2 for the wrong one: of the neighbour all are wrong.
    assert float(losses["D_real"]) == pytest.approx(log1p(exp(-2)))
    assert float(losses["D_mismatched"]) == pytest.approx(log1p(exp(-2)))
    half = flat(0, 0, 1, 1)
    losses = objective.step({"a": half, "b": half}, lambda *_: None)
    assert float(losses["D_mismatched"]) == pytest.approx(log1p(exp(-2)))


def test_a_segmentation_that_is_right_cannot_be_told_from_labels() -> None:
    losses, judge = at_its_best(flat(0, 1, 1, 0), flat(0, 1, 1, 0), "vanilla")
    assert judge.scores.tolist() == [0, 0]
    expected = {"D_real": log(2), "D_fake": log(2), "G_GAN": 0.5 * log(2), "cross_entropy": 0}
    assert losses == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_discriminator_steps_first_with_half_its_loss() -> None:
    objective, judge = toy(weights=Weights(dice=2.0, adversarial=0.5))
    calls = []

    def update(group: str, loss: Tensor) -> None:
        calls.append((group, float(loss.detach())))
        if group == "discriminators":
            judge.scores.data[:] = torch.tensor([log(3), -log(3)])

    losses = objective.step({"a": flat(0, 1, 1, 1), "b": flat(0, 0, 0, 1)}, update)
    values = {name: float(value) for name, value in losses.items()}
    assert [*values] == ["D_fake", "D_real", "cross_entropy", "dice", "G_GAN"]
    assert values["G_GAN"] == pytest.approx(0.5 * (-0.25 * log(0.75) - 0.75 * log(0.25)))
    told = (values["D_fake"] + values["D_real"]) / 2
    lowered = values["cross_entropy"] + values["dice"] + values["G_GAN"]
    assert calls == [
        ("discriminators", pytest.approx(told)),
        ("generators", pytest.approx(lowered)),
    ]


def test_stages_can_be_left_out() -> None:
    batch = {"a": flat(0, 1, 1, 1), "b": flat(0, 0, 0, 1)}
    without = toy(weights=Weights(adversarial=0.0))[0].step(batch, lambda *_: None)
    assert [*without] == ["D_fake", "D_real", "cross_entropy"]
    alone = toy(weights=Weights(cross_entropy=0.0))[0].step(batch, lambda *_: None)
    assert [*alone] == ["D_fake", "D_real", "G_GAN"]
    with pytest.raises(InputError, match="no loss"):
        toy(weights=Weights(cross_entropy=0.0, adversarial=0.0))


def small() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    made = parts("tiny", 1, 2, n_layers=1, dropout=0.0)
    narrow = {"depth": 1, "width": 2, "max_width": 2, "norm": "none"}
    forward = Part("unet", {**made["forward"].options, **narrow})
    judge = Part("patch", {**made["discriminator"].options, "ndf": 2, "norm": "none"})
    recipe = preset("adversarial_segmentation", "tiny")
    return recipe.replace(networks={"forward": forward, "discriminator": judge}).build_networks()


@pytest.mark.parametrize("target", ["classes", "instances"])
def test_unlabelled_pixels_are_shown_to_nobody(target: Any) -> None:
    draws = torch.Generator().manual_seed(1)
    image = torch.rand(2, 1, 16, 16, generator=draws)
    labels = torch.randint(0, 2, (2, 1, 16, 16), generator=draws).float()
    unknown = -1.0
    if target == "instances":
        labels, unknown = torch.rand(2, 2, 16, 16, generator=draws), torch.nan
    hidden = torch.zeros(2, 1, 16, 16)
    hidden[..., 9:] = 1
    networks = small()
    noise = torch.randn(2, 2, 16, 16, generator=draws)
    changes = nn.Module()
    changes.forward = lambda x: networks["forward"](x) + hidden * noise  # type: ignore[method-assign]

    def losses(network: nn.Module, **batch: Tensor) -> dict[str, Tensor]:
        objective = build({**networks, "forward": network}, target=target)
        return objective.step({"a": image, "b": labels, **batch}, lambda *_: None)

    sparse = torch.where(hidden > 0, unknown, labels)
    for batch in ({"b": sparse}, {"weight": 1 - hidden}):
        one, other = (losses(n, **batch) for n in (networks["forward"], changes))
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert losses(networks["forward"])["D_fake"] != losses(changes)["D_fake"]


def test_by_turns_each_network_learns_for_an_epoch() -> None:
    batch = {"a": flat(0, 1, 1, 1), "b": flat(0, 0, 0, 1)}
    turns: list[str] = []
    objective, _ = toy(alternation="epoch", epoch=2)

    def update(group: str, loss: Tensor) -> None:
        turns.append(group)
        own = [*objective.networks["forward"].parameters()]
        with_slope = torch.autograd.grad(loss, own, allow_unused=True, retain_graph=True)
        assert (with_slope[0] is None) == (group == "discriminators")

    found = [[*objective.step(batch, update)] for _ in range(3)]
    state = objective.state_dict()
    objective, _ = toy(alternation="epoch", epoch=2)
    objective.load_state_dict(state)
    found += [[*objective.step(batch, update)] for _ in range(3)]
    assert turns == ["discriminators"] * 2 + ["generators"] * 2 + ["discriminators"] * 2
    assert found[1:3] == [["D_fake", "D_real"], ["cross_entropy", "G_GAN"]]


def test_a_recipe_is_fitted_to_its_images() -> None:
    made = preset("adversarial_segmentation", "tiny", crop=32, batch=2, in_channels=3,
                  options={"alternation": "epoch"})  # fmt: skip
    fields = [discs(seed) for seed in range(4)]
    images = {
        "image": [named(image, str(n)) for n, (image, _) in enumerate(fields)],
        "labels": [named(1 + np.minimum(own, 3), str(n)) for n, (_, own) in enumerate(fields)],
    }
    recipe, material = fitted(made, open_material(made, images=images))
    assert recipe.options["epoch"] == 2, "three training pictures, two a step"
    counts = {n: p.options["in_channels"] for n, p in recipe.networks.items()}
    assert counts == {"forward": 1, "discriminator": 1 + 4}
    assert fitted(recipe, material)[0] == recipe
    objective = recipe.build_objective(recipe.build_networks())
    assert isinstance(objective, AdversarialSegmentation)
    assert objective.turns == 2


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(InputError, match=r"missing.*discriminator"):
        build({"forward": Told()})
    with pytest.raises(InputError, match=r"alternation='day'.*batch, epoch"):
        toy(alternation="day")
    unpadded = preset(
        "adversarial_segmentation", "tiny", crop=92, networks={"padded": False, "norm": "none"}
    )
    with pytest.raises(InputError, match=r"92 px, of which 4 px are left.*'discriminator'.*larger"):
        check_crops(unpadded)
    check_crops(preset(
        "adversarial_segmentation", "tiny", crop=124, networks={"padded": False, "norm": "none"}
    ))  # fmt: skip
