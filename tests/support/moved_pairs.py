"""Pairs of images of which it is known how they lie."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from napari_tincture import samples
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray

SIDE = 384


@cache
def texture(name: str, side: int = SIDE) -> FloatArray:
    """A real plane: "phase", "dapi", "nuclei" or "blood"."""
    planes = {
        "phase": lambda: samples.neuron_phase().plane(z=3).compute(),
        "dapi": lambda: samples.neuron_dapi().compute(),
        "nuclei": lambda: samples.nuclei(0).compute(),
        "blood": lambda: samples.blood_smear().compute().mean(axis=0),
    }
    whole: FloatArray = planes[name]().astype(np.float64)
    return whole[:side, :side]


def motion(
    shape: tuple[int, ...], shift: tuple[float, float] = (0, 0), rotation: float = 0.0,
    scale: float = 1.0, stretch: float = 0.0, shear: float = 0.0,
) -> FloatArray:  # fmt: skip
    """A map of pixels (y, x, 1) about the middle of a plane."""
    t = math.radians(rotation)
    turn = np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
    linear = scale * turn @ np.array([[1 + stretch, shear], [shear, 1 - stretch]])
    centre = (np.array(shape) - 1) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ centre + shift
    return matrix


def shown(plane: FloatArray, matrix: FloatArray) -> FloatArray:
    """What shows at M p what `plane` shows at p."""
    back = np.linalg.inv(matrix)
    grid = np.indices(plane.shape)
    points = np.tensordot(back[:2, :2], grid, 1) + back[:2, 2].reshape(2, 1, 1)
    result: FloatArray = map_coordinates(plane, points, order=3, mode="reflect")
    return result


def bent(plane: FloatArray) -> FloatArray:
    """A plane whose pixels moved by up to 3, here this way and there that."""
    y, x = np.indices(plane.shape, float)
    bend = 3 * np.sin(y / 40) * np.sin(x / 40)
    result: FloatArray = map_coordinates(plane, [y + bend, x], order=3, mode="reflect")
    return result


def raster(plane: Any, axes: str = "yx", **options: Any) -> Raster:
    """A raster of planes in memory."""
    return Raster.from_array(plane, axes, **options)


def off(found: Any, true: FloatArray, shape: tuple[int, ...]) -> tuple[float, float]:
    """Distance between two maps at the middle, and the largest at the corners."""
    height, width = shape
    points = np.array([[y, x, 1.0] for y in (0, height - 1) for x in (0, width - 1)])
    points = np.vstack([points.mean(axis=0), points])
    away = np.linalg.norm((points @ (np.array(found) - true).T)[:, :2], axis=1)
    return float(away[0]), float(away[1:].max())
