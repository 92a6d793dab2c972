"""pix2pix's checkpoints: a generator, and a discriminator that sees what it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tincture.models.checkpoints._found import Question
from napari_tincture.models.checkpoints._generators import read_translator
from napari_tincture.models.checkpoints._judges import read_judge
from napari_tincture.models.checkpoints._kinds import Kind, directed, made
from napari_tincture.models.checkpoints.pix2pixhd import is_high_definition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import Recognised, States

KIND = Kind(
    "pix2pix",
    "pix2pix",
    "Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017, "
    "arXiv 1611.07004.",
)
ROLES = {"forward": ("G",), "discriminator": ("D",)}
STATISTICS = (
    "Take batch norm's statistics from each image, as the published test does, which keeps dropout "
    "on as well."
)


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise a generator by its discriminator, or a U-Net of one direction."""
    asked = given.get("family") == KIND.family
    if not asked and not (judges_pairs(states) and not is_high_definition(states)):
        return None
    found = directed(states, ROLES, read_translator, read_judge, given)
    if found is None:
        return None
    part, questions, free = found.parts["forward"], {}, set[str]()
    if part.architecture == "unet_generator":
        free.add("dropout")
        if part.options["norm"] == "batch":
            free.add("batch_statistics")
            questions["batch_statistics"] = Question(STATISTICS, False, (False, True))
    return made(KIND, found, questions, given, free=free)


def judges_pairs(states: States) -> bool:
    """Whether networks of one direction are pix2pix's rather than CycleGAN's.

    Without a discriminator: a U-Net or batch norm, as pix2pix has them by default.
    """
    part = read_translator(states["G"]) if "G" in states else None
    if part is None:
        return False
    judge = read_judge(states["D"]) if "D" in states else None
    if judge is not None:
        count = part.options["in_channels"] + part.options["out_channels"]
        return bool(judge.options["in_channels"] == count)
    return part.architecture == "unet_generator" or part.options["norm"] == "batch"
