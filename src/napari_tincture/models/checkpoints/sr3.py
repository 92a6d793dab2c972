"""SR3's checkpoints: a denoiser within its diffusion, whose schedule the file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.card import Part
from napari_tincture.models.checkpoints._denoisers import (
    attends,
    image_size,
    multiples,
    sides,
    size_question,
    windows,
)
from napari_tincture.models.checkpoints._files import SCHEDULE
from napari_tincture.models.checkpoints._found import MAIN, Question
from napari_tincture.models.checkpoints._kinds import Kind, Parts, channels, made
from napari_tincture.models.checkpoints._shapes import indices, shapes_of
from napari_tincture.models.denoising import Denoising

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_tincture.models.checkpoints._found import Recognised, State, States

KIND = Kind(
    "sr3",
    "SR3",
    "Saharia et al., Image super-resolution via iterative refinement, 2021, arXiv 2104.07636.",
)
FINEST = 16
"""Side of the largest map that attends, as published."""
GROUPS = 32
PUBLISHED = {"name": "linear", "steps": 2000, "start": 1e-6, "end": 1e-2}


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise a U-Net that is told a noise level."""
    if given.get("family", KIND.family) != KIND.family or "G" not in states:
        return None
    part = read_denoiser(states["G"], given)
    if part is None:
        return None
    options = part.options
    text = "Groups of the norms; must divide the channels of all levels."
    questions = {
        **size_question(options["image_size"]),
        "norm_groups": Question(text, options["norm_groups"]),
    }
    return made(
        KIND,
        Parts({MAIN: part}, {MAIN: "G"}),
        questions,
        given,
        free=frozenset({"norm_groups"}),
        inputs=channels(options["in_channels"]),
        task="synthesize",
        notes=("It takes an image that was enlarged to the size of the result.",),
        denoising=Denoising(
            schedule=read_schedule(states.get(SCHEDULE, {}).get("betas")),
            variance="small",
            time="level",
            **windows(options["image_size"], len(options["channel_multiplier"])),
        ),
    )


def read_denoiser(state: State, given: Mapping[str, Any]) -> Part | None:
    """Options from the shapes; None for any other network."""
    shapes = shapes_of(state)
    first, last = shapes.get("downs.0.weight"), shapes.get("final_conv.block.3.weight")
    wide = shapes.get("noise_level_mlp.1.weight")
    blocks = [n for n in indices(shapes, "downs.") if f"downs.{n}.res_block" in _places(shapes)]
    if not blocks or first is None or last is None or wide is None or len(first) != 4:
        return None
    halvings = [n for n in indices(shapes, "downs.") if n and n not in blocks]
    each = len(blocks) // (len(halvings) + 1)
    starts = blocks[::each]
    widths = [shapes.get(f"downs.{n}.res_block.block1.block.3.weight", (0,))[0] for n in starts]
    attending = [attends(shapes, f"downs.{number}.attn.") for number in starts]
    size = image_size(given, attending, FINEST)
    options = {
        "in_channels": first[1] - last[0],
        "out_channels": last[0],
        "inner_channel": wide[1],
        "channel_multiplier": [int(times) for times in multiples(widths, wide[1])],
        "attn_res": sides(size, attending),
        "image_size": size,
        "res_blocks": each,
        "norm_groups": GROUPS if not any(width % GROUPS for width in widths) else wide[1],
    }
    return Part("sr3", options)


def read_schedule(betas: Tensor | None) -> dict[str, Any]:
    """The schedule of a file; the published one where it holds none.

    Parameters
    ----------
    betas
        (steps,) float32.

    Raises
    ------
    ModelError
        If they grow neither evenly nor by their square roots.
    """
    import torch

    if betas is None:
        return dict(PUBLISHED)
    values = betas.double()
    start, end = (float(f"{float(values[n]):.6g}") for n in (0, -1))
    ends = {"steps": len(values), "start": start, "end": end}
    linear = torch.linspace(start, end, len(values), dtype=torch.float64)
    quadratic = torch.linspace(start**0.5, end**0.5, len(values), dtype=torch.float64) ** 2
    for name, expected in (("linear", linear), ("quadratic", quadratic)):
        if torch.allclose(values, expected, rtol=1e-4, atol=0):  # they were rounded to float32
            return {"name": name, **ends}
    raise ModelError(
        f"The {len(values)} betas of the file go from {start:g} to {end:g} neither evenly nor by "
        "their square roots; no other schedule of SR3 can be imported. Train with one of these."
    )


def _places(names: Mapping[str, Any]) -> set[str]:
    """The first three words of names."""
    return {".".join(name.split(".")[:3]) for name in names}
