"""Numbers of classes as one channel per class."""

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
