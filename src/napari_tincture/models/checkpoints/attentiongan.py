"""AttentionGAN's checkpoints, of all three versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tincture.models.card import Part
from napari_tincture.models.checkpoints._generators import BLOCK, STACK
from napari_tincture.models.checkpoints._judges import read_judge
from napari_tincture.models.checkpoints._kinds import Kind, directed, made
from napari_tincture.models.checkpoints._shapes import indices, kernels, shapes_of, usual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import Recognised, State, States

KIND = Kind(
    "attentiongan",
    "AttentionGAN",
    "Tang et al., AttentionGAN: Unpaired image-to-image translation using attention-guided "
    "generative adversarial networks, IEEE TNNLS 2021, arXiv 1911.11897.",
)
BOTH = {"forward": ("G_A", "G_B"), "discriminator": ("D_A", "D_B")}
ONE = {"forward": ("G",), "discriminator": ("D",)}


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise generators by their layers for masks."""
    found = directed(states, ONE if "G" in states else BOTH, read_generator, read_judge, given)
    return None if found is None else made(KIND, found, {}, given)


def read_generator(state: State) -> Part | None:
    """Version 2 or "geo" by the number of contents, version 1 by its own layers."""
    shapes = shapes_of(state)
    if "deconv3_attention.weight" not in shapes:
        return _read_first(state)
    names = ("conv1", "conv2", "deconv2_content", "deconv2_attention", "deconv3_content")
    layers = [shapes.get(f"{name}.weight", (0, 0)) for name in names]
    ngf = usual([layers[0][0], layers[1][1], layers[2][1], layers[3][1], layers[4][1]])
    inputs, contents = layers[0][1], layers[4][0]
    background = contents == 9 * inputs
    options = {
        "in_channels": inputs,
        "out_channels": inputs if background else contents // 10,
        "ngf": ngf,
        "n_blocks": len(indices(shapes, "resnet_blocks.")),
        "version": "v2" if background else "geo",
        "bias": "conv1.bias" in shapes,
    }
    return Part("attention_generator", options)


def _read_first(state: State) -> Part | None:
    """Version 1 doubles by shuffling pixels, for which a 1 × 1 convolution makes channels."""
    shapes = shapes_of(state)
    layers = [*kernels(shapes, STACK).values()]
    if [shape[-1] for shape in layers] != [7, 3, 3, 3, 1, 3, 1, 7]:
        return None
    options = {
        "in_channels": layers[0][1],
        "out_channels": layers[-1][0] - 1,
        "ngf": usual([layers[0][0], layers[1][1], layers[2][1] // 2, layers[-1][1]]),
        "n_blocks": len(indices(shapes, STACK, BLOCK)),
        "version": "v1",
        "bias": f"{STACK}1.bias" in shapes,
    }
    return Part("attention_generator", options)
