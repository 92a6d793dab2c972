"""Semantic Diffusion Models' checkpoints: weights of a training, or their mean over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.card import Channel, Part
from napari_tincture.models.checkpoints._denoisers import (
    USUAL,
    attends,
    image_size,
    multiples,
    sides,
    size_question,
    windows,
)
from napari_tincture.models.checkpoints._found import MAIN, Question
from napari_tincture.models.checkpoints._kinds import Kind, Parts, made
from napari_tincture.models.checkpoints._shapes import indices, shapes_of
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.normalisation import Normalisation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import Recognised, State, States
    from napari_tincture.models.checkpoints._shapes import Shape

KIND = Kind(
    "semantic_diffusion",
    "Semantic Diffusion Model",
    "Wang et al., Semantic image synthesis via diffusion models, 2022, arXiv 2207.00050.",
)
FINEST = 32
"""Side of the largest map that attends, as published."""
HEAD = 64
"""Channels of each head, as published."""
FREE = frozenset(
    {"num_heads", "num_heads_upsample", "num_head_channels", "use_new_attention_order"}
)
INPUT, OUTPUT = "input_blocks.", "output_blocks."


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise guided diffusion's U-Net with SPADE norms in its decoder."""
    if given.get("family", KIND.family) != KIND.family or "G" not in states:
        return None
    part = read_denoiser(states["G"], given)
    if part is None:
        return None
    options = part.options
    heads = {"num_head_channels": -1} if "num_heads" in given else {}
    labels, questions = _labels(options["in_channels"], given)
    questions |= size_question(options["image_size"]) | _questions(options)
    learned = options["out_channels"] == 2 * options["image_channels"]
    return made(
        KIND,
        Parts({MAIN: part}, {MAIN: "G"}),
        questions,
        {**heads, **given},
        free=FREE,
        inputs=labels,
        task="synthesize",
        normalisation=Normalisation("none"),
        denoising=Denoising(
            schedule={"name": "linear", "steps": 1000, **USUAL},
            variance="learned" if learned else "small",
            time="index",
            guided=bool(given.get("guided", True)),
            **windows(options["image_size"], len(options["channel_mult"])),
        ),
    )


def read_denoiser(state: State, given: Mapping[str, Any]) -> Part | None:
    """Options from the shapes; None for any other network."""
    shapes = shapes_of(state)
    first, last = shapes.get(f"{INPUT}0.0.weight"), shapes.get("out.2.weight")
    label = shapes.get("middle_block.0.in_norm.mlp_shared.0.weight")
    wide, blocks = shapes.get("time_embed.0.weight"), indices(shapes, OUTPUT)
    if first is None or last is None or label is None or wide is None or not blocks:
        return None
    levels = 1 + sum(_doubles(shapes, number) for number in blocks)
    each = len(blocks) // levels
    starts = [each * level for level in reversed(range(levels))]
    widths = [_width(shapes, number) for number in starts]
    attending = [attends(shapes, f"{OUTPUT}{number}.1.qkv") for number in starts]
    size = image_size(given, attending, FINEST)
    noise = shapes.get("middle_block.0.emb_layers.1.weight", (0,))[0]
    options = {
        "in_channels": label[1],
        "image_channels": first[1],
        "out_channels": last[0],
        "num_channels": wide[1],
        "channel_mult": multiples(widths, wide[1]),
        "num_res_blocks": each - 1,
        "image_size": size,
        "attention_resolutions": sides(size, attending),
        "num_heads": 4,
        "num_heads_upsample": -1,
        "num_head_channels": _head(widths, attending),
        "use_scale_shift_norm": noise == 2 * widths[-1],
        "resblock_updown": not any(key.endswith(".op.weight") for key in shapes),
        "use_new_attention_order": False,
    }
    return Part("semantic_diffusion", options)


def _doubles(shapes: Mapping[str, Shape], number: int) -> bool:
    """Whether a block of the decoder ends with another residual block, or a convolution."""
    later = (f"{OUTPUT}{number}.{place}" for place in (1, 2))
    return any(
        f"{place}.conv.weight" in shapes or f"{place}.in_layers.1.weight" in shapes
        for place in later
    )


def _width(shapes: Mapping[str, Shape], number: int) -> int:
    return shapes.get(f"{OUTPUT}{number}.0.in_layers.1.weight", (0,))[0]


def _head(widths: list[int], attending: list[bool]) -> int:
    """As many channels of a head as published, or fewer, if all that attend are no multiples."""
    attended = [*(w for w, at in zip(widths, attending, strict=True) if at), widths[-1]]
    return HEAD if not any(width % HEAD for width in attended) else min(attended)


def _labels(
    count: int, given: Mapping[str, Any]
) -> tuple[tuple[Channel, ...], dict[str, Question]]:
    """Divide the channels of the label map, as given or else as published by default."""
    known = given.get("num_classes")
    edges = not given.get("no_instance", known == count or count == 1)
    if known is not None and known + edges != count:
        raise ModelError(
            f"The denoiser takes {count} channels, but the options given make {known + edges}: "
            f"num_classes {known}, instance edges {int(edges)}. Correct num_classes or no_instance."
        )
    classes = [
        Channel(f"class {n}", "1 where a pixel is of the class", source="class")
        for n in range(count - edges)
    ]
    edge = Channel("instance edges", "1 beside another instance", source="edge")
    questions = {
        "num_classes": Question("Classes of the label map.", count - edges),
        "no_instance": Question("No edges of instances are taken.", not edges, (False, True)),
    }
    return (*classes, *[edge] * edges), questions


def _questions(options: Mapping[str, Any]) -> dict[str, Question]:
    return {
        "num_head_channels": Question(
            "Channels of each head of the attention.", options["num_head_channels"]
        ),
        "use_new_attention_order": Question(
            "Queries, keys and values stand before heads.", False, (False, True)
        ),
        "guided": Question(
            "It also learned images of empty maps, as published in a second training.",
            True,
            (False, True),
        ),
    }
