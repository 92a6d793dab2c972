"""What generators take that make images of label maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_tincture.errors import InputError


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """One channel per class.

    Parameters
    ----------
    labels
        (b, 1, y, x) of whole numbers from 0 to ``classes - 1``, of any type.

    Returns
    -------
    Tensor
        (b, classes, y, x) float32, 1 where a pixel is of the class, else 0.
    """
    if labels.ndim != 4 or labels.shape[1] != 1 or labels.numel() == 0:
        raise InputError(f"Expected labels (b, 1, y, x), got shape {tuple(labels.shape)}.")
    numbers = labels[:, 0].long()
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"Expected labels from 0 to {classes - 1}, got {low} to {high}; map them to the "
            "classes that the model knows."
        )
    return functional.one_hot(numbers, classes).movedim(-1, 1).float()


def instance_edges(instances: Tensor) -> Tensor:
    """Mark every pixel beside one of another instance, above, below, left or right.

    Parameters
    ----------
    instances
        (b, 1, y, x), any number per instance.

    Returns
    -------
    Tensor
        (b, 1, y, x) float32, 1 on edges, else 0 (Wang et al., CVPR 2018, section 3.3).
    """
    edges = torch.zeros(instances.shape, dtype=torch.bool, device=instances.device)
    for axis in (-1, -2):
        length = instances.shape[axis] - 1
        differ = instances.diff(dim=axis) != 0
        for start in (0, 1):
            edges.narrow(axis, start, length).logical_or_(differ)
    return edges.float()


def label_channels(labels: Tensor, classes: int, instances: Tensor | None = None) -> Tensor:
    """One-hot classes and, where there are instances, their edges, (b, classes or + 1, y, x)."""
    channels = one_hot(labels, classes)
    if instances is None:
        return channels
    return torch.cat([channels, instance_edges(instances)], 1)
