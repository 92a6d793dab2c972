from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from references import networks_of, recorded
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.discriminators.spade import build as discriminator
from napari_tincture.models.encoders.spade_style import build as encoder
from napari_tincture.models.label_maps import instance_edges, one_hot
from napari_tincture.models.networks.spade import build as generator
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.registry import build_network, room_of
from napari_tincture.models.weights import fill_network
from napari_tincture.training.objectives.spade import (
    PUBLISHED,
    Spade,
    Weights,
    build,
    divergence,
    parts,
)
from napari_tincture.training.schedule import Schedule

DATA = Path(__file__).parents[2] / "data"
NOISE = 3.74e-6
"""What float32 and float64 runs of the published implementation differ by."""
LOSSES = {
    "GAN": -0.3831164538860321,
    "GAN_Feat": 17.192764282226562,
    "D_Fake": 1.3918933868408203,
    "D_real": 0.7353294491767883,
}
"""Of one step of the published implementation."""


class Adam:
    """Steps of the published optimisers; remembers whose turn it was."""

    def __init__(self, objective: Spade) -> None:
        schedule = Schedule(steps=1, hold=0, **{**PUBLISHED.schedule, "decay": "constant"})
        self.turns: list[str] = []
        self.by_group = {
            group: torch.optim.Adam(
                [p for name in names for p in objective.networks[name].parameters()],
                lr=schedule.rate(0, group), betas=schedule.betas,
            )
            for group, names in objective.groups.items()
        }  # fmt: skip

    def __call__(self, group: str, loss: Tensor) -> None:
        self.turns.append(group)
        self.by_group[group].zero_grad()
        loss.backward()
        self.by_group[group].step()


def small(style: bool = False) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    options: dict[str, Any] = {"ngf": 2, "hidden": 2, "z_dim": 3, "crop_size": 32}
    found: dict[str, nn.Module] = {
        "forward": generator(3, **options, use_vae=style),
        "discriminator": discriminator(6, ndf=2, n_layers=2),
    }
    return {**found, "encoder": encoder(z_dim=3, ngf=2, n_layers=2)} if style else found


def batch(count: int = 2) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return {
        "a": torch.rand(count, 3, 64, 64, generator=draws) * 2 - 1,
        "b": torch.randint(-1, 3, (count, 1, 64, 64), generator=draws).float(),
    }


def nothing(group: str, loss: Tensor) -> None:
    """Leave the weights as they are."""


def values(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


def test_losses_of_the_published_step() -> None:
    networks = {"forward": generator(7, ngf=2), "discriminator": discriminator(10, ndf=4)}
    for network, name in zip(networks.values(), "GD", strict=True):
        file = DATA / "spade_tiny_normal" / f"latest_net_{name}.pth"
        fill_network(network, read_checkpoint(file), file.name)
    arrays = recorded("spade_tiny_normal")
    made: list[Tensor] = []
    networks["forward"].register_forward_hook(lambda *call: made.append(call[2].detach()))
    objective = build(networks)
    adam = Adam(objective)
    shown = {"a": arrays["image"], "b": arrays["label"], "instances": arrays["instance"]}
    losses = objective.step(shown, adam)
    torch.testing.assert_close(made[0], arrays["train_generated"], rtol=0, atol=10 * NOISE)
    assert values(losses) == pytest.approx(LOSSES, rel=0, abs=10 * NOISE)
    assert adam.turns == ["generators", "discriminators"]


def test_the_published_rates_are_of_two_scales() -> None:
    schedule = Schedule(steps=4, **PUBLISHED.schedule, hold=2)
    assert schedule.rate(0, "generators") == 1e-4
    assert schedule.rate(0, "discriminators") == 4e-4
    assert schedule.betas == (0.0, 0.9)


def test_each_network_learns_from_its_own_loss_alone() -> None:
    networks = small(style=True)
    before = {name: copy.deepcopy(n.state_dict()) for name, n in networks.items()}
    objective = build(networks)
    assert objective.groups["generators"] == ("forward", "encoder")
    learned = []

    def only(group: str, loss: Tensor) -> None:
        loss.backward()
        learned.append(
            {n for n, net in networks.items() if any(p.grad is not None for p in net.parameters())}
        )
        for network in networks.values():
            network.zero_grad()

    objective.step(batch(), only)
    assert learned == [{"forward", "encoder"}, {"discriminator"}]
    objective.step(batch(), Adam(objective))
    for name, network in networks.items():
        new = dict(network.named_parameters())
        assert any(not torch.equal(before[name][key], value) for key, value in new.items()), name


def test_pixels_without_a_label_are_of_no_class() -> None:
    images = batch()
    shown = build(small()).shown(images)
    assert shown.shape == (2, 3, 64, 64)
    assert torch.equal(shown, one_hot(images["b"], 3))
    assert torch.equal(shown.sum(1, keepdim=True) == 0, images["b"] == -1)


def test_instances_are_shown_as_edges() -> None:
    images = batch()
    images["b"] = images["b"].clamp(0, 1)
    images["instances"] = torch.arange(64).expand(2, 1, 64, 64) // 10
    shown = build(small()).shown(images)
    assert torch.equal(shown[:, :2], one_hot(images["b"], 2))
    assert torch.equal(shown[:, 2:], instance_edges(images["instances"]))


def test_pixels_without_weight_teach_nothing() -> None:
    images = batch()
    images["weight"] = torch.zeros(2, 1, 64, 64)
    images["weight"][..., :32] = 1
    other = {**images, "a": images["a"].clone()}
    other["a"][..., 32:] = 0
    found = [values(build(small(), Weights()).step(b, nothing)) for b in (images, other)]
    assert found[0] == found[1]


def test_features_count_by_their_number_of_layers() -> None:
    images = batch()
    networks = small()
    losses = build(networks, Weights(features=3.0)).step(images, nothing)
    networks = small()
    shown = one_hot(images["b"], 3)
    with torch.no_grad():
        fake = networks["forward"](shown)
        both = torch.cat([torch.cat([shown, image], 1) for image in (fake, images["a"])])
        judged = networks["discriminator"](both)
    sums = [sum((m[:2] - m[2:]).abs().mean() for m in maps[:-1]) for maps in judged]
    torch.testing.assert_close(losses["GAN_Feat"], 3 * (sums[0] + sums[1]) / 2)
    torch.testing.assert_close(
        losses["GAN"], -(judged[0][-1][:2].mean() + judged[1][-1][:2].mean()) / 2
    )
    assert "GAN_Feat" not in build(small(), Weights(features=0.0)).step(images, nothing)


def test_styles_are_drawn_where_the_encoder_says() -> None:
    torch.manual_seed(1)
    images = batch()
    networks = small(style=True)
    seen: list[Tensor] = []
    networks["forward"].register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    with torch.no_grad():
        networks["encoder"].eval()
        mean, log_variance = networks["encoder"](images["a"])
    losses = build(networks, Weights(kld=0.5)).step(images, nothing)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()),
        torch.distributions.Normal(0.0, 1.0),
    ).sum()
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    torch.testing.assert_close(losses["KLD"], 0.5 * expected)
    assert [tuple(z.shape) for z in seen] == [(2, 3), (2, 3)]
    assert not torch.equal(*seen)


