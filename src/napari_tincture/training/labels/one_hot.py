"""Classes as networks are given them: a channel each."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(b, classes, y, x) float32, 0 or 1, of numbers of classes (b, 1, y, x).

    Pixels of no class, -1, are 0 in all channels.
    """
    numbers = torch.arange(classes, device=labels.device)[None, :, None, None]
    return (labels.round().long() == numbers).float()
