"""Several images through a network at once, where that gives the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.models.layers.spectral_norm import SpectralWeight

ALONE_FROM = 192 * 192
"""Pixels of an image from which a CPU is faster with one at a time: the maps of several leave its
cache."""
_MIXING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def together(network: nn.Module, *images: Tensor) -> list[Any]:
    """What a network gives for each of several batches of images.

    One pass where images are of one size and the network treats them apart; else, and for large
    images on a CPU, a pass each, in the order given, which batch norm's running averages remember.
    (A network with spectral norm takes one power iteration per pass in training, not per batch:
    it takes all in one, however large they are.)

    Parameters
    ----------
    images
        (b, c, y, x) each, of any b.

    Returns
    -------
    list
        The network's result per batch: a tensor, or a list of what it gives.
    """
    if len(images) == 1 or _apart(network, images):
        return [network(image) for image in images]
    result = network(torch.cat(images))
    return _split(result, [len(image) for image in images])


def _apart(network: nn.Module, images: Sequence[Tensor]) -> bool:
    if len({image.shape[1:] for image in images}) > 1 or _has(network, _MIXING):
        return True
    large = images[0].is_cpu and images[0].shape[2:].numel() >= ALONE_FROM
    return large and not _has(network, (SpectralWeight,))


def _has(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    return any(isinstance(module, kinds) for module in network.modules())


def _split(result: Any, sizes: list[int]) -> list[Any]:
    if isinstance(result, Tensor):
        return list(result.split(sizes))
    return [list(parts) for parts in zip(*(_split(r, sizes) for r in result), strict=True)]
