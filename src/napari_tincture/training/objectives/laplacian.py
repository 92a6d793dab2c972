"""Laplacian pyramid translation: CycleGAN's game on crops too large for other generators."""

from __future__ import annotations

from collections.abc import Mapping

from napari_tincture.models.card import Part
from napari_tincture.training.objective import ADAM, Published
from napari_tincture.training.objectives.cyclegan import Weights, build, patch_part
from napari_tincture.training.sizes import Size, pick

PUBLISHED = Published(
    title="Laplacian pyramid translation",
    data="unpaired",
    citation=(
        "Liang, Zeng, Zhang, High-resolution photorealistic image translation in real-time: a "
        "Laplacian pyramid translation network, CVPR 2021"
    ),
    schedule={"lr": 1e-4, "weight_decay": 0.0, **ADAM},
    crops=2,
    initialisation="none",
)

__all__ = ["Weights", "build", "parts"]

PRESETS: Mapping[Size, Mapping[str, int]] = {
    "tiny": {"levels": 3, "nrb_low": 3, "nrb_high": 2, "width": 32},
    "standard": {"levels": 3, "nrb_low": 5, "nrb_high": 3, "width": 64},
    "large": {"levels": 4, "nrb_low": 5, "nrb_high": 3, "width": 64},
}


def parts(
    size: Size = "standard", in_channels: int = 3, out_channels: int = 3, scales: int = 3
) -> dict[str, Part]:
    """Translators of Laplacian pyramids and PatchGANs, for `scales` sizes of the image.

    The published training has no way back and compares results with their inputs instead, which
    ties colours to the source's: a stain needs CycleGAN's game.

    References
    ----------
    Liang, Zeng, Zhang, CVPR 2021, arXiv 2105.09188, section 3.
    """
    options = pick(size, PRESETS)

    def translator(a: int, b: int) -> Part:
        return Part("laplacian_translator", {"in_channels": a, "out_channels": b, **options})

    return {
        "forward": translator(in_channels, out_channels),
        "backward": translator(out_channels, in_channels),
        "discriminator": patch_part(out_channels, options["width"], scales),
        "discriminator_backward": patch_part(in_channels, options["width"], scales),
    }
