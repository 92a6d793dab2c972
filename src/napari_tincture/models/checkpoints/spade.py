"""SPADE's checkpoints: generators of label maps, with or without a style."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.card import Channel, Part
from napari_tincture.models.checkpoints._found import Question
from napari_tincture.models.checkpoints._judges import read_spade
from napari_tincture.models.checkpoints._kinds import Kind, class_channels, directed, made
from napari_tincture.models.checkpoints._shapes import shapes_of
from napari_tincture.models.normalisation import Normalisation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.checkpoints._found import Recognised, State, States

KIND = Kind(
    "spade",
    "SPADE",
    "Park et al., Semantic image synthesis with spatially-adaptive normalization, CVPR 2019, "
    "arXiv 1903.07291.",
)
ROLES = {"forward": ("G",), "discriminator": ("D",), "encoder": ("E",)}
WIDEST = 16
"""Channels of the first map, in `ngf`."""
DOUBLINGS = {"normal": 5, "more": 6, "most": 7}
PUBLISHED = {36: (35, False, True), 151: (150, True, False), 184: (182, True, True)}
"""Classes, don't care and edges of published models, by channels: Cityscapes, ADE20K, COCO."""
FREE = frozenset({"num_upsampling_layers", "crop_size", "aspect_ratio"})
"""Options that the tensors leave open."""
SPELLED = re.compile(r"(?P<spectral>spectral)?(?:spade)?(?P<norm>\D*?)(?:(?P<kernel>\d)x\d)?")
NORMS = {"syncbatch": "batch", "sync_batch": "batch", "": "none"}


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise a generator by the two convolutions that modulate every norm."""
    given = _spelled(given)
    found = directed(
        states, ROLES, lambda state: read_generator(state, given), _read_judge_or_encoder, given
    )
    if found is None:
        return None
    generator = found.parts["forward"].options
    seen = Seen.of(generator["in_channels"], given)
    fields = {
        "inputs": seen.channels(),
        "task": "synthesize",
        "normalisation": Normalisation("none"),
        "notes": ("It takes one channel per class, 0 or 1, and the edges of instances as 0 or 1.",),
    }
    questions = {**seen.questions(), **_open_questions(generator)}
    return made(KIND, found, questions, given, free=FREE, **fields)


def read_generator(state: State, given: Mapping[str, Any]) -> Part | None:
    """A generator; what its tensors do not tell is taken from what is given."""
    shapes = shapes_of(state)
    shared, image = shapes.get("head_0.norm_0.mlp_shared.0.weight"), shapes.get("conv_img.weight")
    first, head = shapes.get("fc.weight"), shapes.get("head_0.conv_0.bias")
    if shared is None or image is None or first is None or head is None or len(shared) != 4:
        return None
    usual = "most" if "up_4.conv_0.bias" in shapes else "normal"
    options: dict[str, Any] = {
        "in_channels": shared[1],
        "out_channels": image[0],
        "ngf": head[0] // WIDEST,
        "num_upsampling_layers": usual,
        "norm": "batch" if "head_0.norm_0.param_free_norm.running_var" in state else "instance",
        "kernel": shared[-1],
        "hidden": shared[0],
        "spectral": "head_0.conv_0.weight_orig" in shapes,
        "use_vae": len(first) == 2,
    }
    if options["use_vae"]:
        chosen = given.get("num_upsampling_layers", usual)
        options |= {"z_dim": first[1], **_size(first[0] // head[0], chosen, given)}
    return Part("spade", options)


def _size(pixels: int, upsampling: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The published size of images, square if nobody says otherwise, from that of the first map."""
    square = math.isqrt(pixels) ** 2 == pixels
    ratio = given.get("aspect_ratio", 1.0 if square else 2.0)
    width = round(math.sqrt(pixels * ratio))
    return {"crop_size": width << DOUBLINGS.get(upsampling, 5), "aspect_ratio": ratio}


