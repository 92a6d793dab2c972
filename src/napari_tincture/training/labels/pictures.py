"""Label images as training reads them: by class, or as the maps of their objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tincture.errors import InputError
from napari_tincture.grid import mirror_index
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid, pixel_map
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pictures import AS_STORED, Picture
from napari_tincture.training.labels.labelling import Labelling, check_integers
from napari_tincture.training.labels.targets import instance_targets
from napari_tincture.training.labels.weight_map import split_touching, weight_map

BLOCK, AROUND = 512, 96
"""Side of the squares of which maps of objects are made, and pixels around them that are seen."""
BORDER = 2.0
"""Pixels within which two objects touch."""


@dataclass(frozen=True, eq=False)
class LabelPicture(Picture):
    """One plane of labels.

    Attributes
    ----------
    labelling
        What values mean.
    grid
        How it is read where its pixels are not those of its image; None: they are.
    """

    labelling: Labelling = field(default_factory=Labelling)
    grid: OnGrid | None = None

    @classmethod
    def of(cls, picture: Picture, labelling: Labelling) -> LabelPicture:
        """The same plane, read as labels."""
        if len(picture.inputs.lanes) != 1:
            raise InputError(
                f"The labels {picture.name!r} have {len(picture.inputs.lanes)} channels; expected "
                "one with a whole number for each pixel. Choose a channel, such as channels=[0]."
            )
        check_integers(picture.inputs.dtype, picture.name)
        own = {item.name: getattr(picture, item.name) for item in fields(picture)}
        return cls(**{**own, "normalisation": AS_STORED, "labelling": labelling})

    @property
    def nearest(self) -> bool:
        """Whether values between pixels are those of the nearest one."""
        return self.labelling.target != "instances"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels of its image."""
        return self.inputs.shape if self.grid is None else self.grid.shape

    @property
    def channels(self) -> int:
        """How many outputs a network has that learns it."""
        return len(self.labelling.outputs)

    @property
    def balanced(self) -> int:
        """How many classes crops should show equally often; of objects these alone."""
        return len(self.labelling.classes) if self.labelling.target == "classes" else 1

    def labels(self, y: slice, x: slice) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Labels (y, x) of a window within the picture, and which pixels have any; None: all.

        What lies in two parts within the window is two objects, if parts are the objects.
        """
        if self.grid is None:
            return self.labelling.objects(self.raw(y, x)[0]), None
        values, valid = self.grid((y, x))
        return self.labelling.objects(values[0]), valid

    def bands(self) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_] | None]]:
        """All labels, some rows at a time."""
        height, width = self.shape
        rows = max(2**24 // width, 1)
        for start in range(0, height, rows):
            yield self.labels(slice(start, min(start + rows, height)), slice(0, width))

    @property
    def has_objects(self) -> bool:
        """Whether any label is not 0."""
        return any(labels.any() for labels, _ in self.bands())

    def classes(self, y: slice, x: slice) -> NDArray[np.int16]:
        """Numbers of classes (y, x) of a window within the picture, -1 where none is known.

        Of objects: 0 inside any, 1 outside.
        """
        labels, there = self.labels(y, x)
        if self.labelling.target == "classes":
            return self.labelling.encode(labels, there)
        found: NDArray[np.int16] = (labels == 0).astype(np.int16)
        if there is not None:
            found[~there] = -1
        return found

    def read(self, y: slice, x: slice) -> Tensor:
        """What is learned of a window, float32; mirrored beyond the edges.

        Returns
        -------
        Tensor
            (1, y, x) numbers of classes, -1 where none is known; of "instances" (3, y, x) maps of
            object, border and depth, NaN where nothing is known; of "borders" (2, y, x), the class
            (0 object, 1 background) and its weight.
        """
        height, width = self.shape
        rows, columns = mirror_index(y.start, y.stop, height), mirror_index(x.start, x.stop, width)
        low, left = int(rows.min()), int(columns.min())
        inner = slice(low, int(rows.max()) + 1), slice(left, int(columns.max()) + 1)
        if self.labelling.target == "classes":
            values = self.classes(*inner)[None].astype(np.float32)
        else:
            values = self._maps(*inner)
        if inner != (y, x):
            values = values[:, rows - low][:, :, columns - left]
        return torch.from_numpy(np.ascontiguousarray(values))

    def part(self, y: slice, x: slice) -> Self:
        """A region as a picture of its own."""
        if self.grid is None:
            return super().part(y, x)  # type: ignore[return-value]
        moved = np.eye(3)
        moved[:2, 2] = y.start or 0, x.start or 0
        shape = tuple(len(range(*s.indices(n))) for s, n in zip((y, x), self.shape, strict=True))
        grid = OnGrid(self.grid.image, self.grid.matrix @ moved, shape)  # type: ignore[arg-type]
        mask, weight = (each and each.part(y, x) for each in (self.mask, self.weight))
        return replace(self, grid=grid, mask=mask, weight=weight)

    def on(self, image: Picture) -> LabelPicture:
        """The same labels, pixel by pixel those of an image.

        Where both lie elsewhere in the world, labels are read at the world's places, the nearest
        one of each; pixels that they do not reach have no label. Labels of the image's size whose
        placement is not known are taken to lie on it.

        Raises
        ------
        InputError
            If they do not meet, or sizes differ and nothing is known of where they lie.
        """
        own = self._plane()
        matrix = pixel_map(own, _plane_of(image))
        grid = OnGrid(own, matrix, image.shape)
        same = self.shape == image.shape
        if same and (grid.shift == (0, 0) or not _placed(own.placement)):
            return self
        if not same and not (_placed(own.placement) or _placed(image.raster.placement)):
            raise InputError(
                f"The labels {self.name!r} have {_size(self)} px (y × x), the image "
                f"{image.name!r} has {_size(image)}, and nothing says where they lie in it. Give "
                "labels of the image's size, or scale= and translate= of both."
            )
        if grid.overlap() == 0:
            offset = np.linalg.inv(matrix)[:2, 2]
            raise InputError(
                f"The labels {self.name!r} begin {offset[0]:+.5g} px along y and "
                f"{offset[1]:+.5g} px along x from where their image {image.name!r} of "
                f"{_size(image)} px does, and cover none of it. Correct the scale or translate of "
                "either layer."
            )
        return replace(self, grid=replace(grid, image=replace(own, kind="labels")))

    def _plane(self) -> Raster:
        return _plane_of(self)

    def _maps(self, y: slice, x: slice) -> NDArray[np.float32]:
        """Maps (n, y, x) of a window, from those of fixed squares: whichever window asks."""
        count = 3 if self.labelling.target == "instances" else 2
        result = np.empty((count, y.stop - y.start, x.stop - x.start), np.float32)
        for top in range(y.start // BLOCK * BLOCK, y.stop, BLOCK):
            for left in range(x.start // BLOCK * BLOCK, x.stop, BLOCK):
                square = self._square(top, left)
                rows, columns = (
                    slice(max(s.start, first), min(s.stop, first + BLOCK))
                    for s, first in ((y, top), (x, left))
                )
                result[
                    :, rows.start - y.start : rows.stop - y.start,
                    columns.start - x.start : columns.stop - x.start,
                ] = square[
                    :, rows.start - top : rows.stop - top,
                    columns.start - left : columns.stop - left,
                ]  # fmt: skip
        return result

    def _square(self, top: int, left: int) -> NDArray[np.float32]:
        lane = self.inputs.lanes[0]
        where = tuple(lane.at.items()), self.plane, self.shape
        moved = None if self.grid is None else self.grid.matrix.tobytes()
        meant = self.labelling.target, self.labelling.parts_of
        key = (lane.raster.data.name, *where, moved, *meant, top, left)
        known = self.decoded.get(key)
        if known is None:
            spans = [
                (max(first - AROUND, 0), min(first + BLOCK + AROUND, n), first, n)
                for first, n in zip((top, left), self.shape, strict=True)
            ]
            labels, there = self.labels(*(slice(start, stop) for start, stop, _, _ in spans))
            inner = tuple(
                slice(first - start, min(first + BLOCK, n) - start) for start, _, first, n in spans
            )
            known = _targets(labels, there, self.labelling)[:, inner[0], inner[1]].copy()
            self.decoded.put(key, known)
        return np.asarray(known, np.float32)


def _targets(
    labels: NDArray[Any], there: NDArray[np.bool_] | None, labelling: Labelling
) -> NDArray[np.float32]:
    objects = numbered(labels)
    if labelling.target == "instances":
        maps = instance_targets(objects, border=BORDER)
        unknown = np.float32(np.nan)
    else:
        parted = split_touching(objects)
        maps = np.stack([parted == 0, weight_map(parted)]).astype(np.float32)
        unknown = np.float32(-1)
    if there is not None:
        maps[:, ~there] = unknown
        maps[1, ~there] = 0 if labelling.target == "borders" else unknown
    return maps


def numbered(labels: NDArray[Any]) -> NDArray[np.int32]:
    """The same objects with numbers without gaps, for ids may exceed 2**31; 0 is background."""
    _, compact = np.unique(labels, return_inverse=True)
    numbers = compact.reshape(labels.shape) + 1
    return np.where(labels == 0, 0, numbers).astype(np.int32)


def labelled(domain: Domain, labelling: Labelling) -> Domain:
    """A domain whose pictures are read as labels."""
    pictures = tuple(
        replace(picture, labelling=labelling)
        if isinstance(picture, LabelPicture)
        else LabelPicture.of(picture, labelling)
        for picture in domain.pictures
    )
    return replace(domain, pictures=pictures)


def open_labels(described: Mapping[str, Any], root: str | Path, labelling: Labelling) -> Domain:
    """Open what a recipe describes as labels, reading nothing but metadata.

    Raises
    ------
    InputError
        If an image cannot be read, has more than one channel, or no integers.
    """
    plain = {key: value for key, value in described.items() if key != "normalisation"}
    return labelled(Domain.from_json(plain, root), labelling)


def _plane_of(picture: Picture) -> Raster:
    """The plane (y, x) that a picture is of."""
    leading = dict(zip(picture.inputs.leading, picture.plane, strict=True))
    at = {**picture.inputs.lanes[0].at, **leading}
    return picture.raster.plane(**{k: v for k, v in at.items() if k in picture.raster.axes})


def _placed(placement: Placement) -> bool:
    """Whether anybody said where an image lies."""
    matrix = placement.matrix()
    return not np.array_equal(matrix, np.eye(len(matrix))) or set(placement.units) != {"pixel"}


def _size(picture: Picture) -> str:
    return "{} × {}".format(*picture.shape)
