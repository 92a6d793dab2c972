"""Several images through a network at once, where that gives the same numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_MIXING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def together(network: nn.Module, *images: Tensor) -> list[Any]:
    """What a network gives for each of several batches of images.

    One pass where images are of one size and the network treats them apart; else a pass each,
    in the order given, which batch norm's running averages remember. (A network with spectral
    norm takes one power iteration per pass in training, not per batch.)

    Parameters
    ----------
    images
        (b, c, y, x) each, of any b.

    Returns
    -------
    list
        The network's result per batch: a tensor, or a list of what it gives.
    """
    apart = len({image.shape[1:] for image in images}) > 1
    if len(images) == 1 or apart or any(isinstance(m, _MIXING) for m in network.modules()):
        return [network(image) for image in images]
    result = network(torch.cat(images))
    return _split(result, [len(image) for image in images])


def _split(result: Any, sizes: list[int]) -> list[Any]:
    if isinstance(result, Tensor):
        return list(result.split(sizes))
    return [list(parts) for parts in zip(*(_split(r, sizes) for r in result), strict=True)]
