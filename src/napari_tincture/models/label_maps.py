"""What generators take that make images of label maps."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """One channel per class, all of them 0 where a pixel is of none.

    Parameters
    ----------
    labels
        (b, 1, y, x) of numbers of classes of any type, as `LabelPicture` reads them: -1, like any
        number that is no class's, stands for none.

    Returns
    -------
    Tensor
        (b, classes, y, x) float32 of 0 and 1.
    """
    numbers = torch.arange(classes, device=labels.device)[:, None, None]
    return (labels.round().long() == numbers).float()


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
