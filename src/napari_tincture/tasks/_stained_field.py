"""A stained image with what people know of it, read on the grid of the stain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.alignment.align import Registration, align
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.card import ModelCard
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid, pixel_map
from napari_tincture.tasks._marked import marked_boxes
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.inputs import Inputs, Plane
from napari_tincture.training.correction_set import RIGHT, WRONG, Box, Region

MARGIN = 32
"""Pixels around marks that are stored with them."""
LEAST = 256
"""Shortest side in pixels of what is stored, where neither image nor model say otherwise."""


@dataclass(frozen=True)
class StainedField:
    """A stained image with what is known of it, all read on the grid of the stain."""

    card: ModelCard
    inputs: Inputs
    stain: Raster
    marks: Raster | None
    reference: Raster | None
    shift: tuple[int, int]

    @classmethod
    def of(
        cls, card: ModelCard, image: Raster, stain: Raster, marks: Any, reference: Any,
        how: Registration | None, settings: Mapping[str, Any],
    ) -> StainedField:  # fmt: skip
        """Open and check all of it."""
        inputs = map_channels(image, card, settings["channels"], settings["nonfinite"])
        lanes = tuple(lane for lane in inputs.lanes if not lane.drawn)
        inputs = dataclasses.replace(inputs, lanes=lanes)
        _check_stain(card, inputs, stain)
        labels = None if marks is None else open_image(marks)
        if labels is not None:
            _check_marks(labels)
        known = None if reference is None else open_image(reference)
        if known is not None and known.sizes.get("c", 1) != len(card.outputs):
            raise InputError(
                f"The reference {known.name!r} has {known.sizes.get('c', 1)} channels, the stain "
                f"of model {card.name!r} {len(card.outputs)}. Give as many."
            )
        if known is not None and how is not None:
            known = align(known, stain, model=how).raster
        grid = OnGrid(inputs.lanes[0].raster, pixel_map(image, stain), _extent(stain))
        return cls(card, inputs, stain, labels, known, _same_grid(grid, image, stain))

    def regions(self, plane: Plane, facts: Mapping[str, Any]) -> Iterator[Region]:
        """What is to be stored of one plane."""
        at = dict(zip(self.inputs.leading, plane, strict=True))
        grids = {
            name: _on(raster, self.stain, at)
            for name, raster in (("marks", self.marks), ("reference", self.reference))
            if raster is not None
        }
        whole = {**facts, "plane": at, **self._values(plane)}
        for box in self._boxes(grids.get("marks")):
            yield self._region(plane, at, box, grids, whole)

    def _boxes(self, marks: OnGrid | None) -> list[Box]:
        height, width = _extent(self.stain)
        if marks is None:
            return [(0, height, 0, width)]
        sampling = self.card.recipe.get("sampling", {})
        return marked_boxes(marks, int(sampling.get("crop", LEAST)), MARGIN)

    def _values(self, plane: Plane) -> dict[str, Any]:
        """How stored values become the network's."""
        card = self.card
        low, high = card.output_range
        made = Normalisation()
        if self.stain.dtype.kind in "iu":
            made = Normalisation("range", 0, float(np.iinfo(self.stain.dtype).max), (low, high))
        known = card.target_normalisation or Normalisation("dtype", target=card.output_range)
        found = {
            "input": _how(card.normalisation, lambda y, x: self.inputs.finite(plane, y, x),
                          self.inputs.shape),
            "stain": _how(made, None, None),
        }  # fmt: skip
        if self.reference is not None:
            at = dict(zip(self.inputs.leading, plane, strict=True))
            own = _plane(self.reference, at)
            found["reference"] = _how(known, lambda y, x: _read(own, y, x), _extent(own))
        return {"values": found}

    def _region(
        self, plane: Plane, at: Mapping[str, int], box: Box, grids: Mapping[str, OnGrid],
        facts: Mapping[str, Any],
    ) -> Region:  # fmt: skip
        y, x = slice(*box[:2]), slice(*box[2:])
        down, across = self.shift
        rows, columns = (
            slice(y.start + down, y.stop + down),
            slice(x.start + across, x.stop + across),
        )
        marks = np.zeros((y.stop - y.start, x.stop - x.start), np.uint8)
        if "marks" in grids:
            marks = grids["marks"]((y, x)).values[0].astype(np.uint8)
        known, covered = None, None
        if "reference" in grids:
            window = grids["reference"]((y, x))
            known, covered = _as_type(window.values, grids["reference"].image), window.valid
        return Region(
            self.inputs.finite(plane, rows, columns), _read(_plane(self.stain, at), y, x), marks,
            known, {**facts, "box": [rows.start, rows.stop, columns.start, columns.stop]}, covered,
        )  # fmt: skip


