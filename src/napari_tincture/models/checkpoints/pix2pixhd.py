"""pix2pixHD's checkpoints: global generators and local enhancers, of labels or of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.card import RGB, Channel, Part
from napari_tincture.models.checkpoints._found import TO_NETWORK, Question
from napari_tincture.models.checkpoints._generators import (
    BLOCK,
    STACK,
    as_global,
    as_resnet,
    read_hourglass,
)
from napari_tincture.models.checkpoints._judges import read_multiscale
from napari_tincture.models.checkpoints._kinds import (
    Kind,
    channels,
    class_channels,
    directed,
    made,
)
from napari_tincture.models.checkpoints._shapes import indices, kernels, norm_of, shapes_of, usual
from napari_tincture.models.normalisation import Normalisation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import Recognised, State, States

KIND = Kind(
    "pix2pixhd",
    "pix2pixHD",
    "Wang et al., High-resolution image synthesis and semantic manipulation with conditional GANs, "
    "CVPR 2018, arXiv 1711.11585.",
)
ROLES = {"forward": ("G",), "discriminator": ("D",), "encoder": ("E",)}
COLOURS = 3


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise a generator by its depth, its enhancers, its discriminators or its many inputs."""
    asked = given.get("family") == KIND.family
    if not asked and not is_high_definition(states):
        return None
    found = directed(states, ROLES, read_generator, _read_judge_or_encoder, given)
    if found is None:
        return None
    encoder = found.parts.get("encoder")
    seen = Seen.of(found.parts["forward"].options["in_channels"], encoder, given)
    fields: dict[str, Any] = {"inputs": seen.channels(), "notes": seen.notes()}
    if not seen.plain:
        fields |= {"task": "synthesize", "normalisation": Normalisation("none")}
    return made(KIND, found, seen.questions(), given, **fields)


def is_high_definition(states: States) -> bool:
    """Whether a network of one direction is pix2pixHD's."""
    state = states.get("G")
    if state is None:
        return False
    options = read_hourglass(state)
    if options is None:
        return _read_local(state) is not None
    if "D" in states:
        return read_multiscale(states["D"]) is not None
    return as_resnet(options) is None or options["in_channels"] > COLOURS


def read_generator(state: State) -> Part | None:
    """A global generator, or one with local enhancers."""
    options = read_hourglass(state)
    if options is None:
        return _read_local(state)
    part = as_global(options, "pix2pixhd")
    return part and Part("pix2pixhd", {**part.options, "netG": "global"})


def _read_local(state: State) -> Part | None:
    shapes = shapes_of(state)
    count = len({key for key in shapes if key.endswith("_1.1.weight")})
    finest = f"model{count}_"
    first, ends = shapes.get(f"{finest}1.1.weight"), [*kernels(shapes, f"{finest}2.").values()]
    layers = [*kernels(shapes, STACK).values()]
    if not count or first is None or len(ends) < 2 or len(layers) < 2:
        return None
    ngf = usual([first[0], ends[-1][1], ends[0][1], layers[0][0] // 2**count])
    return Part(
        "pix2pixhd",
        {
            "in_channels": first[1],
            "out_channels": ends[-1][0],
            "ngf": ngf,
            "norm": norm_of(shapes, f"{finest}1.", 1, 2),
            "n_downsample_global": (len(layers) - 1) // 2,
            "n_blocks_global": len(indices(shapes, STACK, BLOCK)),
            "netG": "local",
            "n_local_enhancers": count,
            "n_blocks_local": len(indices(shapes, f"{finest}2.", BLOCK)),
        },
    )


def _read_judge_or_encoder(state: State) -> Part | None:
    judge = read_multiscale(state)
    options = read_hourglass(state) if judge is None else None
    if options is None:
        return judge
    found = {
        "in_channels": options["in_channels"],
        "out_channels": options["out_channels"],
        "nef": options["ngf"],
        "n_downsample_E": options["downsamplings"],
        "norm": options["norm"],
    }
    return Part("pix2pixhd_features", found)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the input channels are: colours or labels, edges of instances, features."""

    colours: int
    labels: int
    edges: bool
    features: int

    @classmethod
    def of(cls, count: int, encoder: Part | None, given: Mapping[str, Any]) -> Seen:
        """Divide the channels, as given or else as published by default."""
        features = encoder.options["out_channels"] if encoder else given.get("feat_num", 3)
        features = features if given.get("instance_feat", encoder is not None) else 0
        rest = count - features
        labels = given.get("label_nc", None if rest > COLOURS else 0)
        edges = given.get("no_instance")
        if edges is not None:
            edges = not edges
        elif labels:
            edges = rest - labels == 1
        else:
            edges = rest > COLOURS
        rest -= edges
        if rest < 1 or (labels and labels != rest):
            raise ModelError(
                f"The generator takes {count} channels, but the options given make "
                f"{(labels or 0) + edges + features}: label_nc {labels}, instance edges "
                f"{int(edges)}, features {features}. Correct label_nc, no_instance or "
                "instance_feat."
            )
        return cls(rest if labels == 0 else 0, 0 if labels == 0 else rest, edges, features)

    @property
    def plain(self) -> bool:
        """Whether an image is all that is taken."""
        return not (self.labels or self.edges or self.features)

    def channels(self) -> tuple[Channel, ...]:
        """Names of the inputs, and what the network takes there."""
        if self.plain:
            return channels(self.colours)
        names = RGB if self.colours == COLOURS else [f"image {n}" for n in range(self.colours)]
        found = [Channel(name, "from -1 to 1", name if name in RGB else "gray") for name in names]
        found += class_channels([f"class {n}" for n in range(self.labels)], self.edges)
        found += [
            Channel(f"feature {n}", "of the encoder", source="feature")
            for n in range(self.features)
        ]
        return tuple(found)

    def questions(self) -> dict[str, Question]:
        """What of this the tensors leave open."""
        return {
            "label_nc": Question("Classes of the label map; 0 for images.", self.labels),
            "no_instance": Question(
                "No edges of instances are taken.", not self.edges, (False, True)
            ),
            "instance_feat": Question(
                "Features of an encoder are taken.", self.features > 0, (False, True)
            ),
        }

    def notes(self) -> tuple[str, ...]:
        """What differs from other models."""
        if self.plain:
            return ()
        low, high = TO_NETWORK.target
        text = (
            "It takes one channel per class, 0 or 1, and edges and features as they are; images "
            f"from {low:g} to {high:g}."
        )
        return (text,)
