"""AttentionGAN: CycleGAN's game with generators that change only what their masks select."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_tincture.models.card import Part
from napari_tincture.training.objective import ADAM, Published
from napari_tincture.training.objectives.cyclegan import Weights, build, cycle_parts
from napari_tincture.training.sizes import Size, pick

PUBLISHED = Published(
    title="AttentionGAN",
    data="unpaired",
    citation=(
        "Tang et al., AttentionGAN: unpaired image-to-image translation using "
        "attention-guided generative adversarial networks, IEEE TNNLS 2021"
    ),
    schedule={"lr": 2e-4, "weight_decay": 0.0, **ADAM},
    resize=286,
)

__all__ = ["Weights", "build", "parts"]

PRESETS: Mapping[Size, Mapping[str, int]] = {
    "tiny": {"ngf": 16, "n_blocks": 6},
    "standard": {"ngf": 64, "n_blocks": 9},
    "large": {"ngf": 96, "n_blocks": 9},
}


def parts(
    size: Size = "standard", in_channels: int = 3, out_channels: int = 3, scales: int = 1
) -> dict[str, Part]:
    """Generators of version 2 and PatchGANs, for `scales` sizes of the image.

    Where the domains differ in channels the input cannot be the background: version "geo".

    References
    ----------
    Tang et al., AttentionGAN, IEEE TNNLS 2021.
    """
    version = "v2" if in_channels == out_channels else "geo"
    options: dict[str, Any] = {**pick(size, PRESETS), "version": version}
    return cycle_parts("attention_generator", options, in_channels, out_channels, scales)