def test_the_perceptual_loss_is_added_where_there_is_a_vgg() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x / 2] * 5

    images, networks = batch(), small()
    losses = build(networks, Weights(features=0.0, vgg=4.0), vgg=Halves()).step(images, nothing)  # type: ignore[arg-type]
    with torch.no_grad():
        difference = (small()["forward"](one_hot(images["b"], 3)) - images["a"]).abs().mean()
    assert set(losses) == {"GAN", "VGG", "D_Fake", "D_real"}
    torch.testing.assert_close(losses["VGG"], 4 * difference / 2 * (1 + 15 / 32))


@pytest.mark.parametrize("style", [False, True])
@pytest.mark.parametrize("size", ["tiny", "standard", "large"])
def test_parts_can_be_built(size: Any, style: bool) -> None:
    found = parts(size, 7, 1, use_vae=style)
    with torch.device("meta"):
        networks = {
            name: build_network(p.architecture, p.options, room_of(name))
            for name, p in found.items()
        }
        # A style is one of the whole image: its map has one pixel.
        assert not style or networks["forward"].fc(torch.zeros(1, 256)).shape[2:] == (1, 1)
    assert networks["forward"].in_channels == 7
    assert networks["forward"].conv_img.out_channels == 1
    assert next(networks["discriminator"].parameters()).shape[1] == 7 + 1
    assert set(build(networks).networks) == set(found)


def test_bad_input_is_named() -> None:
    networks = small()
    with pytest.raises(InputError, match="4 classes, but the generator takes 3"):
        build(networks, classes=[1, 2, 3, 4]).step(batch(), nothing)
    with pytest.raises(InputError, match=r"Expected classes \(2, 1, 64, 64\)"):
        build(networks).step({**batch(), "b": torch.zeros(2, 1, 8, 8)}, nothing)
    with pytest.raises(InputError, match="discriminator"):
        build({"forward": networks["forward"]})
    with pytest.raises(InputError, match="use_vae=True"):
        build({**networks, "encoder": encoder(z_dim=3, ngf=2, n_layers=2)})
    with pytest.raises(InputError, match="takes one"):
        build({k: v for k, v in small(style=True).items() if k != "encoder"})
    with pytest.raises(InputError, match="not from target='instances'"):
        build(networks, target="instances")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="kind, got Conv2d"):
        build({**networks, "forward": nn.Conv2d(3, 3, 1)})
    with pytest.raises(InputError, match="norm='batch'"):
        parts("tiny", norm="instance", use_vae=True)
    with pytest.raises(InputError, match="kld"):
        Weights(kld=-1)


def test_small_parts_learn_together() -> None:
    found = parts("tiny", 3, 3, use_vae=True)
    narrow = {"ngf": 2, "ndf": 2, "hidden": 2, "z_dim": 3}
    shrunk = {
        name: Part(p.architecture, {k: narrow.get(k, v) for k, v in p.options.items()})
        for name, p in found.items()
    }
    torch.manual_seed(0)
    objective = build(networks_of(shrunk))
    losses = objective.step(batch(), Adam(objective))
    assert set(losses) == {"GAN", "GAN_Feat", "KLD", "D_Fake", "D_real"}
    assert objective.state_dict() == {}
