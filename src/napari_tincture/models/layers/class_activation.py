"""Class-activation attention: features weighed by how much they tell of the domain."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def attended(features: Tensor, average: Tensor, largest: Tensor, mix: nn.Conv2d) -> Tensor:
    """Features weighed by two classifiers' weights, joined, and mixed by a 1×1 convolution.

    The weights go into the convolution's, which has the same result and half the work.

    Parameters
    ----------
    features
        (b, c, y, x).
    average, largest
        (1, c) weights of the classifiers of average-pooled and of max-pooled features.
    mix
        From 2c to c channels (Kim et al., U-GAT-IT, ICLR 2020, section 2.1.1).
    """
    by_average, by_largest = mix.weight.chunk(2, dim=1)
    weight = by_average * average[:, :, None, None] + by_largest * largest[:, :, None, None]
    return functional.conv2d(features, weight, mix.bias)


def class_logits(features: Tensor, average: nn.Module, largest: nn.Module) -> Tensor:
    """Logits (b, 2) of both classifiers, of the features' average and of their maximum."""
    pooled = functional.adaptive_avg_pool2d(features, 1).flatten(1)
    peaks = functional.adaptive_max_pool2d(features, 1).flatten(1)
    return torch.cat([average(pooled), largest(peaks)], dim=1)


def heatmap_of(features: Tensor) -> Tensor:
    """Sum of attended features over channels, (b, 1, y, x)."""
    return features.sum(1, keepdim=True)
