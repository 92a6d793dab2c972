"""Whether two images can be compared, and their planes as they are read for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import in_memory
from napari_tincture.errors import DataRangeError, InputError
from napari_tincture.metrics.metric import Statistic
from napari_tincture.metrics.stream import Survey
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid, Place, Window
from napari_tincture.tasks._areas import Areas, on_grid

Channels = Literal["each", "mean", "luminance"]
LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
"""Weights of red, green and blue: Rec. ITU-R BT.709, as scikit-image has them."""
SPLIT = "right-click the layer, Split Channels (Split RGB)"
"""How napari takes channels apart."""
SAMPLES = 16
"""Windows of a reference that are looked at for how far its values reach."""


def check_pair(image: Raster, reference: Raster, channels: str) -> None:
    """Check that two images mean the same kind of thing.

    Raises
    ------
    InputError
        If not; it names what differs and the remedy.
    """
    if channels not in ("each", "mean", "luminance"):
        raise InputError(f"channels={channels!r}: expected 'each', 'mean' or 'luminance'.")
    if image.kind != reference.kind:
        raise InputError(
            f"{image.name!r} is of kind {image.kind!r}, reference {reference.name!r} of kind "
            f"{reference.kind!r}. Compare images with images, and labels with labels."
        )
    for raster in (image, reference):
        if channels == "luminance" and not (raster.rgb and raster.sizes["c"] == 3):
            raise InputError(f"{raster.name!r} has no luminance: it is not red, green and blue.")
    mine, theirs = image.sizes.get("c", 1), reference.sizes.get("c", 1)
    if mine != theirs:
        remedy, way = "Choose one of them", "image.plane(c=…)"
        if image.rgb and reference.rgb:
            remedy, way = "Leave out alpha", "image.crop({'c': slice(0, 3)})"
        problem = (
            f"Image {image.name!r} has {_channels(image)}, reference {reference.name!r} "
            f"{_channels(reference)}. {remedy}"
        )
        raise InputError(f"{problem}, {way}.", panel=f"{problem}: {SPLIT}.")
    for axis in "tz":
        here, there = image.sizes.get(axis, 1), reference.sizes.get(axis, 1)
        if here not in (1, there):
            problem = (
                f"Image {image.name!r} has {here} planes along {axis}, reference "
                f"{reference.name!r} {there}. Crop one of them"
            )
            raise InputError(f"{problem}, image.crop({{'{axis}': …}}).", panel=f"{problem}.")
    _check_sizes(image, reference)


def _check_sizes(image: Raster, reference: Raster) -> None:
    """Refuse images of unequal sides of which nothing says where they lie."""
    placed = any(unit != "pixel" for raster in (image, reference) for unit in raster.units[-2:])
    same = on_grid(_flat(image), _flat(reference)).shift == (0, 0)
    if same and not placed and image.shape[-2:] != reference.shape[-2:]:
        sizes = [" × ".join(map(str, each.shape[-2:])) for each in (image, reference)]
        problem = (
            f"Image {image.name!r} has {sizes[0]} px (y × x), reference {reference.name!r} "
            f"{sizes[1]}, and nothing says where they lie in the world. Crop one of them, or "
        )
        raise InputError(
            f"{problem}open them with scale= and units=.",
            panel=f"{problem}give both layers their scale and units.",
        )


def _flat(image: Raster) -> Raster:
    return next(planes_of(image))[1]


def _channels(image: Raster) -> str:
    count = image.sizes.get("c", 1)
    if image.rgb:
        return "RGBA" if count == 4 else "RGB"
    names = f" ({', '.join(image.channels)})" if image.channels else ""
    return f"{count} channel{'s' if count != 1 else ''}{names}"


def data_range_of(reference: Raster, images: Sequence[Raster], given: float | None) -> float:
    """The data range that was given, or that of the integer type that all share.

    Raises
    ------
    InputError
        If it is not positive, or must be stated.
    """
    if given is not None:
        if not (given > 0 and np.isfinite(given)):
            raise InputError(f"data_range={given}: expected a positive number.")
        return float(given)
    if reference.dtype.kind not in "iu":
        problem = (
            f"Reference {reference.name!r} is of type {reference.dtype}, which does not tell the "
            "range of its values."
        )
        example = "for example 1.0 for values between 0 and 1."
        raise DataRangeError(
            f"{problem} Pass data_range=, {example}", (1.0, 2.0, 255.0),
            panel=f"{problem} Choose the range above, {example}",
        )  # fmt: skip
    for image in images:
        if image.dtype != reference.dtype:
            problem = (
                f"Image {image.name!r} is of type {image.dtype}, reference {reference.name!r} of "
                f"type {reference.dtype}. Bring both to the same range of values, since nothing is "
                "rescaled, and"
            )
            raise DataRangeError(
                f"{problem} pass data_range=.", (1.0, float(np.iinfo(reference.dtype).max)),
                panel=f"{problem} choose the range above.",
            )  # fmt: skip
    limits = np.iinfo(reference.dtype)
    if limits.bits > 8:
        _check_used(reference, int(limits.max))
    return float(limits.max) - float(limits.min)


def _check_used(reference: Raster, top: int) -> None:
    """Ask where the values seem to have fewer bits than their type."""
    level = reference.levels[-1]
    steps = [max(1, n // 4) for n in level.shape[-2:]]
    starts = list(
        product(*(range(0, n, step) for n, step in zip(level.shape[-2:], steps, strict=True)))
    )
    most = max(
        int(in_memory(level[..., y : y + 256, x : x + 256]).max()) for y, x in starts[:SAMPLES]
    )
    if most <= top // 4:
        bits = max(most, 1).bit_length()
        problem = (
            f"Values of reference {reference.name!r} reach {most} of {top} that {reference.dtype} "
            f"allows: are they of {bits} bits?"
        )
        raise DataRangeError(
            f"{problem} Pass data_range={2**bits - 1}, or {top} if they are not.",
            (float(2**bits - 1), float(top)),
            panel=f"{problem} Choose the range above: {2**bits - 1}, or {top} if they are not.",
        )


def luminance_of(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Luminance (1, y, x) of red, green and blue (3, y, x)."""
    result: npt.NDArray[np.float64] = np.tensordot(LUMINANCE, values, 1)[None]
    return result


