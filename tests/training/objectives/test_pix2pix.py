from __future__ import annotations

import pytest
import torch
from references import adam, networks_of, recorded, reference_network
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.training.objectives.pix2pix import Weights, build, parts

NAME = "pix2pix_tiny_unet256"
LOSSES = {
    "D_fake": 0.9303559064865112,
    "D_real": 0.6068239808082581,
    "G_GAN": 0.6475124359130859,
    "G_L1": 61.265987396240234,
}
"""Of one training step of the published implementation."""


def test_a_step_has_the_published_losses() -> None:
    arrays = recorded(f"{NAME}_train")
    networks = {
        "forward": reference_network(
            f"{NAME}/latest_net_G.pth", "unet_generator", ngf=4, dropout=False
        ),
        "discriminator": reference_network(
            f"{NAME}/latest_net_D.pth", "patch", "discriminators",
            in_channels=6, ndf=8, norm="batch",
        ),
    }  # fmt: skip
    objective = build(networks)
    batch = {"a": arrays["train_A"], "b": arrays["train_B"]}
    losses = objective.step(batch, adam(networks, objective.groups))
    assert losses.keys() == LOSSES.keys()
    for name, value in LOSSES.items():
        # Batch statistics of single images: values agree to 2e-6 of 1 before the sums.
        assert float(losses[name]) == pytest.approx(value, rel=2e-6), name


def small() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    options = {"in_channels": 1, "out_channels": 2, "num_downs": 5, "ngf": 2}
    return networks_of(
        {
            "forward": Part("unet_generator", {**options, "dropout": False}),
            "discriminator": Part("patch", {"in_channels": 3, "ndf": 2, "norm": "none"}),
        }
    )


def batch_of(**more: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.rand(2, c, 64, 64, generator=generator) for c in (1, 2))
    return {"a": a, "b": b, **more}


def test_the_discriminator_steps_first_with_half_its_loss() -> None:
    networks, calls = small(), []
    losses = build(networks, game="lsgan").step(
        batch_of(), lambda group, loss: calls.append((group, float(loss.detach())))
    )
    told = float(losses["D_fake"] + losses["D_real"]) / 2
    fooled = float(losses["G_GAN"] + losses["G_L1"])
    assert [group for group, _ in calls] == ["discriminators", "generators"]
    assert [loss for _, loss in calls] == pytest.approx([told, fooled])


def test_the_discriminator_sees_input_and_output_together() -> None:
    networks, batch = small(), batch_of()
    with torch.no_grad():
        made = torch.cat([batch["a"], networks["forward"](batch["a"])], dim=1)
        scores = networks["discriminator"](made)
    losses = build(networks, game="lsgan").step(batch, lambda *_: None)
    assert float(losses["D_fake"]) == pytest.approx(float(scores.square().mean()), rel=1e-4)
    assert float(losses["G_GAN"]) == pytest.approx(float((scores - 1).square().mean()), rel=1e-4)


def test_weights_of_pixels_act_on_the_difference() -> None:
    weight = torch.zeros(2, 1, 64, 64)
    weight[..., :32] = 1
    networks, batch = small(), batch_of()
    with torch.no_grad():
        difference = (networks["forward"](batch["a"]) - batch["b"]).abs()
    losses = build(networks, Weights(l1=7)).step(batch_of(weight=weight), lambda *_: None)
    assert float(losses["G_L1"]) == pytest.approx(7 * float(difference[..., :32].mean()), rel=1e-5)


def test_parts_are_as_published() -> None:
    found = parts(in_channels=1)
    assert found["forward"].options == {
        "in_channels": 1, "out_channels": 3, "num_downs": 8, "ngf": 64,
    }  # fmt: skip
    assert found["discriminator"].options == {"in_channels": 4, "ndf": 64, "norm": "batch"}


def test_what_does_not_match_is_refused() -> None:
    networks = small()
    batch = batch_of()
    with pytest.raises(InputError, match="one size"):
        build(networks).step({**batch, "b": batch["b"][:, :, :32]}, lambda *_: None)
    with pytest.raises(InputError, match="missing"):
        build({"forward": networks["forward"]})
    with pytest.raises(InputError, match="0 or more"):
        Weights(l1=-1)
