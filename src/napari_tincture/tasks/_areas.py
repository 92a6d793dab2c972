"""Which parts of a plane are compared apart: masks and regions, on the reference's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import in_memory
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.layers import is_layer
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid, Place, pixel_map
from napari_tincture.tasks._boxes import Box, box_of, boxes_of_labels
from napari_tincture.tasks._label_planes import labels_of

IdMap = npt.NDArray[np.int32]
Polygon = npt.NDArray[np.float64]
ROUND = 64
"""Corners of the polygon that stands for an ellipse."""


@dataclass(frozen=True)
class Areas:
    """Regions of one plane that do not overlap.

    Attributes
    ----------
    names
        Of the regions.
    at
        Gives the number of the region of every pixel of a place, -1: none.
    boxes
        By name, what holds a region, whatever a mask leaves of it.
    """

    names: tuple[str, ...]
    at: Callable[[Place], IdMap]
    boxes: Mapping[str, Box] = field(default_factory=dict)

    def within(self, mask: OnGrid) -> Areas:
        """Keep what lies in a mask."""

        def at(place: Place) -> IdMap:
            values, valid = mask(place)
            inside = (values != 0).any(axis=0)
            if valid is not None:
                inside &= valid
            return np.where(inside, self.at(place), np.int32(-1))

        return replace(self, at=at)


def areas_of(
    plane: Raster, regions: Any, mask: Any, at: Mapping[str, int] | None = None
) -> list[Areas] | None:
    """Divide a plane (y, x) or (c, y, x) of the reference; None: all of it is one region.

    Parameters
    ----------
    plane
        Gives the grid.
    regions
        None; ``"grid:256"``; labels, each of which is a region; a Shapes layer; or a list, or
        mapping of names, of polygons (n, 2) in pixels (y, x) of the reference.
    mask
        None; ``"tissue"``; or an image of which pixels other than 0 count.
    at
        Where along t and z of its reference the plane lies: that of stacks of labels counts.

    Returns
    -------
    list of Areas or None
        More than one if regions overlap; none where a stack of labels has no region.

    Raises
    ------
    InputError
        If they cannot be read, or do not lie on the plane.
    """
    at = at or {}
    found = None if regions is None else list(_divided(plane, regions, at))
    if mask is None:
        return found
    chosen = (
        tissue(plane) if isinstance(mask, str) and mask == "tissue" else labels_of(mask, plane, at)
    )
    window = on_grid(chosen, plane)
    return [areas.within(window) for areas in ([_whole()] if found is None else found)]


def on_grid(image: Raster, plane: Raster) -> OnGrid:
    """An image as it lies on the grid of a plane."""
    height, width = plane.shape[-2:]
    return OnGrid(image, pixel_map(image, plane), (height, width))


def tissue(plane: Raster) -> Raster:
    """What is no background, by Otsu's threshold on the lowest level.

    In colour images tissue is darker than its background, in others brighter.
    """
    from skimage.filters import threshold_otsu

    level = len(plane.levels) - 1
    step = max(1, *(n // 2048 for n in plane.levels[level].shape[-2:]))
    values = in_memory(plane.levels[level][..., ::step, ::step]).astype(np.float64)
    grey = values.mean(axis=0) if values.ndim == 3 else values
    threshold = threshold_otsu(grey)
    mask = (grey < threshold if plane.rgb else grey > threshold).astype(np.uint8)
    flat = plane.plane(c=0) if "c" in plane.axes else plane
    factors = [n / m for n, m in zip(flat.shape, mask.shape, strict=True)]
    return Raster.from_array(
        mask, "yx", kind="labels", name="tissue", placement=flat.placement.level(factors)
    )


def _whole() -> Areas:
    return Areas(("",), lambda place: np.zeros([s.stop - s.start for s in place], np.int32))


def _divided(plane: Raster, regions: Any, at: Mapping[str, int]) -> Iterator[Areas]:
    if isinstance(regions, str):
        yield _grid(plane, regions)
    elif _is_shapes(regions):
        yield from _drawn(plane, _polygons_of(regions, plane))
    elif isinstance(regions, Mapping):
        yield from _drawn(plane, {str(n): _polygon(p, str(n)) for n, p in regions.items()})
    elif isinstance(regions, list | tuple):
        yield from _drawn(plane, {str(n): _polygon(p, str(n)) for n, p in enumerate(regions, 1)})
    else:
        labels = regions if isinstance(regions, Raster | np.ndarray) else open_image(regions)
        found = _labelled(plane, labels_of(labels, plane, at))
        if found.names:
            yield found
        elif labels.ndim == 2:
            raise InputError(
                f"Labels {getattr(labels, 'name', '')!r} hold no region: all pixels are 0."
            )


def _grid(plane: Raster, text: str) -> Areas:
    kind, _, side = text.partition(":")
    if kind != "grid" or not side.isdigit() or int(side) < 1:
        raise InputError(
            f"regions={text!r}: expected 'grid:256' with the side of a square in pixels, labels, "
            "or shapes."
        )
    step = int(side)
    height, width = plane.shape[-2:]
    columns = -(-width // step)
    boxes = {
        f"y {y}, x {x}": ((y, min(y + step, height)), (x, min(x + step, width)))
        for y, x in product(range(0, height, step), range(0, width, step))
    }

    def at(place: Place) -> IdMap:
        y, x = (np.arange(s.start, s.stop) // step for s in place)
        return (y[:, None] * columns + x[None]).astype(np.int32)

    return Areas(tuple(boxes), at, boxes)


def _labelled(plane: Raster, labels: Raster) -> Areas:
    window = on_grid(labels, plane)
    boxes = boxes_of_labels(labels, plane)
    ids = np.array(list(boxes))

    def at(place: Place) -> IdMap:
        values, valid = window(place)
        number = np.searchsorted(ids, values[0]).clip(max=len(ids) - 1).astype(np.int32)
        known = ids[number] == values[0]
        if valid is not None:
            known &= valid
        return np.where(known, number, np.int32(-1))

    return Areas(tuple(map(str, boxes)), at, {str(i): box for i, box in boxes.items()})


def _drawn(plane: Raster, polygons: Mapping[str, Polygon]) -> Iterator[Areas]:
    """Put polygons into as few groups as possible in which none overlap."""
    height, width = plane.shape[-2:]
    groups: list[dict[str, Polygon]] = []
    for name, polygon in polygons.items():
        low, high = polygon.min(axis=0), polygon.max(axis=0)
        if (high < 0).any() or (low > (height - 1, width - 1)).any():
            raise InputError(f"Region {name!r} lies outside the reference {plane.name!r}.")
        free = (g for g in groups if not any(_may_overlap(polygon, p) for p in g.values()))
        group = next(free, None)
        if group is None:
            groups.append(group := {})
        group[name] = polygon
    return (_group(group, (height, width)) for group in groups)


def _group(polygons: Mapping[str, Polygon], shape: tuple[int, int]) -> Areas:
    from skimage.draw import polygon as fill

    def at(place: Place) -> IdMap:
        y, x = (s.start for s in place)
        result = np.full([s.stop - s.start for s in place], -1, np.int32)
        for number, corners in enumerate(polygons.values()):
            result[fill(corners[:, 0] - y, corners[:, 1] - x, result.shape)] = number
        return result

    boxes = {name: box_of(corners, shape) for name, corners in polygons.items()}
    return Areas(tuple(polygons), at, boxes)


def _may_overlap(one: Polygon, other: Polygon) -> bool:
    return bool(
        (one.min(axis=0) <= other.max(axis=0)).all()
        and (other.min(axis=0) <= one.max(axis=0)).all()
    )


def _polygon(corners: Any, name: str) -> Polygon:
    try:
        result = np.asarray(corners, dtype=np.float64)
    except (TypeError, ValueError):
        result = np.empty(0)
    if result.ndim != 2 or result.shape[1] != 2 or len(result) < 3:
        raise InputError(
            f"Region {name!r}: expected three or more corners (y, x) in pixels of the reference."
        )
    return result


def _is_shapes(value: Any) -> bool:
    value = getattr(value, "__wrapped__", value)
    return is_layer(value) and hasattr(value, "shape_type")


def _polygons_of(layer: Any, plane: Raster) -> dict[str, Polygon]:
    """Shapes of a layer in pixels (y, x) of a plane."""
    from napari_tincture.placement import Placement

    layer = getattr(layer, "__wrapped__", layer)
    names = [str(label) for label in layer.axis_labels]
    placement = Placement.build(
        names, scale=layer.scale, translate=layer.translate, rotate=layer.rotate,
        shear=layer.shear, affine=np.asarray(layer.affine.affine_matrix), units=layer.units,
    )  # fmt: skip
    shapes = Raster.from_array(
        np.broadcast_to(np.uint8(0), [1] * layer.ndim), "tzyx"[-layer.ndim :], placement=placement
    )
    matrix = np.linalg.inv(pixel_map(shapes, plane))
    result = {}
    for number, (corners, kind) in enumerate(zip(layer.data, layer.shape_type, strict=True), 1):
        if kind in ("line", "path"):
            raise InputError(f"Shape {number} of {layer.name!r} is a {kind}; draw an area.")
        outline = np.asarray(corners, np.float64)[:, -2:]
        if kind == "ellipse":
            outline = _ellipse(outline)
        result[str(number)] = outline @ matrix[:2, :2].T + matrix[:2, 2]
    if not result:
        raise InputError(f"Shapes layer {layer.name!r} is empty; draw the regions first.")
    return result


def _ellipse(box: Polygon) -> Polygon:
    """The outline of the ellipse in a box of four corners."""
    angle = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)
    sides = (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    outline: Polygon = (
        box.mean(axis=0) + np.outer(np.cos(angle), sides[0]) + np.outer(np.sin(angle), sides[1])
    )
    return outline
