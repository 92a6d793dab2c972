"""Which pixels of a layer a person means: what is on screen, or what a shape covers.

Functions of napari's models alone: no Qt, and nothing private of napari but the size of the
canvas where it has no public name (before 0.9).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.placement import micrometres
from napari_tincture.widgets._viewer import bare

Region = dict[str, tuple[int, int]]
"""Axis letter → first pixel and the one after the last."""
GIVEN = "given"
"""A region that is told by its pixels."""
FILLED = 0.7
"""Part of the canvas that is filled by what the camera is moved to."""


def viewport(viewer: Any, layer: Any, letters: str) -> Region:
    """Give the bounding box of what is on screen, in pixels of the layer.

    Parameters
    ----------
    viewer : napari.Viewer
        Shows two dimensions.
    layer : napari layer
        May be rotated or sheared: the box then holds the screen.
    letters
        The axes of the layer's own dimensions, without the channels of an RGB layer.

    Raises
    ------
    InputError
        If the viewer shows three dimensions or a grid, or nothing of the layer.
    """
    camera, canvas, grid = _view(viewer)
    if viewer.dims.ndisplay != 2:
        raise InputError("The viewer shows three dimensions; switch to 2D to use what is shown.")
    if grid:
        raise InputError("The viewer shows a grid; leave the grid to use what is shown.")
    centre, half = np.asarray(camera.center)[-2:], np.asarray(canvas) / camera.zoom / 2
    corners = [_shown_point(viewer, centre + half * signs) for signs in product((-1, 1), repeat=2)]
    problem = f"Nothing of layer {layer.name!r} is on screen; move or zoom to it."
    return _box(viewer, layer, letters, corners, problem)


def shape_box(viewer: Any, shapes: Any, layer: Any, letters: str) -> Region:
    """Give the bounding box of the selected shape, in pixels of the layer.

    Parameters
    ----------
    viewer : napari.Viewer
        Its displayed dimensions are those that the box bounds.
    shapes : napari.layers.Shapes
        With one selected shape, or just one.
    layer, letters
        As in `viewport`.

    Raises
    ------
    InputError
        If no shape or several are selected, or the shape lies outside the layer.
    """
    chosen = sorted(shapes.selected_data) or range(len(shapes.data))
    if len(chosen) != 1:
        raise InputError(
            f"Layer {shapes.name!r} has {len(shapes.data)} shapes, {len(shapes.selected_data)} "
            "selected; draw a rectangle, or select one."
        )
    corners = [
        _aligned(_to_world(viewer, shapes, vertex), viewer.dims.point)
        for vertex in shapes.data[chosen[0]]
    ]
    problem = f"The shape in {shapes.name!r} lies outside layer {layer.name!r}; move it."
    return _box(viewer, layer, letters, corners, problem)


def shown_planes(viewer: Any, layer: Any, letters: str) -> Region:
    """Give the one plane that is shown, along every axis of the layer but the displayed ones.

    Raises
    ------
    InputError
        If the sliders stand outside the layer.
    """
    place = _to_data(viewer, layer, viewer.dims.point)
    region: Region = {}
    for axis in set(range(layer.ndim)) - set(_displayed(viewer, layer)):
        index, size = round(place[axis]), _size(layer, axis)
        if not 0 <= index < size:
            raise InputError(
                f"The shown plane lies outside layer {layer.name!r} along {letters[axis]}; move "
                "the slider."
            )
        region[letters[axis]] = (index, index + 1)
    return region


def look_at(viewer: Any, layer: Any, letters: str, region: Region) -> None:
    """Move the camera, and the sliders, to a part of a layer.

    Parameters
    ----------
    viewer : napari.Viewer
        Shows two dimensions, or is told to.
    layer, letters
        As in `viewport`.
    region
        In pixels of the layer; what it does not name stays as it is.
    """
    camera, canvas, _ = _view(viewer)
    viewer.dims.ndisplay = 2
    shown = _displayed(viewer, layer)
    here = _to_data(viewer, layer, viewer.dims.point)
    ends = np.array([here, here])
    for axis, letter in enumerate(letters):
        if letter in region:
            start, stop = region[letter]
            ends[:, axis] = start - 0.5, stop - 0.5
    corners = np.array([
        _to_world(viewer, layer, [ends[bit][axis] for axis, bit in enumerate(bits)])
        for bits in product((0, 1), repeat=layer.ndim)
    ])  # fmt: skip
    middle, extent = corners.mean(axis=0), np.ptp(corners, axis=0)
    missing = viewer.dims.ndim - layer.ndim
    for axis in set(range(layer.ndim)) - set(shown):
        if letters[axis] in region:
            viewer.dims.set_point(axis + missing, middle[axis])
    camera.center = tuple(middle[shown])
    camera.zoom = float(FILLED * (np.asarray(canvas) / np.maximum(extent[shown], 1e-12)).min())


def _box(
    viewer: Any, layer: Any, letters: str, corners: Iterable[np.ndarray], problem: str
) -> Region:
    points = np.array([_to_data(viewer, layer, corner) for corner in corners])
    region: Region = {}
    for axis in _displayed(viewer, layer):
        # A pixel reaches from half before its index to half after.
        start = max(int(np.floor(points[:, axis].min() + 0.5)), 0)
        stop = min(int(np.ceil(points[:, axis].max() - 0.5)) + 1, _size(layer, axis))
        if start >= stop:
            raise InputError(problem)
        region[letters[axis]] = (start, stop)
    return region


def _view(viewer: Any) -> tuple[Any, tuple[int, int], bool]:
    """Give camera, canvas size (height, width) in pixels, and whether there is a grid."""
    if hasattr(viewer, "scene"):
        return viewer.scene.camera, viewer.canvas.size, viewer.canvas.grid.enabled
    return viewer.camera, bare(viewer)._canvas_size, viewer.grid.enabled


def _shown_point(viewer: Any, displayed: np.ndarray) -> np.ndarray:
    point = np.array(viewer.dims.point, dtype=float)
    point[list(viewer.dims.displayed)] = displayed
    return point


def _aligned(point: np.ndarray, rest: Iterable[float]) -> np.ndarray:
    """Complete a point of few dimensions: napari aligns dimensions at the end."""
    whole = np.array(tuple(rest), dtype=float)
    count = min(len(point), len(whole))
    whole[len(whole) - count :] = point[len(point) - count :]
    return whole


def _displayed(viewer: Any, layer: Any) -> list[int]:
    missing = viewer.dims.ndim - layer.ndim
    return [axis - missing for axis in viewer.dims.displayed if axis >= missing]


def _size(layer: Any, axis: int) -> int:
    return int((layer.data[0] if layer.multiscale else layer.data).shape[axis])


def _to_world(viewer: Any, layer: Any, point: Any) -> np.ndarray:
    world: np.ndarray = np.asarray(layer.data_to_world(point)) * _unit_factors(viewer, layer)
    return world


def _to_data(viewer: Any, layer: Any, point: Any) -> np.ndarray:
    own = np.asarray(point, dtype=float)[-layer.ndim :] / _unit_factors(viewer, layer)
    return np.asarray(layer.world_to_data(own))


def _unit_factors(viewer: Any, layer: Any) -> np.ndarray:
    """Give world units per unit of the layer: napari draws layers of other units to scale."""
    world = list(viewer.layers.extent.units or layer.units)[-layer.ndim :]
    lengths = [
        (micrometres(str(u)), micrometres(str(w))) for u, w in zip(layer.units, world, strict=True)
    ]
    return np.array([own / whole if own and whole else 1.0 for own, whole in lengths])
