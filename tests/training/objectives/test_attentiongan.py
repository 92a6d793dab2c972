from __future__ import annotations

import pytest
from references import adam, networks_of, recorded, reference_network

from napari_tincture.training.objectives.attentiongan import build, parts

NAME = "attentiongan_tiny_v2"
LOSSES = {
    "D_A": 0.7857768535614014,
    "G_A": 0.8640850186347961,
    "cycle_A": 5.2626800537109375,
    "cycle_B": 5.290494441986084,
    "idt_A": 2.511366367340088,
    "idt_B": 2.2969796657562256,
}
"""Of one training step of the published implementation, but for those that depend on its second
discriminator, whose weights were not recorded."""


def test_a_step_has_the_published_losses() -> None:
    arrays = recorded(NAME)
    networks = {
        "forward": reference_network(f"{NAME}/latest_net_G_A.pth", "attention_generator", ngf=8),
        "backward": reference_network(f"{NAME}/latest_net_G_B.pth", "attention_generator", ngf=8),
    }
    for name in ("discriminator", "discriminator_backward"):
        networks[name] = reference_network(
            f"{NAME}/latest_net_D_A.pth", "patch", "discriminators", ndf=8
        )
    objective = build(networks)
    batch = {"a": arrays["train_A"], "b": arrays["train_B"]}
    losses = objective.step(batch, adam(networks, objective.groups))
    for name, value in LOSSES.items():
        # Means over thousands of values that agree to 5e-6 of 1.
        assert float(losses[name]) == pytest.approx(value, rel=5e-6), name


def test_the_input_is_the_background_where_channels_agree() -> None:
    assert parts()["forward"].options["version"] == "v2"
    assert parts("tiny", 1, 3)["backward"].options["version"] == "geo"
    networks = networks_of(parts("tiny", 1, 3))
    assert networks["forward"].extras == {"attention": 10, "content": 30}
