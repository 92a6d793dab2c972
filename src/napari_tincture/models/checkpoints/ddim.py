"""DDPM's and DDIM's checkpoints: denoisers that are told nothing of what images should show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

KIND = Kind(
    "ddim",
    "DDIM",
    "Song et al., Denoising diffusion implicit models, ICLR 2021, arXiv 2010.02502; Ho et al., "
    "Denoising diffusion probabilistic models, NeurIPS 2020, arXiv 2006.11239.",
)
FINEST = 16
"""Side of the largest map that attends, as published."""
LARGE = 256
"""Side from which on the published variance of a step back is the small one."""
VARIANCES = {"fixedsmall": "small", "fixedlarge": "large"}


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise a U-Net that takes a noisy image alone."""
    if given.get("family", KIND.family) != KIND.family or "G" not in states:
        return None
    part = read_denoiser(states["G"], given)
    if part is None:
        return None
    size = part.options["image_size"]
    kind = given.get("var_type", "fixedsmall" if size >= LARGE else "fixedlarge")
    questions = {
        **size_question(size),
        "var_type": Question("Variance of a step back.", kind, tuple(VARIANCES)),
    }
    noise = Channel("noise", "where the image begins", source="noise")
    return made(
        KIND,
        Parts({MAIN: part}, {MAIN: "G"}),
        questions,
        given,
        inputs=(noise,),
        task="synthesize",
        normalisation=Normalisation("none"),
        denoising=Denoising(
            schedule={"name": "linear", "steps": 1000, **USUAL},
            variance=VARIANCES.get(kind, kind),
            time="index",
            **windows(size, len(part.options["ch_mult"])),
        ),
    )


def read_denoiser(state: State, given: Mapping[str, Any]) -> Part | None:
    """Options from the shapes; None for any other network."""
    shapes = shapes_of(state)
    first, last = shapes.get("conv_in.weight"), shapes.get("conv_out.weight")
    wide, levels = shapes.get("temb.dense.0.weight"), indices(shapes, "down.")
    if first is None or last is None or wide is None or not levels or len(first) != 4:
        return None
    widths = [shapes.get(f"down.{n}.block.0.conv1.weight", (0,))[0] for n in levels]
    attending = [attends(shapes, f"down.{n}.attn.") for n in levels]
    size = image_size(given, attending, FINEST)
    options = {
        "in_channels": 0,
        "out_channels": last[0],
        "ch": wide[1],
        "ch_mult": [int(times) for times in multiples(widths, wide[1])],
        "num_res_blocks": len(indices(shapes, "down.0.block.")),
        "attn_resolutions": sides(size, attending),
        "image_size": size,
        "resamp_with_conv": len(levels) == 1 or "down.0.downsample.conv.weight" in shapes,
    }
    return Part("ddim_unet", options)
