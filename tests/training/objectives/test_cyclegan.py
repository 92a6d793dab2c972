from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from references import adam, networks_of, recorded, reference_network
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.training.objectives.cyclegan import (
    CycleGAN,
    Weights,
    build,
    cycle_parts,
    parts,
    patch_part,
)

NAME = "cyclegan_tiny_resnet9"
LOSSES = {
    "D_A": 0.8087215423583984,
    "D_B": 1.0430961847305298,
    "G_A": 0.896468460559845,
    "G_B": 1.704387903213501,
    "cycle_A": 5.498865127563477,
    "cycle_B": 5.636474609375,
    "idt_A": 2.8122243881225586,
    "idt_B": 2.7682924270629883,
}
"""Of one training step of the published implementation."""
TINY = {"ngf": 2, "n_blocks": 1}


def small(channels: tuple[int, int] = (3, 3), scales: int = 1, **options: Any) -> dict:
    torch.manual_seed(0)
    found = cycle_parts("resnet_generator", {**TINY, **options}, *channels, scales)
    return networks_of(found)


def batch_of(channels: tuple[int, int] = (3, 3), **more: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.rand(1, c, 48, 48, generator=generator) * 2 - 1 for c in channels)
    return {"a": a, "b": b, **more}


def step(objective: CycleGAN, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return objective.step(batch, adam(objective.networks, objective.groups))


def test_a_step_has_the_published_losses() -> None:
    arrays = recorded(NAME)
    networks = {
        "forward": reference_network(f"{NAME}/latest_net_G_A.pth", "resnet_generator", ngf=8),
        "backward": reference_network(f"{NAME}/latest_net_G_B.pth", "resnet_generator", ngf=8),
    }
    for name, file in (("discriminator", "D_A"), ("discriminator_backward", "D_B")):
        path = f"{NAME}/latest_net_{file}.pth"
        networks[name] = reference_network(path, "patch", "discriminators", ndf=8)
    losses = step(build(networks), {"a": arrays["train_A"], "b": arrays["train_B"]})
    assert losses.keys() == LOSSES.keys()
    for name, value in LOSSES.items():
        # Means over thousands of values that agree to 2e-6 of 1.
        assert float(losses[name]) == pytest.approx(value, rel=2e-6), name
        assert not losses[name].requires_grad


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def test_identity_and_cycle_losses_use_their_domains() -> None:
    networks = {**small(), "forward": Times(2.0), "backward": Times(3.0)}
    batch = {"a": torch.ones(1, 3, 48, 48), "b": torch.full((1, 3, 48, 48), 10.0)}
    losses = step(build(networks, Weights(cycle_a=10, cycle_b=1, identity=0.5)), batch)
    # Identity: what forward makes of b, and backward of a.
    assert float(losses["idt_A"]) == pytest.approx(1 * 0.5 * abs(2 * 10 - 10))
    assert float(losses["idt_B"]) == pytest.approx(10 * 0.5 * abs(3 * 1 - 1))
    assert float(losses["cycle_A"]) == pytest.approx(10 * abs(3 * 2 * 1 - 1))
    assert float(losses["cycle_B"]) == pytest.approx(1 * abs(2 * 3 * 10 - 10))


def test_generators_step_first_and_each_group_alone() -> None:
    networks, calls = small(), []
    objective = build(networks)

    def update(group: str, loss: Tensor) -> None:
        for network in networks.values():
            network.zero_grad()
        loss.backward()
        moved = {
            name
            for name, network in networks.items()
            if any(p.grad is not None and bool(p.grad.any()) for p in network.parameters())
        }
        assert moved == set(objective.groups[group])
        calls.append(group)

    objective.step(batch_of(), update)
    assert calls == ["generators", "discriminators"]
    assert all(p.requires_grad for network in networks.values() for p in network.parameters())


def test_discriminator_losses_are_halved_and_see_the_pool() -> None:
    networks, batch = small(), batch_of()
    objective = build(networks, pool_size=1)
    with torch.no_grad():
        first = networks["forward"](batch["a"])
    step(objective, batch)
    with torch.no_grad():
        fakes = (first, networks["forward"](batch["a"]))
        real, *scores = (networks["discriminator"](x) for x in (batch["b"], *fakes))
    told = [float(((real - 1).square().mean() + s.square().mean()) / 2) for s in scores]
    # The seed's first draw exchanges the image for the older one.
    found = float(step(objective, batch)["D_A"])
    assert found == pytest.approx(told[0], rel=1e-5)
    assert found != pytest.approx(told[1], rel=1e-4)


def test_pairs_steer_both_generators() -> None:
    networks = small(scales=2)
    pair = {key: batch_of()[key[-1]].flip(-1) for key in ("pair_a", "pair_b")}
    weight = torch.zeros(1, 1, 48, 48)
    weight[..., :16] = 1
    with torch.no_grad():
        expected = (networks["forward"](pair["pair_a"]) - pair["pair_b"])[..., :16].abs().mean()
        back = (networks["backward"](pair["pair_b"]) - pair["pair_a"])[..., :16].abs().mean()
    losses = step(build(networks), batch_of(**pair, weight=weight))
    assert float(losses["pair_A"]) == pytest.approx(100 * float(expected), rel=1e-5)
    assert float(losses["pair_B"]) == pytest.approx(100 * float(back), rel=1e-5)
    assert float(losses["pair_features_A"]) > 0
    assert float(losses["pair_features_B"]) > 0


def test_pairs_do_not_change_the_other_losses() -> None:
    networks = small()
    pair = {key: batch_of()[key[-1]].flip(-1) for key in ("pair_a", "pair_b")}
    plain = step(build(copy.deepcopy(networks)), batch_of())
    steered = step(build(copy.deepcopy(networks)), batch_of(**pair))
    for name in ("G_A", "G_B", "cycle_A", "cycle_B", "idt_A", "idt_B"):
        assert float(steered[name]) == pytest.approx(float(plain[name]), rel=1e-5)


def test_the_identity_loss_needs_equal_channels() -> None:
    objective, batch = build(small((1, 3))), batch_of((1, 3))
    with pytest.raises(InputError, match="identity to 0"):
        step(objective, batch)
    losses = step(build(small((1, 3)), Weights(identity=0)), batch)
    assert losses.keys() == LOSSES.keys() - {"idt_A", "idt_B"}


@pytest.mark.parametrize("options", [{"norm": "batch"}, {"dropout": True}], ids=str)
def test_other_generators_play_too(options: dict[str, Any]) -> None:
    losses = step(build(small(**options), game="vanilla"), batch_of())
    assert all(bool(loss.isfinite()) for loss in losses.values())


def test_a_resumed_objective_is_the_uninterrupted_one(tmp_path: Path) -> None:
    networks = small()
    first = build(networks, pool_size=2)
    for _ in range(3):
        step(first, batch_of())
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = build(copy.deepcopy(networks), pool_size=2, seed=9)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(3):
        one, other = step(first, batch_of()), step(second, batch_of())
        assert {k: float(v) for k, v in one.items()} == {k: float(v) for k, v in other.items()}


def test_parts_are_as_published() -> None:
    found = parts()
    assert found["forward"] == Part(
        "resnet_generator", {"in_channels": 3, "out_channels": 3, "ngf": 64, "n_blocks": 9}
    )
    assert found["discriminator"] == patch_part(3, 64)
    unequal = parts("tiny", 1, 3, scales=3)
    assert unequal["discriminator"].options["in_channels"] == 3
    assert unequal["discriminator_backward"].options == {"in_channels": 1, "ndf": 16, "scales": 3}
    assert unequal["backward"].options["out_channels"] == 1
    with pytest.raises(InputError, match="standard"):
        parts("huge")


def test_networks_are_separate_and_complete() -> None:
    networks = small()
    with pytest.raises(InputError, match="of its own"):
        build({**networks, "backward": networks["forward"]})
    del networks["discriminator"]
    with pytest.raises(InputError, match=r"missing \['discriminator'\]"):
        build(networks)
    with pytest.raises(InputError, match="0 or more"):
        Weights(identity=-1)
