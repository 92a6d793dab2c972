"""What a checkpoint looks like that is none of those that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tincture.models.checkpoints._judges import read_judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import State, States

MARKS: Mapping[str, str] = {
    ".res_block.": "an SR3 diffusion model",
    "temb.dense": "a DDIM diffusion model",
    "input_blocks.0.": "a guided or semantic diffusion model",
    "param_free_norm": "a SPADE generator",
    "down_blocks.0.": "a U-Net of diffusers",
    "model.diffusion_model.": "a latent diffusion model",
    "conv_tower.": "an AttentionGAN v1 discriminator",
    "layer1.0.conv1": "a torchvision ResNet",
    "features.0.": "a torchvision VGG or similar classifier",
    "Mixed_5b.": "an Inception network",
    "double_conv": "a U-Net for segmentation",
    "attn.qkv": "a vision transformer",
    "encoder.layers.": "a transformer",
}
"""By a piece of a tensor's name."""


def described(states: States) -> str:
    """Number of tensors, first names, largest shapes and, if known, the kind of network."""
    return "; ".join(_described(role, state) for role, state in list(states.items())[:3])


def _described(role: str, state: State) -> str:
    largest = sorted(state.items(), key=lambda item: -item[1].numel())[:2]
    shapes = ", ".join(f"{key} {tuple(value.shape)}" for key, value in largest)
    names = ", ".join(list(state)[:3])
    kind = _kind(state)
    looks = f" and looks like {kind}" if kind else ""
    return f"{role} has {len(state)} tensors ({names}, …; the largest are {shapes}){looks}"


def _kind(state: State) -> str:
    judge = read_judge(state)
    if judge is not None:
        return "a discriminator; choose the file of its generator"
    for piece, kind in MARKS.items():
        if any(piece in key for key in state):
            return kind
    return ""
