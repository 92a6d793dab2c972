from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.discriminators.ugatit import build as build_discriminator
from napari_tincture.models.networks.ugatit import build as build_generator
from napari_tincture.models.published import read_state_dicts
from napari_tincture.models.registry import build_network, room_of
from napari_tincture.models.weights import fill_network
from napari_tincture.training.objective import Update
from napari_tincture.training.objectives.ugatit import UgatitObjective, Weights, build, parts

DATA = Path(__file__).parents[2] / "data"
CHECKPOINT = DATA / "ugatit_tiny_full_params_0000000.pt"
PUBLISHED = {
    "forward": "genA2B",
    "backward": "genB2A",
    "discriminator": "disGB",
    "discriminator_backward": "disGA",
    "discriminator_local": "disLB",
    "discriminator_local_backward": "disLA",
}


def published() -> dict[str, nn.Module]:
    states = read_state_dicts(CHECKPOINT)
    networks: dict[str, nn.Module] = {}
    for name, key in PUBLISHED.items():
        if key.startswith("gen"):
            networks[name] = build_generator(ch=4, n_res=2, img_size=96)
        else:
            networks[name] = build_discriminator(ndf=4, n_layers=7 if key[3] == "G" else 5)
        fill_network(networks[name], states[key], key)
    return networks


def small(**options: int) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        name: build_network(
            part.architecture,
            {**part.options, "ndf" if "disc" in name else "ch": 2},
            room_of(name),
        )
        for name, part in parts("tiny", img_size=24, **options).items()
    }


def adam(objective: UgatitObjective) -> Update:
    optimisers = {
        group: torch.optim.Adam(
            [p for name in names for p in objective.networks[name].parameters()],
            lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4,
        )
        for group, names in objective.groups.items()
    }  # fmt: skip

    def update(group: str, loss: Tensor) -> None:
        optimisers[group].zero_grad()
        loss.backward()
        optimisers[group].step()

    return update


def batch(side: int = 24) -> Mapping[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(1, 3, side, side, generator=generator) * 2 - 1 for name in "ab"}


def test_two_steps_have_the_published_losses() -> None:
    recorded = np.load(DATA / "ugatit_tiny_full.npz")
    objective = build(published())
    update = adam(objective)
    for i, expected in enumerate(recorded["train_losses_d_g"]):
        images = {name: torch.from_numpy(recorded[f"train_{name.upper()}"][i]) for name in "ab"}
        losses = objective.step(images, update)
        found = [float(losses[f"{name}_loss"]) for name in ("Discriminator", "Generator")]
        # The second step's also carry what Adam makes of the first one's rounding.
        np.testing.assert_allclose(found, expected, rtol=[1e-6, 5e-6][i])


def test_losses_are_weighted_and_add_up() -> None:
    losses = build(small(), Weights(2, 3, 4, 5)).step(batch(), lambda group, loss: None)
    again = build(small(), Weights(1, 1, 1, 1)).step(batch(), lambda group, loss: None)
    names = {"ad": 2, "recon": 3, "identity": 4, "cam": 5}
    for domain in "AB":
        for name, weight in names.items():
            key = f"G_{name}_loss_{domain}"
            assert float(losses[key]) == pytest.approx(weight * float(again[key]), rel=1e-6)
    for whole, start in (("Generator_loss", "G_"), ("Discriminator_loss", "D_")):
        summands = [float(v) for k, v in losses.items() if k.startswith(start)]
        assert float(losses[whole]) == pytest.approx(sum(summands), rel=1e-6)
    assert not any(loss.requires_grad for loss in losses.values())


def test_discriminators_learn_first_and_nothing_else_gets_their_gradients() -> None:
    networks = small()
    calls = []

    def update(group: str, loss: Tensor) -> None:
        for network in networks.values():
            network.zero_grad()
        loss.backward()
        calls.append(group)
        for name, network in networks.items():
            gets = any(p.grad is not None for p in network.parameters())
            assert gets == (name in objective.groups[group]), (group, name)

    objective = build(networks)
    objective.step(batch(), update)
    assert calls == ["discriminators", "generators"]
    assert all(p.requires_grad for network in networks.values() for p in network.parameters())


def test_rho_stays_between_0_and_1() -> None:
    objective = build(small())
    rhos = [
        p
        for name in objective.groups["generators"]
        for key, p in objective.networks[name].named_parameters()
        if key.endswith("rho")
    ]

    def update(group: str, loss: Tensor) -> None:
        with torch.no_grad():
            for index, rho in enumerate(rhos):
                rho.fill_(-1.0 if index % 2 else 2.0)

    objective.step(batch(), update)
    assert {float(v) for rho in rhos for v in rho.detach().flatten()} == {0.0, 1.0}


def test_half_precision_can_be_learned_in() -> None:
    objective = build(small())
    with torch.autocast("cpu", torch.bfloat16):
        losses = objective.step(batch(), adam(objective))
    exact = build(small()).step(batch(), lambda group, loss: None)
    for name in ("Discriminator_loss", "Generator_loss"):
        assert float(losses[name]) == pytest.approx(float(exact[name]), rel=0.1)


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ("standard", {"forward": 278_959_808, "discriminator": 53_130_176}),
        ("standard light", {"forward": 10_589_888, "discriminator_local": 3_290_560}),
        # Two blocks more in each half.
        ("large", {"backward": 278_959_808 + 8 * 9 * 256**2 + 4 * 256}),
    ],
)
def test_published_parts(size: str, counts: Mapping[str, int]) -> None:
    found = parts(size.split()[0], light=True if "light" in size else None)
    assert found.keys() == PUBLISHED.keys()
    for name, count in counts.items():
        with torch.device("meta"):
            network = build_network(found[name].architecture, found[name].options, room_of(name))
        assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("side", [24, 47, 48, 96, 256])
def test_discriminators_can_judge_the_training_images(side: int) -> None:
    found = parts("tiny", img_size=side)
    judges = [
        build_discriminator(ndf=1, n_layers=found[name].options["n_layers"])
        for name in ("discriminator_local", "discriminator")
    ]
    assert judges[0].smallest_side < judges[1].smallest_side <= side


def test_the_number_of_residual_blocks_is_free() -> None:
    assert parts("tiny", n_res=6)["backward"].options["n_res"] == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge"}, "'huge'"),
        ({"in_channels": 1}, "1 and 3"),
        ({"img_size": 20}, "at least 24 pixels, got 20"),
    ],
)
def test_impossible_trainings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parts(**options)


def test_images_of_unequal_sizes_are_refused() -> None:
    images = {"a": batch()["a"], "b": batch(28)["b"]}
    with pytest.raises(InputError, match="equal sizes"):
        build(small()).step(images, lambda group, loss: None)