def planes_of(image: Raster) -> Iterator[tuple[dict[str, int], Raster]]:
    """All planes (y, x) or (c, y, x), each with its place along t and z."""
    axes = [axis for axis in image.axes if axis in "tz"]
    for index in product(*(range(image.sizes[axis]) for axis in axes)):
        place = dict(zip(axes, index, strict=True))
        yield place, image.plane(**place) if place else image


class Pairs:
    """Images as they lie on a reference's grid.

    Parameters
    ----------
    reference
        Gives the grid.
    images, names
        What is compared with it.
    luminance
        Whether colours are turned into their luminance.
    strict
        Whether values that are not finite are an error.
    notes
        What is known of them before.
    called
        Name of the reference in rows of its own; empty: its own, made unlike those of the images.

    Raises
    ------
    InputError
        If an image does not overlap with the reference.
    """

    def __init__(
        self, reference: Raster, images: Sequence[Raster], names: Sequence[str], *,
        luminance: bool, strict: bool, called: str = "", notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._called = called
        self._reference, self._images, self.names = reference, images, names
        self._luminance, self._strict = luminance, strict
        self.how: dict[str, str] = {}
        self.notes = [*notes]
        for image, name in zip(images, names, strict=True):
            self._place(on_grid(_flat(image), _flat(reference)), name)

    def _place(self, window: OnGrid, name: str) -> None:
        covered = window.overlap()
        if not covered:
            raise InputError(
                f"Image {name!r} and reference {self._reference.name!r} do not overlap in the "
                "world. Check their scale, translate and units."
            )
        if covered < 1:
            self.notes.append(f"{name} covers {covered:.0%} of the reference; only that counts.")
        if window.shift is None:
            self.notes.append(f"{name} lies on another grid: {window.how}.")
        self.how[name] = window.how

    @property
    def reference_name(self) -> str:
        """In rows of its own."""
        if self._called:
            return self._called
        plain = self._reference.name or "reference"
        return f"{plain} (reference)" if plain in self.names else plain

    @property
    def channels(self) -> tuple[int, Sequence[Any] | None]:
        """How many are measured, and their names; None without an axis of channels."""
        if "c" not in self._reference.axes:
            return 1, None
        count = 1 if self._luminance else self._reference.sizes["c"]
        return count, self._reference.channels or range(count)

    def survey(
        self, place: Mapping[str, int], plane: Raster, statistics: Sequence[Statistic],
        data_range: float, areas: Areas | None,
    ) -> Survey:  # fmt: skip
        """What is to be measured on one plane of the reference."""
        others = [
            image.plane(**{axis: i for axis, i in place.items() if axis in image.axes})
            for image in self._images
        ]
        names = [f"reference {self._reference.name!r}", *(f"image {n!r}" for n in self.names)]
        reference, *images = (
            _Reader(on_grid(each, plane), name, self._luminance, self._strict)
            for each, name in zip([plane, *others], names, strict=True)
        )
        height, width = plane.shape[-2:]
        return Survey(
            shape=(height, width), images=images, reference=reference,
            channels=range(self.channels[0]), statistics=statistics, data_range=data_range,
            both=any(statistic.alone for statistic in statistics),
            regions=areas.at if areas else None, count=len(areas.names) if areas else 1,
            chunks=(plane.data.chunks[-2], plane.data.chunks[-1]),
        )  # fmt: skip


@dataclass(frozen=True)
class _Reader:
    source: OnGrid
    name: str
    luminance: bool
    strict: bool

    def __call__(self, place: Place) -> Window:
        values, valid = self.source(place)
        if self.strict and values.dtype.kind == "f" and not np.isfinite(values).all():
            y, x = place
            bad = int(np.count_nonzero(~np.isfinite(values)))
            problem = (
                f"{bad} of {values.size} values of {self.name} at y {y.start}:{y.stop}, "
                f"x {x.start}:{x.stop} are NaN or infinite. Repair them, choose a region without "
                "them, or leave them out"
            )
            raise InputError(
                f"{problem} with nonfinite='ignore'.", panel=f"{problem}, by the tick above."
            )
        if self.luminance:
            values = luminance_of(values)
        return Window(values, valid)
