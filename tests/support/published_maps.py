"""Label maps as published generators of images were given them."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_tincture.models.label_maps import instance_edges, one_hot


def label_channels(labels: Tensor, classes: int, instances: Tensor | None = None) -> Tensor:
    """One-hot classes and, where there are instances, their edges, (b, classes or + 1, y, x)."""
    channels = one_hot(labels, classes)
    if instances is None:
        return channels
    return torch.cat([channels, instance_edges(instances)], 1)
