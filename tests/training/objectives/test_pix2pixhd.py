from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.discriminators.multiscale import build as discriminator
from napari_tincture.models.encoders.pix2pixhd_features import build as encoder
from napari_tincture.models.networks.pix2pixhd import build as generator
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.registry import build_network, room_of
from napari_tincture.models.weights import fill_network
from napari_tincture.training.objectives.pix2pixhd import Pix2PixHD, Weights, build, parts

DATA = Path(__file__).parents[2] / "data"
LOSSES = {
    "G_GAN": 2.3497538566589355,
    "G_GAN_Feat": 13.23713493347168,
    "D_real": 2.383981704711914,
    "D_fake": 0.7909591794013977,
}
"""Of one step of the published implementation."""


class Adam:
    """Steps of the published optimisers; remembers whose turn it was."""

    def __init__(self, objective: Pix2PixHD) -> None:
        self.turns: list[str] = []
        self.by_group = {
            group: torch.optim.Adam(
                [p for name in names for p in objective.networks[name].parameters()],
                lr=2e-4, betas=(0.5, 0.999),
            )
            for group, names in objective.groups.items()
        }  # fmt: skip

    def __call__(self, group: str, loss: Tensor) -> None:
        self.turns.append(group)
        self.by_group[group].zero_grad()
        loss.backward()
        self.by_group[group].step()


def small() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "forward": generator(5, ngf=2, n_downsample_global=1, n_blocks_global=1),
        "encoder": encoder(out_channels=2, nef=2, n_downsample_E=1),
        "discriminator": discriminator(6, ndf=2, n_layers=1),
    }


def batch() -> dict[str, Tensor]:
    return {
        "a": torch.rand(2, 3, 16, 16),
        "b": torch.rand(2, 3, 16, 16),
        "instances": torch.randint(0, 3, (2, 1, 16, 16)),
    }


def test_losses_of_the_published_step() -> None:
    networks = {
        "forward": generator(6, ngf=4, n_downsample_global=3, n_blocks_global=2),
        "discriminator": discriminator(9, ndf=8),
    }
    for (_, network), name in zip(networks.items(), "GD", strict=True):
        file = DATA / "pix2pixhd_tiny_global" / f"latest_net_{name}.pth"
        fill_network(network, read_checkpoint(file), file.name)
    recorded = np.load(DATA / "pix2pixhd_tiny_global.npz")
    shown = {"a": recorded["input_label"].astype(np.float32), "b": recorded["image"]}
    objective = build(networks)
    adam = Adam(objective)
    losses = objective.step({k: torch.from_numpy(v) for k, v in shown.items()}, adam)
    # Means of tens of thousands of float32 values.
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(LOSSES, rel=1e-6)
    assert adam.turns == ["generators", "discriminators"]


def test_an_encoder_learns_with_the_generator() -> None:
    networks = small()
    before = {name: [p.clone() for p in n.parameters()] for name, n in networks.items()}
    objective = build(networks)
    assert objective.groups["generators"] == ("forward", "encoder")

    def only_generators(group: str, loss: Tensor) -> None:
        if group == "generators":
            loss.backward()
            assert all(p.grad is None for p in networks["discriminator"].parameters())

    objective.step(batch(), only_generators)
    for name in ("forward", "encoder"):
        assert any(bool(p.grad.any()) for p in networks[name].parameters()), name
    adam = Adam(objective)
    objective.step(batch(), adam)
    for name, network in networks.items():
        changed = [
            not torch.equal(a, b) for a, b in zip(before[name], network.parameters(), strict=True)
        ]
        assert any(changed), name


def test_the_perceptual_loss_compares_images_as_they_are() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x / 2] * 5

    networks = small()
    del networks["encoder"]
    networks["forward"] = generator(3, ngf=2, n_downsample_global=1, n_blocks_global=1)
    images = batch()
    objective = build(networks, Weights(features=0.0, vgg=4.0), vgg=Halves())
    losses = objective.step(images, lambda group, loss: None)
    with torch.no_grad():
        difference = (networks["forward"](images["a"]) - images["b"]).abs().mean()
    assert set(losses) == {"G_GAN", "G_VGG", "D_real", "D_fake"}
    torch.testing.assert_close(losses["G_VGG"], 4 * difference / 2 * (1 + 15 / 32))


@pytest.mark.parametrize("size", ["tiny", "standard", "large"])
def test_parts_can_be_built(size: str) -> None:
    found = parts(size, 7, 3, instance_feat=True)
    with torch.device("meta"):
        networks = {
            name: build_network(p.architecture, p.options, room_of(name))
            for name, p in found.items()
        }
    assert next(networks["forward"].parameters()).shape[1] == 7 + 3
    assert next(networks["discriminator"].parameters()).shape[1] == 7 + 3
    assert set(build(networks).networks) == set(found)


def test_bad_input_is_named() -> None:
    networks = small()
    with pytest.raises(InputError, match="instances"):
        build(networks).step({k: v for k, v in batch().items() if k != "instances"}, Adam)
    with pytest.raises(InputError, match="one size"):
        build(networks).step({**batch(), "b": torch.zeros(2, 3, 8, 8)}, Adam)
    with pytest.raises(InputError, match="discriminator"):
        build({"forward": networks["forward"]})
    with pytest.raises(InputError, match="features"):
        Weights(features=-1)
