from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.discriminators.multiscale import build as discriminator
from napari_tincture.models.encoders.bayesian import build as encoder
from napari_tincture.models.networks.bayesian_generator import build as generator
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.registry import build_network, room_of
from napari_tincture.models.weights import fill_network
from napari_tincture.training.objectives.bayesian_cyclegan import (
    BayesianCycleGAN,
    Weights,
    build,
    divergence,
    parts,
)

DATA = Path(__file__).parents[2] / "data"
LOSSES = {
    "G_A": 2.0536660701036453,
    "cyc_G_A": 11.477781295776367,
    "G_B": 2.832343116402626,
    "cyc_G_B": 17.892654418945312,
    "D_A": 1.7476354837417603,
    "D_B": 5.744271755218506,
}
"""Of one step of the published implementation."""


def small(batch_norm: bool = False, **more: nn.Module) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    norm = "batch" if batch_norm else "instance"
    judges = {"ndf": 2, "n_layers": 1, "features": False, "norm": norm}
    return {
        "forward": generator(ngf=2, n_blocks_global=1, norm=norm),
        "backward": generator(ngf=2, n_blocks_global=1, norm=norm),
        "discriminator": discriminator(3, **judges),
        "discriminator_backward": discriminator(3, **judges),
        **more,
    }


def encoders() -> dict[str, nn.Module]:
    return {name: encoder(nef=2) for name in ("encoder", "encoder_backward")}


def batch(count: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {name: torch.rand(count, 3, 16, 16) for name in "ab"}


def steps(objective: BayesianCycleGAN, count: int) -> list[dict[str, float]]:
    optimisers = {
        group: torch.optim.Adam(
            [p for name in names for p in objective.networks[name].parameters()],
            lr=2e-4, betas=(0.5, 0.999),
        )
        for group, names in objective.groups.items()
    }  # fmt: skip

    def update(group: str, loss: Tensor) -> None:
        optimisers[group].zero_grad()
        loss.backward()
        optimisers[group].step()

    found = [objective.step(batch(), update) for _ in range(count)]
    return [{name: loss.item() for name, loss in losses.items()} for losses in found]


def test_losses_of_the_published_step() -> None:
    networks = {
        "forward": generator(ngf=8, n_blocks_global=3),
        "backward": generator(ngf=8, n_blocks_global=3),
        "discriminator": discriminator(3, ndf=8, num_D=1, features=False),
        "discriminator_backward": discriminator(3, ndf=8, num_D=2, features=False),
    }
    for network, name in zip(networks.values(), ("G_A", "G_B", "D_A", "D_B"), strict=True):
        file = DATA / "bayes_cyclegan_tiny_z" / f"latest_net_{name}.pth"
        fill_network(network, read_checkpoint(file), file.name)
    recorded = {
        key: torch.from_numpy(value)
        for key, value in np.load(DATA / "bayes_cyclegan_tiny_z.npz").items()
    }
    made = []
    networks["forward"].register_forward_hook(lambda *call: made.append(call[-1].detach()))

    def draw(domain: str, shape: tuple[int, ...]) -> Tensor:
        return recorded[f"train_z_{domain}"].reshape(shape)

    objective = build(networks, mc_x=3, mc_y=2, draw=draw)
    turns = []
    images = {"a": recorded["train_A"], "b": recorded["train_B"]}
    losses = objective.step(images, lambda group, loss: turns.append(group))
    # Sums of float32 means, one of them over every weight.
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(LOSSES, rel=1e-6)
    assert turns == ["generators", "discriminators"]
    torch.testing.assert_close(made[0], recorded["train_fake_B"], rtol=0, atol=1.9e-5)


def test_only_the_group_whose_turn_it_is_learns() -> None:
    networks = small()
    objective = build(networks)

    def update(group: str, loss: Tensor) -> None:
        loss.backward()
        for other, names in objective.groups.items():
            for name in names:
                has = [p.grad is not None for p in networks[name].parameters()]
                assert all(has) if other == group else not any(has), (group, name)
        for network in networks.values():
            network.zero_grad()

    objective.step(batch(), update)


def test_batch_norm_sees_fakes_and_reals_apart() -> None:
    networks = small(batch_norm=True)
    seen: list[int] = []
    networks["discriminator"].register_forward_hook(lambda _, x, y: seen.append(len(x[0])))
    build(networks, mc_x=3, mc_y=2).step(batch(), lambda group, loss: None)
    # Two images, each with two samples of its own and three of what comes back.
    assert seen == [4, 6, 2, 4, 6]


def test_without_gamma_nobody_judges_what_comes_back() -> None:
    networks = small()
    judged: list[int] = []
    networks["discriminator"].register_forward_hook(lambda _, x, y: judged.append(len(x[0])))
    objective = build(networks, Weights(gamma=0.0, prior=0.0), mc_x=2, mc_y=1)
    losses = objective.step(batch(), lambda group, loss: None)
    assert judged == [2, 4]
    assert set(losses) == set(LOSSES)


def test_resumed_draws_are_those_of_an_uninterrupted_run() -> None:
    for more in ({}, encoders()):
        first = build(small(**more))
        steps(first, 2)
        state = first.state_dict()
        weights = {name: n.state_dict() for name, n in first.networks.items()}
        again = build(small(**(encoders() if more else {})), seed=5)
        for name, network in again.networks.items():
            network.load_state_dict(weights[name])
        again.load_state_dict(state)
        assert steps(again, 1) == steps(first, 1)


def test_encoders_learn_with_the_generators() -> None:
    networks = small(**encoders())
    objective = build(networks, mc_x=2, mc_y=2)
    assert objective.groups["generators"][2:] == ("encoder", "encoder_backward")
    losses = objective.step(batch(), lambda group, loss: loss.backward())
    assert {"kl_A", "kl_B"} < set(losses)
    for name in ("encoder", "encoder_backward"):
        for place, weight in networks[name].named_parameters():
            assert weight.grad is not None, (name, place)


def test_the_divergence_is_torchs() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 4, 8)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)
    )
    torch.testing.assert_close(divergence(mean, log_variance), expected.mean())


@pytest.mark.parametrize("size", ["tiny", "standard", "large"])
def test_parts_can_be_built(size: str) -> None:
    found = parts(size, 1, 3, scales=2, encoder=True)
    with torch.device("meta"):
        networks = {
            name: build_network(p.architecture, p.options, room_of(name))
            for name, p in found.items()
        }
    widths = {name: next(network.parameters()).shape[1] for name, network in networks.items()}
    assert widths == {
        "forward": 2, "backward": 4, "discriminator": 3, "discriminator_backward": 1,
        "encoder": 3, "encoder_backward": 1,
    }  # fmt: skip
    assert set(build(networks).networks) == set(found)


def test_bad_input_is_named() -> None:
    networks = small()
    with pytest.raises(InputError, match="backward"):
        build({"forward": networks["forward"]})
    with pytest.raises(InputError, match="both encoders"):
        build({**networks, "encoder": encoder(nef=2)})
    with pytest.raises(InputError, match="Monte Carlo"):
        build(networks, mc_x=0)
    with pytest.raises(InputError, match="as many images"):
        build(networks).step({**batch(), "b": batch(1)["b"]}, lambda group, loss: None)
    with pytest.raises(InputError, match="gamma"):
        Weights(gamma=-0.5)