def _open_questions(generator: Mapping[str, Any]) -> dict[str, Question]:
    found = {}
    if generator["num_upsampling_layers"] != "most":
        text = "Doublings from the first map to the image, 5 (normal) or 6 (more)."
        choices = ("normal", "more")
        found["num_upsampling_layers"] = Question(text, "normal", choices)
    if generator["use_vae"]:
        text = "Width in pixels of the images that it was trained on."
        found["crop_size"] = Question(text, generator["crop_size"])
        text = "How many times as wide as high these were."
        ratio = generator["aspect_ratio"]
        found["aspect_ratio"] = Question(text, ratio, tuple(sorted({1.0, 2.0, ratio})))
    return found


def _read_judge_or_encoder(state: State) -> Part | None:
    return read_spade(state) or read_encoder(state)


def read_encoder(state: State) -> Part | None:
    """The encoder of styles."""
    shapes = shapes_of(state)
    layers = [key for key in shapes if re.fullmatch(r"layer\d+(\.0)?\.weight(_orig)?", key)]
    mean = shapes.get("fc_mu.weight")
    if mean is None or not layers or len(shapes[layers[0]]) != 4:
        return None
    nested, spectral = ".0." in layers[0], layers[0].endswith("_orig")
    options = {
        "in_channels": shapes[layers[0]][1],
        "z_dim": mean[0],
        "ngf": shapes[layers[0]][0],
        "n_layers": len(layers),
        "norm": ("batch" if "layer1.1.weight" in shapes else "instance") if nested else "none",
        "spectral": spectral,
    }
    return Part("spade_style", options)


def _spelled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the published spellings of norms, such as "spectralspadesyncbatch3x3"."""
    found = dict(given)
    if "norm_G" in found:
        found |= _norm("norm_G", found.pop("norm_G"))
    judges = dict(found.get("judges", {}))
    if "norm" in judges:
        judges |= _norm("norm_D", judges["norm"])
    return {**found, "judges": judges}


def _norm(name: str, text: str) -> dict[str, Any]:
    parts = SPELLED.fullmatch(text)
    if parts is None:
        raise ModelError(
            f"{name} = {text!r} is not understood. Expected it as the program has it, such as "
            "'spectralspadesyncbatch3x3' or 'spectralinstance'."
        )
    found = {
        "norm": NORMS.get(parts["norm"], parts["norm"]),
        "spectral": parts["spectral"] is not None,
    }
    return found | ({"kernel": int(parts["kernel"])} if parts["kernel"] else {})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the input channels are: classes, perhaps one of "don't care", perhaps edges."""

    labels: int
    dont_care: bool
    edges: bool

    @classmethod
    def of(cls, count: int, given: Mapping[str, Any]) -> Seen:
        """Divide the channels as given, or else as published."""
        both = (False, True), (True, True), (True, False), (False, False)
        able = [cls(count - care - edges, care, edges) for care, edges in both]
        if count in PUBLISHED:
            able.insert(0, cls(*PUBLISHED[count]))
        wanted = {
            "label_nc": given.get("label_nc"),
            "contain_dontcare_label": given.get("contain_dontcare_label"),
            "no_instance": given.get("no_instance"),
        }
        for seen in able:
            own = seen.answers()
            if seen.labels > 0 and all(v in (None, own[k]) for k, v in wanted.items()):
                return seen
        said = ", ".join(f"{k} = {v!r}" for k, v in wanted.items() if v is not None)
        raise ModelError(
            f"The generator takes {count} channels, which the options given do not make: {said}. "
            "They are label_nc, and 1 with contain_dontcare_label, and 1 without no_instance."
        )

    def answers(self) -> dict[str, Any]:
        """By the names of the program's options."""
        return {
            "label_nc": self.labels,
            "contain_dontcare_label": self.dont_care,
            "no_instance": not self.edges,
        }

    def channels(self) -> tuple[Channel, ...]:
        """Names of the inputs, and what the network takes there."""
        names = [f"class {n}" for n in range(self.labels)] + ["don't care"] * self.dont_care
        return class_channels(names, self.edges)

    def questions(self) -> dict[str, Question]:
        """What of this the tensors leave open."""
        texts = {
            "label_nc": "Classes of the label map, without “don't care”.",
            "contain_dontcare_label": "A class of its own stands for “don't care”.",
            "no_instance": "No edges of instances are taken.",
        }
        return {
            key: Question(texts[key], value, (False, True) if isinstance(value, bool) else ())
            for key, value in self.answers().items()
        }
