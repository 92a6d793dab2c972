"""Pictures: single planes of images, read window by window as the networks take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tincture.arrays import stored_edges
from napari_tincture.errors import InputError
from napari_tincture.grid import mirror_index
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.inputs import Inputs, Lane, Plane
from napari_tincture.tiling.whole import plane_stats

DECODED_BYTES = 2**29
"""Decoded files that one domain keeps."""
AS_STORED = Normalisation()


@dataclass(frozen=True, eq=False)
class Picture:
    """One plane of one image, of which crops are read.

    Attributes
    ----------
    name
        The image's file name without its format, or its layer's name.
    image
        Number of the image in its domain; planes along t and z share it.
    inputs
        The chosen channels, all of one raster.
    plane
        Place along the leading axes (t, z) of `inputs`.
    decoded
        Planes of files that can only be decoded whole (PNG, JPEG, one-chunk zarr); shared.
    mask, weight
        Labels and weights of the same pixels, one channel each.
    style
        Number of its style, from 1; 0: none.
    odds
        How many times as often as another picture of its size it is drawn.
    known
        What the normalisation takes from a plane of which this is a part, (c, 2).
    """

    name: str
    image: int
    inputs: Inputs
    plane: Plane
    normalisation: Normalisation
    decoded: BlockCache
    mask: Picture | None = None
    weight: Picture | None = None
    odds: float = 1.0
    style: int = 0
    known: NDArray[np.float64] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.inputs.shape

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(self.inputs.lanes)

    @property
    def nearest(self) -> bool:
        """Whether values between pixels are those of the nearest one, as of labels."""
        return False

    def on(self, image: Picture) -> Picture:
        """The same as its partner of an image: itself, for only labels are moved."""
        return self

    @property
    def raster(self) -> Raster:
        """Where its channels come from."""
        return self.inputs.lanes[0].raster

    def raw(self, y: slice, x: slice) -> NDArray[Any]:
        """Values (c, y, x) of a window within the picture, as stored.

        Raises
        ------
        InputError
            If they cannot be read, or are not finite where that is refused.
        """
        if not self._in_one_piece:
            return self.inputs.finite(self.plane, y, x)
        key = (self.raster.data.name, *(tuple(at.at.items()) for at in self.inputs.lanes))
        whole = self.decoded.get((*key, self.plane))
        if whole is None:
            height, width = self.shape
            inputs = self._opened_again()
            whole = inputs.finite(self.plane, slice(0, height), slice(0, width))
            self.decoded.put((*key, self.plane), whole)
        return whole[:, y, x]

    def read(self, y: slice, x: slice) -> Tensor:
        """Values (c, y, x) float32 of a window as the networks take them.

        Windows that leave the picture are mirrored about its outermost pixels.
        """
        height, width = self.shape
        rows, columns = mirror_index(y.start, y.stop, height), mirror_index(x.start, x.stop, width)
        low, left = int(rows.min()), int(columns.min())
        inner = slice(low, int(rows.max()) + 1), slice(left, int(columns.max()) + 1)
        values = self.raw(*inner)
        if inner != (y, x):
            values = values[:, rows - low][:, :, columns - left]
        gain, offset = self._affine
        result = torch.from_numpy(values.astype(np.float32)).mul_(gain).add_(offset)
        clip = self.normalisation.clip
        return result if clip is None else result.clamp_(*clip)

    @cached_property
    def stats(self) -> NDArray[np.float64]:
        """What the normalisation takes from the whole plane, (c, 2)."""
        if self.known is not None:
            return self.known
        if self.normalisation.needs_image and self._in_one_piece:
            height, width = self.shape
            return self.normalisation.measure(self.raw(slice(0, height), slice(0, width)))
        return plane_stats(self.inputs, self.plane, self.normalisation, exact=False)[0]

    def part(self, y: slice, x: slice) -> Picture:
        """A region as a picture of its own: nothing outside is read, not even for `stats`."""
        inputs = self._inputs_of(self.raster.crop({"y": y, "x": x}))
        mask, weight = (each and each.part(y, x) for each in (self.mask, self.weight))
        return replace(self, inputs=inputs, mask=mask, weight=weight)

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        gain, offset = self.normalisation.affine(self.stats)
        return _column(gain), _column(offset)

    @cached_property
    def _in_one_piece(self) -> bool:
        """Whether any window costs as much as the plane, and the file can be opened again."""
        raster = self.raster
        if raster.memory is not None or raster.runner is not None or raster.source is None:
            return False
        ends = [stored_edges(raster.data, raster.axes.index(axis)) for axis in "yx"]
        size = self.channels * int(np.prod(self.shape)) * self.inputs.dtype.itemsize
        small = size <= self.decoded.limit and all(len(edges) == 2 for edges in ends)
        return small and raster.source.kind != "sample"

    def _opened_again(self) -> Inputs:
        """The same channels from a file opened anew, which keeps nothing decoded once let go."""
        assert self.raster.source is not None
        return self._inputs_of(self.raster.source.open())

    def _inputs_of(self, raster: Raster) -> Inputs:
        lanes = tuple(Lane(raster, lane.at) for lane in self.inputs.lanes)
        return Inputs(lanes, self.inputs.leading, self.inputs.nonfinite)


def pictures_of(
    raster: Raster, channels: Any, normalisation: Normalisation, nonfinite: Any,
    decoded: BlockCache, name: str, image: int,
) -> list[Picture]:  # fmt: skip
    """All planes of an image along the axes of t and z that `channels` leaves free.

    Parameters
    ----------
    channels
        None: all, but for alpha. ``"z"``: all planes along z. A sequence of indices or names along
        c, names of planes along z, or places ``["z", 3]``; one may be taken several times.

    Raises
    ------
    InputError
        If a channel does not exist, or it is not said which plane it is of.
    """
    lanes = tuple(Lane(raster, at) for at in _places(raster, channels, name))
    used = {axis for lane in lanes for axis in lane.at}
    leading = "".join(axis for axis in raster.axes if axis in "tz" and axis not in used)
    if any(set(lane.at) != used for lane in lanes) or ("c" in raster.axes and "c" not in used):
        raise InputError(
            f"channels={channels!r} of image {name!r} ({_described(raster)}) do not say for each "
            "which channel and plane it is. Give only indices along c, or take one first with "
            "image.plane(c=…)."
        )
    inputs = Inputs(lanes, leading, nonfinite)
    return [Picture(name, image, inputs, plane, normalisation, decoded) for plane in inputs.planes]


def _places(raster: Raster, channels: Any, name: str) -> list[dict[str, int]]:
    if channels is None:
        count = raster.sizes.get("c", 1)
        channels = range(min(count, 3) if raster.rgb else count)
    elif channels == "z":
        channels = [("z", index) for index in range(raster.sizes.get("z", 0))]
    if not isinstance(channels, Sequence) or isinstance(channels, str) or not len(channels):
        raise InputError(
            f"channels={channels!r} choose nothing from image {name!r} ({_described(raster)}). "
            "Give a list of indices or names, or 'z' for the planes of a stack."
        )
    return [_place(raster, choice, name) for choice in channels]


def _place(raster: Raster, choice: Any, name: str) -> dict[str, int]:
    axis, index = "c", choice
    planes = list(raster.display.get("planes") or ())
    if isinstance(choice, str) and choice in raster.channels:
        index = raster.channels.index(choice)
    elif isinstance(choice, str) and choice in planes:
        axis, index = "z", planes.index(choice)
    elif isinstance(choice, list | tuple) and len(choice) == 2 and choice[0] in ("c", "t", "z"):
        axis, index = choice
    size = raster.sizes.get(axis, 1 if axis == "c" else 0)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < size:
        raise InputError(
            f"Image {name!r} has no channel {choice!r}; it has {_described(raster)}. Choose "
            "channels that all images have."
        )
    at = {axis: index} if axis in raster.axes else {}
    return at | {"c": 0} if raster.sizes.get("c") == 1 else at


def _described(raster: Raster) -> str:
    sizes = ", ".join(f"{axis}={size}" for axis, size in raster.sizes.items())
    return f"{sizes} with channels {', '.join(raster.channels)}" if raster.channels else sizes


def _column(values: NDArray[np.float64]) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)[:, None, None]
