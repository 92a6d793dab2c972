"""CycleGAN's checkpoints: a file per network, of both directions or, for tests, of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tincture.models.checkpoints._generators import as_resnet, read_hourglass, read_unet
from napari_tincture.models.checkpoints._judges import read_judge
from napari_tincture.models.checkpoints._kinds import Kind, directed, made
from napari_tincture.models.checkpoints.bayesian_cyclegan import has_latent_channel
from napari_tincture.models.checkpoints.pix2pix import judges_pairs
from napari_tincture.models.checkpoints.pix2pixhd import is_high_definition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.card import Part
    from napari_tincture.models.checkpoints._found import Recognised, State, States

KIND = Kind(
    "cyclegan",
    "CycleGAN",
    "Zhu et al., Unpaired image-to-image translation using cycle-consistent adversarial networks, "
    "ICCV 2017, arXiv 1703.10593.",
)
BOTH = {"forward": ("G_A", "G_B"), "discriminator": ("D_A", "D_B")}
ONE = {"forward": ("G",), "discriminator": ("D",)}


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise generators of residual blocks, or U-Nets of two directions."""
    asked = given.get("family") == KIND.family
    one = "G" in states
    others = (has_latent_channel, judges_pairs, is_high_definition)
    if not asked and any(other(states) for other in others):
        return None
    found = directed(states, ONE if one else BOTH, read_generator, read_judge, given)
    if found is None or not _returns(found.parts):
        return None
    free = {"dropout", "batch_statistics"} if _is_unet(found.parts["forward"]) else set[str]()
    # As published, unlike pix2pix.
    return made(KIND, found, {}, {"dropout": False, **given} if free else given, free=free)


def read_generator(state: State) -> Part | None:
    """A stack of residual blocks, or a U-Net."""
    options = read_hourglass(state)
    return read_unet(state) if options is None else as_resnet(options)


def _returns(parts: Mapping[str, Part]) -> bool:
    """Whether the way back takes what the way there makes."""
    back = parts.get("backward", parts["forward"])
    wanted = parts["forward"].options["out_channels"]
    return back is parts["forward"] or bool(back.options["in_channels"] == wanted)


def _is_unet(part: Part) -> bool:
    return part.architecture == "unet_generator"
