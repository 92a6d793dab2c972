"""Loss functions for segmentation; each takes logits, classes and weights, and gives a scalar.

Logits are (b, k, y, x) before the softmax, classes (b, y, x) int64 from 0 to k − 1, or
`UNLABELLED`; weights (b, 1, y, x) ≥ 0, None for 1 everywhere. Unlabelled pixels count for nothing:
they change neither value nor gradient. Where no pixel counts, a loss is 0 and has a gradient, 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_tincture.errors import InputError
from napari_tincture.models.label_maps import one_hot
from napari_tincture.training.objective import check_weights

UNLABELLED = -1
SMOOTH = 1.0
"""Added to both sides of Dice's fraction, in pixels."""


def cross_entropy(logits: Tensor, classes: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of −log p of the true class by the pixels' weights: Σ w · −log p / Σ w.

    p is the softmax over channels of a pixel (Ronneberger et al. 2015, equation 1, which sums;
    the mean does not depend on the crop's size).
    """
    return _mean(-_log_likelihood(logits, classes), classes, weight)


def focal(
    logits: Tensor, classes: Tensor, weight: Tensor | None = None, *, gamma: float = 2.0
) -> Tensor:
    """Mean of −(1 − p)^γ · log p of the true class by the pixels' weights.

    With γ = 0 it is `cross_entropy` (Lin et al., ICCV 2017, equation 4; α of equation 5 is a
    weight of classes, see `balanced`).
    """
    log_p = _log_likelihood(logits, classes)
    # Less than 0 by rounding, a base would have no power.
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    return _mean(-(missing**gamma) * log_p, classes, weight)


def dice(
    logits: Tensor,
    classes: Tensor,
    weight: Tensor | None = None,
    *,
    only: Sequence[int] | None = None,
) -> Tensor:
    """1 − soft Dice of each class over the batch, averaged over classes.

    Dice is (2 Σ w p t + 1) / (Σ w p² + Σ w t + 1), with t 1 on pixels of the class and 0 on
    others (Milletari et al., 3DV 2016). A class that is nowhere in the batch costs what is
    taken for it.

    Parameters
    ----------
    only
        Classes to average over; None: all.
    """
    counted = _counted(classes, weight, logits.dtype)
    p, t = logits.softmax(dim=1), _one_hot(classes, logits)
    axes = (0, 2, 3)
    overlap = 2 * (counted * p * t).sum(axes) + SMOOTH
    sizes = (counted * p.square()).sum(axes) + (counted * t).sum(axes) + SMOOTH
    return _chosen(1 - overlap / sizes, only).mean()


def boundary(
    logits: Tensor,
    classes: Tensor,
    weight: Tensor | None = None,
    *,
    only: Sequence[int] | None = None,
) -> Tensor:
    """Mean of p · φ over pixels, by their weights, and over classes.

    φ is the signed distance in pixels to the class's edge, see `signed_distances`. The least
    value is negative: all of each class is found and nothing else. Far pixels weigh most and
    small classes little, so it goes with another loss, by a small weight (Kervadec et al., MIDL
    2019, equation 5; they begin with 0.01).

    Parameters
    ----------
    only
        Classes to average over; None: all.
    """
    maps = [signed_distances(c, logits.shape[1]) for c in classes.cpu().numpy()]
    distances = torch.from_numpy(np.stack(maps)).to(logits)
    pixels = _chosen((logits.softmax(dim=1) * distances).movedim(1, 0), only).mean(0)
    return _mean(pixels, classes, weight)


def signed_distances(classes: NDArray[np.integer], count: int) -> NDArray[np.float32]:
    """Distance of each pixel to the edge of each class, negative inside it.

    Parameters
    ----------
    classes
        (y, x) integers from 0, `UNLABELLED` where not known.
    count
        Number of classes k.

    Returns
    -------
    ndarray
        (k, y, x) float32 in pixels: from a pixel's centre to that of the nearest labelled one on
        the other side, less ½, as the edge is between them. 0 on unlabelled pixels, and
        everywhere for a class that is on no labelled pixel, or on all: it has no edge.
    """
    result = np.zeros((count, *classes.shape), np.float32)
    labelled = classes != UNLABELLED
    for index, plane in enumerate(result):
        inside = classes == index
        outside = labelled & ~inside
        if inside.any() and outside.any():
            plane[outside] = ndimage.distance_transform_edt(~inside)[outside] - 0.5
            plane[inside] = 0.5 - ndimage.distance_transform_edt(~outside)[inside]
    return result


def balanced(classes: Tensor, weights: Sequence[float]) -> Tensor:
    """Weights (b, 1, y, x) of pixels by their class (b, y, x); 0 on unlabelled ones."""
    table = torch.tensor([*weights, 0.0], dtype=torch.float32, device=classes.device)
    # The last entry is that of −1.
    return table[classes][:, None]


LOSSES: Mapping[str, Callable[..., Tensor]] = {
    f.__name__: f for f in (cross_entropy, dice, focal, boundary)
}
_SETTINGS = {"dice": ("only",), "focal": ("gamma",), "boundary": ("only",)}


@dataclass(frozen=True, slots=True)
class SegmentationTerm:
    """One summand: a loss of this module and its weight.

    Attributes
    ----------
    kind
        "cross_entropy", "dice", "focal" or "boundary".
    gamma
        γ of "focal".
    only
        Classes that "dice" and "boundary" average over; None: all.
    """

    kind: str
    weight: float = 1.0
    gamma: float = 2.0
    only: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise InputError(f"Unknown loss {self.kind!r}: choose one of {', '.join(LOSSES)}.")
        if not (self.weight >= 0 and self.gamma >= 0):
            raise InputError(f"{self}: weight and gamma are 0 or more.")
        if self.only is not None and not self.only:
            raise InputError(f"{self}: name a class in only, or leave it None for all classes.")

    def __call__(self, logits: Tensor, classes: Tensor, weight: Tensor | None = None) -> Tensor:
        """The weighted loss; arguments as the module has them."""
        settings = {name: getattr(self, name) for name in _SETTINGS.get(self.kind, ())}
        return self.weight * LOSSES[self.kind](logits, classes, weight, **settings)


@dataclass(frozen=True, slots=True)
class SegmentationWeights:
    """How much each loss counts; those of weight 0 are not computed. `gamma` is focal's γ."""

    cross_entropy: float = 1.0
    dice: float = 0.0
    focal: float = 0.0
    boundary: float = 0.0
    gamma: float = 2.0

    def __post_init__(self) -> None:
        check_weights(self)

    @property
    def terms(self) -> tuple[SegmentationTerm, ...]:
        """The summands."""
        weights = dataclasses.asdict(self)
        return tuple(
            SegmentationTerm(kind, weights[kind], self.gamma) for kind in LOSSES if weights[kind]
        )


def by_kind(
    terms: Sequence[SegmentationTerm],
    logits: Tensor,
    classes: Tensor,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Weighted losses by their names, in float32 whatever precision the network ran in.

    Raises
    ------
    InputError
        If shapes or types do not fit each other, or a class is not among the k.
    """
    _check(terms, logits, classes, weight)
    logits = logits.float()
    losses: dict[str, Tensor] = {}
    for term in terms:
        value = term(logits, classes, weight)
        losses[term.kind] = losses[term.kind] + value if term.kind in losses else value
    return losses


def total(
    terms: Sequence[SegmentationTerm],
    logits: Tensor,
    classes: Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """Sum of what `by_kind` gives."""
    return torch.stack(list(by_kind(terms, logits, classes, weight).values())).sum()


def _log_likelihood(logits: Tensor, classes: Tensor) -> Tensor:
    """Log p (b, y, x) of the true class; of class 0 on unlabelled pixels."""
    known = classes.clamp_min(0)[:, None]
    return functional.log_softmax(logits, dim=1).gather(1, known)[:, 0]


def _mean(values: Tensor, classes: Tensor, weight: Tensor | None) -> Tensor:
    counted = _counted(classes, weight, values.dtype)[:, 0]
    return (values * counted).sum() / counted.sum().clamp_min(torch.finfo(values.dtype).tiny)


def _counted(classes: Tensor, weight: Tensor | None, dtype: torch.dtype) -> Tensor:
    """How much each pixel counts (b, 1, y, x)."""
    labelled = (classes != UNLABELLED)[:, None].to(dtype)
    return labelled if weight is None else labelled * weight


def _one_hot(classes: Tensor, logits: Tensor) -> Tensor:
    return one_hot(classes[:, None], logits.shape[1]).to(logits.dtype)


def _chosen(values: Tensor, only: Sequence[int] | None) -> Tensor:
    return values if only is None else values[list(only)]


def _check(
    terms: Sequence[SegmentationTerm], logits: Tensor, classes: Tensor, weight: Tensor | None
) -> None:
    count, plane = logits.shape[1], (len(logits), *logits.shape[2:])
    wanted = {"classes": (tuple(classes.shape), plane)}
    if weight is not None:
        wanted["weights"] = (tuple(weight.shape), (plane[0], 1, *plane[1:]))
    for name, (found, expected) in wanted.items():
        if found != expected:
            raise InputError(
                f"Logits {tuple(logits.shape)} go with {name} {expected}, got {found}."
            )
    if classes.dtype != torch.int64:
        raise InputError(f"Expected classes of type int64, got {classes.dtype}; convert them.")
    low, high = (int(v) for v in classes.aminmax())
    if count < 2 or low < UNLABELLED or high >= count:
        raise InputError(
            f"Expected classes from 0 to {count - 1}, of at least two, and {UNLABELLED} where "
            f"unlabelled; got {low} to {high} for {count} channels. Number the classes without "
            "gaps, or give the network a channel for each."
        )
    beyond = [c for term in terms for c in term.only or () if not 0 <= c < count]
    if beyond or not terms:
        problem = f"Classes {beyond} of a loss are not among" if beyond else "No loss is given for"
        raise InputError(f"{problem} the {count} that the network tells apart.")
