"""What a few registered pairs add to an unpaired training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError, ModelError
from napari_tincture.training.losses import l1
from napari_tincture.training.objective import Batch


class PairWeights(Protocol):
    """Loss weights of a family that learns from pairs, too."""

    @property
    def pair_l1(self) -> float:
        """Of the difference between result and target."""

    @property
    def pair_features(self) -> float:
        """Of the difference between the discriminators' activations."""


def pair_of(batch: Batch) -> tuple[Tensor, Tensor] | None:
    """Registered images of both domains in a batch, "pair_a" and "pair_b", if there are any.

    Raises
    ------
    InputError
        If one of them is missing, or their sizes differ.
    """
    found = [key for key in ("pair_a", "pair_b") if key in batch]
    if not found:
        return None
    if len(found) == 1:
        raise InputError(f"The batch has {found[0]!r} alone; pairs need 'pair_a' and 'pair_b'.")
    a, b = batch["pair_a"], batch["pair_b"]
    if a.shape[0] != b.shape[0] or a.shape[2:] != b.shape[2:]:
        raise InputError(
            f"Registered pairs have one size, got {tuple(a.shape)} and {tuple(b.shape)}."
        )
    return a, b


def trusted(target: Tensor, made: Tensor, pixels: Tensor | None) -> Tensor:
    """The target where its pixels' weights (b, 1, y, x) are above 0, else what was made.

    What is compared with it learns nothing where nothing is known.
    """
    return target if pixels is None else torch.where(pixels > 0, target, made.detach())


def pair_losses(
    name: str,
    made: Tensor,
    target: Tensor,
    judges: Sequence[nn.Module],
    weights: PairWeights,
    pixels: Tensor | None = None,
) -> dict[str, Tensor]:
    """Losses of what a generator made of one half of a pair, weighted.

    Parameters
    ----------
    name
        Of the generator, "A" or "B"; the losses are called "pair_A" and "pair_features_A".
    made, target
        (b, c, y, x).
    judges
        Discriminators of the target's domain; their losses are averaged.
    pixels
        (b, 1, y, x) weights ≥ 0 of the pixels in the first loss; in the other one, pixels of
        weight 0 are taken to be right.

    References
    ----------
    Isola et al., pix2pix, CVPR 2017, equation 3; Wang et al., pix2pixHD, CVPR 2018, equation 4.
    """
    losses = {}
    if weights.pair_l1:
        losses[f"pair_{name}"] = weights.pair_l1 * weighted_l1(made, target, pixels)
    if weights.pair_features:
        wanted = trusted(target, made, pixels)
        terms = [feature_loss(judge, made, wanted) for judge in judges]
        losses[f"pair_features_{name}"] = weights.pair_features * torch.stack(terms).mean()
    return losses


def weighted_l1(made: Tensor, target: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Mean absolute difference of (b, c, y, x), by the pixels' weights (b, 1, y, x) if given."""
    if pixels is None:
        return l1(made, target)
    shape = (len(made), 1, *made.shape[2:])
    if pixels.shape != shape:
        raise InputError(f"Expected pixel weights {shape}, got {tuple(pixels.shape)}.")
    # A batch without a single marked pixel teaches nothing rather than dividing by zero.
    total = (pixels.sum() * made.shape[1]).clamp_min(torch.finfo(made.dtype).tiny)
    return (pixels * (made - target).abs()).sum() / total


def feature_loss(judge: nn.Module, made: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of a discriminator's activations, averaged over its layers."""
    with torch.no_grad():
        wanted = _activations(judge, target)
    found = _activations(judge, made)
    return torch.stack([l1(a, b) for a, b in zip(found, wanted, strict=True)]).mean()


def _activations(judge: nn.Module, image: Tensor) -> list[Tensor]:
    # Hooks work for every family's discriminators, whatever they return.
    found: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _, __, output: found.append(output))
        for module in judge.modules()
        if isinstance(module, nn.LeakyReLU)
    ]
    try:
        judge(image)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise ModelError(
            f"{type(judge).__name__} has no LeakyReLU whose activations could be compared; set "
            "the weight pair_features to 0."
        )
    return found
