"""Small models of synthesis, and label maps for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_tincture.models.card import Channel, ModelCard, Part
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.models.registry import DENOISERS, build_network

CLASSES = (
    Channel("field", "", "#4c78a8", "class", 0),
    Channel("cell", "", "#f58518", "class", 1),
    Channel("wall", "", "#54a24b", "class", 4),
)
OPTIONS = {
    "in_channels": 3, "out_channels": 1, "width": 8, "channel_mult": (1, 2), "res_blocks": 1,
    "patch": 2, "attention_factors": (4,), "spade_width": 4, "norm_groups": 4, "styles": 2,
    "style_dim": 3,
}  # fmt: skip


def denoiser(seed: int = 0, outputs: int = 1, **denoising: Any) -> Model:
    """A model of the architecture that our own trainings use, with random weights."""
    usual = {
        "schedule": {"name": "cosine", "steps": 100}, "predicts": "velocity", "time": "level",
        "guided": True, "window": 32, "overlap": 8,
    }  # fmt: skip
    torch.manual_seed(seed)
    options = {**OPTIONS, "out_channels": outputs}
    network = build_network("semantic_sr3", options, DENOISERS)
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():  # the last convolution, whose output would be 0
                weight.normal_(0, 0.1)
    names = ("red", "green", "blue") if outputs == 3 else ("grey",)
    card = ModelCard(
        name="painter", task="synthesize", architecture="semantic_sr3", options=options,
        inputs=CLASSES, outputs=tuple(Channel(name) for name in names),
        output_range=(-1.0, 1.0), rgb_output=outputs == 3,
        target_normalisation=Normalisation("dtype", target=(-1.0, 1.0)),
        denoising=Denoising(**{**usual, **denoising}), stride=4, exact=False,
    )  # fmt: skip
    return Model(network, card)


class Blur(nn.Module):
    """A network from classes to an image that is known beforehand, in one pass."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, classes, y, x) to (b, 1, y, x)."""
        weights = torch.tensor([-0.8, 0.1, 0.9]).reshape(1, 3, 1, 1)
        image = (x[:, :3] * weights).sum(1, keepdim=True)
        return nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)


def at_once(edges: bool = False) -> Model:
    """A model that makes an image of a map in one pass."""
    inputs = (*CLASSES, Channel("edges", source="edge")) if edges else CLASSES
    card = ModelCard(
        name="blur", task="synthesize", architecture="test", inputs=inputs,
        outputs=(Channel("grey"),), output_range=(-1.0, 1.0), normalisation=Normalisation("none"),
    )  # fmt: skip
    return Model(Blur(), card)


def label_map(height: int = 48, width: int = 60, seed: int = 0) -> NDArray[np.uint8]:
    """Discs of the classes 1 and 4 on 0."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    for number in range(max(height * width // 300, 2)):
        cy, cx = rng.integers(0, height), rng.integers(0, width)
        labels[(y - cy) ** 2 + (x - cx) ** 2 < 25] = (1, 4)[number % 2]
    return labels


def styled(encoder: bool = True, **options: Any) -> Model:
    """SPADE's generator, which takes a style, perhaps with what reads styles from images."""
    sizes = {
        "in_channels": 3, "out_channels": 3, "ngf": 2, "hidden": 2, "crop_size": 32, "z_dim": 3,
        "use_vae": True, **options,
    }  # fmt: skip
    seen = {"in_channels": 3, "z_dim": 3, "ngf": 2, "n_layers": 2}
    torch.manual_seed(0)
    network, part = build_network("spade", sizes), Part("spade_style", seen)
    card = ModelCard(
        name="styled", task="synthesize", architecture="spade", options=sizes, inputs=CLASSES,
        outputs=tuple(Channel(name) for name in ("red", "green", "blue")), rgb_output=True,
        output_range=(-1.0, 1.0), normalisation=Normalisation("none"), stride=32,
        parts={"encoder": part} if encoder else {},
    )  # fmt: skip
    reads = build_network("spade_style", seen, "encoders")
    return Model(network, card, {"encoder": reads} if encoder else {})
