"""Receptive field, stride and exactness of a network: measured, never asked of the user.

The receptive field is measured structurally, on maps of `influence`. The input is lit on one side
of an edge on a multiple of the stride, so that one pass per side and axis covers all output
phases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from napari_tincture.grid import Geometry
from napari_tincture.models import Model
from napari_tincture.tiling.growth import Growth, grow
from napari_tincture.tiling.influence import influence
from napari_tincture.tiling.once import OncePerStructure
from napari_tincture.tiling.trace import Site

LARGEST_HALO = 8192


@dataclass(frozen=True, slots=True)
class Reach:
    """What tiling must know of a network.

    Attributes
    ----------
    geometry
        Stride, halo and border of the windows, in pixels.
    sites
        Calls that reduce over the whole image, in the order in which they are made.
    reasons
        Why tiles cannot give the whole image's values; empty if they can.
    """

    geometry: Geometry
    sites: tuple[Site, ...]
    reasons: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether a tiled run can equal the run on the whole image."""
        return not self.reasons


def measure(network: nn.Module, channels: int) -> Reach:
    """Measure how far a network sees, on what stride, and what it takes from the whole image.

    Parameters
    ----------
    network
        Module from (batch, channel, y, x) to (batch, channel, y, x). It is not changed. One that
        cannot be looked into says its geometry itself: `declared`, a pair of geometry and reason.
    channels
        Number of input channels.

    Raises
    ------
    ModelError
        The network fits no image of `channels` channels, or changes the image's size.
    """
    declared = getattr(network, "declared", None)
    if declared is not None:
        geometry, reason = declared
        return Reach(geometry, (), (reason,))
    growth = grow(network, channels)
    if growth.margin:
        return _unpadded(network, channels, growth)
    if growth.reasons:
        # What cannot be exact is blended over this overlap instead.
        halo = math.ceil(64 / growth.stride) * growth.stride
        return Reach(Geometry(growth.stride, halo), growth.sites, growth.reasons)
    halo = max(_halo(network, channels, growth, axis) for axis in (-2, -1))
    reasons = (f"the receptive field is larger than {LARGEST_HALO} pixels",)
    too_large = halo > LARGEST_HALO
    return Reach(Geometry(growth.stride, halo), growth.sites, reasons if too_large else ())


_MEASURED: OncePerStructure[Reach] = OncePerStructure()


def reach_of(model: Model) -> Reach:
    """What `measure` says of a model's network; measured once for networks of one structure."""
    network, channels = model.network, len(model.card.inputs)
    return _MEASURED.of(network, channels, partial(measure, network, channels))


def take_reach(network: nn.Module, reach: Reach) -> None:
    """Take what was measured of a network of the same structure, instead of measuring again."""
    _MEASURED.take(network, reach)


def with_reach(model: Model) -> Model:
    """The model, with a card that says what was measured of its network.

    A denoiser is not run in tiles; its card gets the stride that the network names.
    """
    if model.card.denoising is not None:
        stride: Any = model.network.stride
        return model.with_card(model.card.replace(stride=stride, halo=None, exact=False))
    reach = reach_of(model)
    geometry = reach.geometry
    card = model.card.replace(
        stride=geometry.stride,
        halo=geometry.halo,
        border=geometry.border,
        margin=geometry.margin,
        residue=geometry.remainder,
        exact=reach.exact,
    )
    return model if card == model.card else model.with_card(card)


def _unpadded(network: nn.Module, channels: int, growth: Growth) -> Reach:
    """Windows of an unpadded network hold all that their cores need, or it pads after all."""
    reasons, halo = growth.reasons, 0
    if not reasons:
        halo = max(_halo(network, channels, growth, axis) for axis in (-2, -1))
        if any(_pads(network, channels, growth, axis) for axis in (-2, -1)):
            reasons = ("the network loses a margin and yet pads, at the border of every tile",)
    geometry = Geometry(growth.stride, halo, "mirror", growth.margin, growth.remainder)
    return Reach(geometry, (), reasons)


def _pads(network: nn.Module, channels: int, growth: Growth, axis: int) -> bool:
    """Whether a window's outermost outputs depend on what lies beyond the window."""
    start = 2 * growth.stride
    stop = start + growth.base
    length = stop + 2 * growth.stride
    last = _touched(network, channels, growth, (axis, length, 0, start))[1]
    first = _touched(network, channels, growth, (axis, length, stop, length))[0]
    return last >= start + growth.margin or first < stop - growth.margin


def _halo(network: nn.Module, channels: int, growth: Growth, axis: int) -> int:
    """Halo in pixels along `axis`, a multiple of the stride; above the limit if not bounded."""
    stride, margin = growth.stride, growth.margin
    # The light must be wide enough for no kernel's taps to step over it, or out of the image.
    length = growth.base + math.ceil(2 * growth.jump / stride) * stride
    while length <= 4 * LARGEST_HALO:
        length += math.ceil(length / stride) * stride
        edge = length // 2 // stride * stride
        last = _touched(network, channels, growth, (axis, length, 0, edge))[1]
        first = _touched(network, channels, growth, (axis, length, edge, length))[0]
        if last < length - margin - 1 and first > margin:
            return math.ceil(max(last + 1 - edge, edge - first) / stride) * stride
    return LARGEST_HALO + stride


def _touched(
    network: nn.Module, channels: int, growth: Growth, light: tuple[int, int, int, int]
) -> tuple[int, int]:
    """First and last position that depends on light: (axis, length, lit start, lit stop).

    Where nothing does, the first is the stop and the last lies before the start.
    """
    axis, length, start, stop = light
    shape = [1, channels, growth.base, growth.base]
    shape[axis] = length
    image = torch.zeros(shape)
    image.narrow(axis, start, stop - start).fill_(1)
    hit = influence(network, image, {site.call for site in growth.sites})
    places = hit.amax([d for d in range(4) if d != axis % 4]).nonzero().flatten() + growth.margin
    return (int(places[0]), int(places[-1])) if len(places) else (stop, start - 1)
