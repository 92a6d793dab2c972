"""Segmentation: a network learns classes or objects from label images, dense or sparse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.layers.unet_blocks import Norm
from napari_tincture.training.labels.labelling import Labelling, Target
from napari_tincture.training.labels.losses import SegmentationWeights, by_kind
from napari_tincture.training.objective import Batch, Losses, Published, Update
from napari_tincture.training.sizes import Size, pick

PUBLISHED = Published(
    title="Segmentation",
    data="paired",
    citation="Ronneberger, Fischer, Brox: U-Net, MICCAI 2015",
    schedule={
        "optimiser": "adam", "lr": 2e-3, "weight_decay": 0.0, "ema": 0.99, "keep": "best",
    },
    initialisation="none",
    labels=True,
    sampling={"batch": 4, "foreground": 0.8},
    augment={"flips": (True, True), "rot90": True},
)  # fmt: skip
OF_MAPS = ("cross_entropy", "dice")
"""Losses that maps of objects can be learned with."""
SIZES: Mapping[Size, Mapping[str, int]] = {
    "tiny": {"depth": 3, "width": 16, "max_width": 64},
    "standard": {"depth": 4, "width": 32, "max_width": 256},
    "large": {"depth": 4, "width": 64, "max_width": 1024},
}


Weights = SegmentationWeights


def parts(
    size: Size,
    in_channels: int = 3,
    out_channels: int = 3,
    encoder: Literal["unet", "resnet18", "resnet34", "vgg16_bn"] = "unet",
    padded: bool = True,
    norm: Norm = "batch",
    dropout: float = 0.1,
    residual: bool = False,
    attention: bool = False,
) -> dict[str, Part]:
    """The one network, a U-Net.

    Parameters
    ----------
    encoder
        Contracting path: the U-Net's own, or a classifier's, for which users may have weights.
        The options below are those of the U-Net's own.
    padded
        False: convolutions without padding, as published; crops must be larger by what is lost,
        572 pixels are published.
    norm
        Normalisation after each convolution; the published network has none.
    dropout
        Probability of dropping a channel after the two deepest levels.
    residual, attention
        Residual blocks, and attention gates on the skips.
    """
    own = pick(size, SIZES)
    options: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels}
    if encoder != "unet":
        options |= {"encoder": encoder, "head": "none"}
        return {"forward": Part("encoder_unet", options)}
    options |= {
        **own, "padded": padded, "norm": norm, "dropout": dropout, "residual": residual,
        "attention": attention, "head": "none",
    }  # fmt: skip
    return {"forward": Part("unet", options)}


def build(
    networks: Mapping[str, nn.Module],
    weights: SegmentationWeights | None = None,
    target: Target = "classes",
    unlabelled: int = 0,
    classes: Sequence[Any] | None = None,
    parts_of: int | None = None,
) -> Segmentation:
    """Let the network "forward" learn from labels.

    Parameters
    ----------
    target
        What labels are: "classes", or objects with a number each, learned as maps of object,
        border and depth ("instances") or as object and background with the U-Net's weight map
        ("borders").
    unlabelled
        Value of pixels that count for nothing, of classes; -1: there is none.
    classes
        Values, or mappings of "value", "name" and "colour"; None: all values that occur.
    parts_of
        Value whose connected parts are the objects, of labels without numbers; None: labels have.
    """
    labelling = Labelling.of(
        {"target": target, "unlabelled": unlabelled, "classes": classes or (), "parts_of": parts_of}
    )
    return Segmentation(networks, weights or Weights(), labelling)


class Segmentation:
    """One network that learns from pairs: "a" the image, "b" what `LabelPicture` reads of labels.

    A batch may hold "weight" (b, 1, y, x) of the pixels. Networks without padding give less than
    they see: the labels' rim is left out. `others`: whether there are further losses, which one
    that uses this adds.
    """

    groups: Mapping[str, tuple[str, ...]] = {"generators": ("forward",)}

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: SegmentationWeights,
        labelling: Labelling,
        others: bool = False,
    ) -> None:
        if not (weights.terms or others):
            raise InputError("There is no loss to learn from: give one of them a weight.")
        strange = [t.kind for t in weights.terms if t.kind not in OF_MAPS]
        if labelling.target == "instances" and strange:
            raise InputError(
                f"Maps of objects have no loss {', '.join(strange)}; give weights to "
                f"{' and '.join(OF_MAPS)}, or choose target='borders'."
            )
        self.networks, self.weights, self.labelling = networks, weights, labelling

    def step(self, batch: Batch, update: Update) -> Losses:
        """Lower the sum of the losses; "loss" is that sum."""
        losses = self.losses(*self.seen(batch))
        loss = torch.stack([*losses.values()]).sum()
        update("generators", loss)
        found = {name: value.detach() for name, value in losses.items()}
        return {"loss": loss.detach(), **(found if len(found) > 1 else {})}

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a step depends on the weights and the batch alone."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take up."""

    def seen(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits (b, k, y, x) of a batch; its labels and the weights of its pixels, as large."""
        logits = self.networks["forward"](batch["a"])
        pixels = batch.get("weight")
        pixels = None if pixels is None else centre(pixels, logits)
        return logits, centre(batch["b"], logits), pixels

    def losses(self, logits: Tensor, target: Tensor, pixels: Tensor | None) -> dict[str, Tensor]:
        """Weighted losses by their names; arguments as `seen` gives them."""
        with torch.autocast(logits.device.type, enabled=False):
            return self._losses(logits.float(), target, pixels)

    def _losses(self, logits: Tensor, target: Tensor, pixels: Tensor | None) -> dict[str, Tensor]:
        if self.labelling.target == "instances":
            return _of_maps(self.weights, logits, target, pixels)
        labels = target[:, 0].round().long()
        if self.labelling.target == "borders":
            pixels = target[:, 1:2] if pixels is None else pixels * target[:, 1:2]
        return by_kind(self.weights.terms, logits, labels, pixels)


def _of_maps(
    weights: SegmentationWeights, logits: Tensor, maps: Tensor, pixels: Tensor | None
) -> dict[str, Tensor]:
    """Binary cross-entropy and Dice of each map; pixels whose maps are NaN count for nothing."""
    known = maps[:, :1].isfinite()
    wanted = torch.where(known, maps, 0.0)
    share = known.to(maps.dtype) if pixels is None else known * pixels
    losses = {}
    if weights.cross_entropy:
        values = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        total = share.sum().clamp_min(torch.finfo(maps.dtype).tiny)
        losses["cross_entropy"] = weights.cross_entropy * (values * share).sum() / total
    if weights.dice:
        made, axes = torch.sigmoid(logits) * share, (0, 2, 3)
        wanted = wanted * share
        overlap = 2 * (made * wanted).sum(axes) + 1
        sizes = made.square().sum(axes) + wanted.square().sum(axes) + 1
        losses["dice"] = weights.dice * (1 - overlap / sizes).sum()
    return losses


def centre(values: Tensor, like: Tensor) -> Tensor:
    """The middle of (b, c, y, x), as high and wide as another tensor."""
    top, left = ((n - m) // 2 for n, m in zip(values.shape[2:], like.shape[2:], strict=True))
    return values[:, :, top : top + like.shape[2], left : left + like.shape[3]]
