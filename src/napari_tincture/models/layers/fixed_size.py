"""Parts of a network that work at one image size only, and how it runs at others all the same.

A fully connected layer on a flattened map fixes the image's size. What it computes describes the
image as a whole, so at another size it is held at what it computed from the image reduced to the
trained size; everything else of the network runs at full resolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.grid import mirror_index
from napari_tincture.models.card import Held


class FixedSize(nn.Sequential):
    """Layers on a flattened map, of (b, k) features; or the values at which they are held.

    Parameters
    ----------
    side
        Side in pixels of the square map that the layers were made for.
    image_side
        Side in pixels of the image that has such a map.
    width
        Number of features, k.
    layers
        From (b, c · side · side) to (b, k).

    Attributes
    ----------
    held
        (1, k) for all items or (b, k); returned instead of what the layers compute. Not in the
        state dict, and None but within `holding`.
    """

    def __init__(self, side: int, image_side: int, width: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.side, self.image_side, self.width = side, image_side, width
        self.held: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """From (b, c, y, x) to (b, k).

        Raises
        ------
        ModelError
            Nothing is held, and the map is not of the side that the layers were made for.
        """
        if self.held is not None:
            return self.held.to(x.device, x.dtype).expand(len(x), -1)
        if x.shape[-2:] != (self.side, self.side):
            scale = self.image_side // self.side
            height, width = (n * scale for n in x.shape[-2:])
            raise ModelError(
                f"This network was made for images of {self.image_side} × {self.image_side} "
                f"pixels, got {height} × {width}. Resize the image, or use "
                "napari_tincture.stain, which holds what depends on that size for any other."
            )
        result: Tensor = super().forward(x.flatten(1))
        return result


def fixed_parts(network: nn.Module) -> list[FixedSize]:
    """All parts of a network that work at one size only, in module order."""
    return [module for module in network.modules() if isinstance(module, FixedSize)]


def trained_side(network: nn.Module) -> int | None:
    """Side in pixels of the images that a network was made for; None if it takes any size."""
    return next((part.image_side for part in fixed_parts(network)), None)


def find_held(network: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
    """What each fixed part computes from images of the trained size.

    Parameters
    ----------
    image
        (b, c, side, side), normalised as the network takes it, `side` being `trained_side`.

    Returns
    -------
    tuple of Tensor
        (b, k) float32 each, in module order.
    """
    parts = fixed_parts(network)
    found: dict[nn.Module, Tensor] = {}

    def note(part: nn.Module, _: Any, result: Tensor) -> None:
        found[part] = result.float()

    hooks = [part.register_forward_hook(note) for part in parts]
    try:
        with torch.inference_mode(), holding(network, [None] * len(parts)):
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(found[part] for part in parts)


def values_to_hold(
    network: nn.Module, image: Tensor, how: Held = "reduced"
) -> tuple[Tensor, ...] | None:
    """What to hold for whole images (b, c, y, x) of any size; None at the trained size.

    Networks without fixed parts hold nothing.
    """
    side = trained_side(network)
    if side is None or image.shape[-2:] == (side, side):
        return None
    if how == "reduced":
        return find_held(network, reduced(image, side))
    places = product(*(starts(n, side) for n in image.shape[-2:]))
    found = [find_held(network, _cut(image, place, side)) for place in places]
    return tuple(torch.stack(values).mean(0) for values in zip(*found, strict=True))


def starts(length: int, side: int) -> list[int]:
    """Where tiles begin that cover a line, the last one flush with its end."""
    if length <= side:
        return [0]
    return sorted({*range(0, length - side, side), length - side})


def _cut(image: Tensor, place: tuple[int, ...], side: int) -> Tensor:
    rows, columns = (
        torch.from_numpy(mirror_index(start, start + side, n)).to(image.device)
        for start, n in zip(place, image.shape[-2:], strict=True)
    )
    return image[:, :, rows[:, None], columns]


def reduced(values: Tensor, side: int) -> Tensor:
    """Whole images (b, c, y, x) resampled to (b, c, side, side), linearly and without aliasing."""
    resample = partial(functional.interpolate, mode="bilinear", antialias=True)
    return resample(values, (side, side))


def blanks(network: nn.Module) -> tuple[Tensor, ...]:
    """Zeros in the shapes that `find_held` gives, for one image."""
    return tuple(torch.zeros(1, part.width) for part in fixed_parts(network))


@contextmanager
def holding(network: nn.Module, values: Sequence[Tensor | None] | None) -> Iterator[None]:
    """Hold the fixed parts of a network at these values, in module order; None: hold nothing.

    The network itself is changed for as long as this lasts: not for use from several threads.
    """
    if values is None:
        yield
        return
    parts = fixed_parts(network)
    if len(parts) != len(values):
        raise ModelError(f"Got values for {len(values)} fixed parts, the network has {len(parts)}.")
    before = [part.held for part in parts]
    try:
        for part, value in zip(parts, values, strict=True):
            part.held = value
        yield
    finally:
        for part, value in zip(parts, before, strict=True):
            part.held = value