def _how(kind: Normalisation, read: Any, shape: tuple[int, int] | None) -> dict[str, Any]:
    """A normalisation, and what it takes from the whole plane."""
    found: dict[str, Any] = {"normalisation": dataclasses.asdict(kind), "stats": None}
    if kind.needs_image and read is not None and shape is not None:
        found["stats"] = kind.measure(read(slice(0, shape[0]), slice(0, shape[1]))).tolist()
    return found


def _check_stain(card: ModelCard, inputs: Inputs, stain: Raster) -> None:
    if stain.sizes.get("c", 1) != len(card.outputs):
        raise InputError(
            f"The stain {stain.name!r} has {stain.sizes.get('c', 1)} channels, model {card.name!r} "
            f"makes {len(card.outputs)}. Give all of them, as a list of layers."
        )
    sizes = [(axis, stain.sizes.get(axis, 1)) for axis in "tz"]
    wanted = dict(zip(inputs.leading, inputs.counts, strict=True))
    wrong = [f"{n} along {axis}" for axis, n in sizes if n != wanted.get(axis, 1)]
    if wrong:
        raise InputError(
            f"The stain {stain.name!r} has {', '.join(wrong)}, the image {wanted or 'one plane'}. "
            "Give the image that was stained."
        )


def _check_marks(marks: Raster) -> None:
    if marks.dtype.kind not in "iub" or marks.sizes.get("c", 1) != 1:
        raise InputError(
            f"Marks are labels of one channel, got {marks.dtype} with {marks.sizes.get('c', 1)}. "
            f"Paint {RIGHT} where the stain is right, {WRONG} where it is wrong."
        )


def _same_grid(grid: OnGrid, image: Raster, stain: Raster) -> tuple[int, int]:
    shift = grid.shift
    if shift is not None:
        ends = [a + n for a, n in zip(shift, grid.shape, strict=True)]
        if min(shift) >= 0 and all(e <= n for e, n in zip(ends, _extent(image), strict=True)):
            return shift
    raise InputError(
        f"The stain {stain.name!r} does not lie on the grid of the image {image.name!r}. Give the "
        "image that was stained, and leave both where they are."
    )


def _on(raster: Raster, stain: Raster, at: Mapping[str, int]) -> OnGrid:
    own = _plane(raster, at)
    return OnGrid(own, pixel_map(own, stain), _extent(stain))


def _plane(raster: Raster, at: Mapping[str, int]) -> Raster:
    here = {axis: index for axis, index in at.items() if axis in raster.axes}
    alone = {axis: 0 for axis in "tz" if axis in raster.axes and axis not in here}
    return raster.plane(**here, **alone) if here or alone else raster


def _read(raster: Raster, y: slice, x: slice) -> NDArray[Any]:
    rest = tuple(slice(0, n) for n in raster.shape[:-2])
    values = raster.read((*rest, y, x)).reshape(-1, y.stop - y.start, x.stop - x.start)
    return np.asarray(values)


def _as_type(values: NDArray[Any], raster: Raster) -> NDArray[Any]:
    """Interpolated values in the type of the image."""
    if raster.dtype.kind not in "iu":
        return values.astype(np.float32)
    return np.asarray(np.rint(values), raster.dtype)


def _extent(raster: Raster) -> tuple[int, int]:
    return raster.sizes["y"], raster.sizes["x"]
