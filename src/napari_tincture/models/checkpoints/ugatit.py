"""U-GAT-IT's checkpoints: one file of generators and discriminators of both directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_tincture.models.card import Part
from napari_tincture.models.checkpoints._found import Question
from napari_tincture.models.checkpoints._kinds import Kind, directed, made
from napari_tincture.models.checkpoints._shapes import indices, kernels, shapes_of, usual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import Recognised, State, States

STRIDE = 4
KIND = Kind(
    "ugatit",
    "U-GAT-IT",
    "Kim et al., U-GAT-IT: Unsupervised generative attentional networks with adaptive "
    "layer-instance normalization for image-to-image translation, ICLR 2020, arXiv 1907.10830.",
)
ROLES = {
    "forward": ("genA2B", "genB2A"),
    "discriminator": ("disGB", "disGA"),
    "discriminator_local": ("disLB", "disLA"),
}
"""Names of what leads from A to B or judges B, and of the others."""
ONE = {"forward": ("G",)}


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise generators by their class-activation layers."""
    found = directed(
        states, ONE if "G" in states else ROLES, read_generator, read_discriminator, given
    )
    if found is None:
        return None
    options = found.parts["forward"].options
    questions = {}
    if options["light"]:
        text = "Side in pixels of the images that it was trained on; it takes any."
        questions["img_size"] = Question(text, 256)
    return made(KIND, found, questions, given, free={"img_size"} if options["light"] else set())


def read_generator(state: State) -> Part | None:
    """Full or light, by what the first fully connected layer takes."""
    shapes = shapes_of(state)
    first, style = shapes.get("DownBlock.1.weight"), shapes.get("FC.0.weight")
    last = [*kernels(shapes, "UpBlock2.").values()][-1:]
    if first is None or style is None or not last or "gap_fc.weight" not in shapes:
        return None
    said = [first[0], last[0][1]]
    said += [shapes[key][0] // STRIDE for key in ("conv1x1.weight", "FC.2.weight") if key in shapes]
    ch = usual(said)
    light = style[1] == STRIDE * ch
    side = STRIDE * max(math.isqrt(style[1] // (STRIDE * ch)), 1)
    blocks = indices([key.removeprefix("UpBlock1_") for key in shapes if "UpBlock1_" in key], "")
    return Part(
        "ugatit",
        {
            "in_channels": first[1],
            "out_channels": last[0][0],
            "ch": ch,
            "n_res": len(blocks),
            "img_size": 256 if light else side,
            "light": light,
        },
    )


def read_discriminator(state: State) -> Part | None:
    """Global or local, by the number of layers."""
    shapes = {
        key.removesuffix("_orig"): tuple(value.shape)
        for key, value in state.items()
        if key.endswith("weight_orig")
    }
    layers = [*kernels(shapes, "model.").values()]
    if len(layers) < 2 or "gap_fc.weight" not in shapes:
        return None
    widths = [shape[0] // 2**level for level, shape in enumerate(layers)]
    options = {"in_channels": layers[0][1], "ndf": usual(widths), "n_layers": len(layers) + 1}
    return Part("ugatit", options)
