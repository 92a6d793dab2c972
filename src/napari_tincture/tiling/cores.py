"""How an image is cut for a network: what windows hold beyond their cores, how large these are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, get_args

from napari_tincture.errors import InputError
from napari_tincture.grid import Geometry, balanced_core
from napari_tincture.tiling.reach import Reach

SeamMode = Literal["exact", "blend"]
OVERLAP = 128
"""Pixels that windows share at least where blending was chosen."""
LEVEL_UNIT = 64
"""Cores of a large image are multiples of this: upper levels of a pyramid keep its tiles apart."""
MANY = 8
"""Tiles along an axis from which on an image is large."""


def check_seams(seams: str) -> SeamMode:
    """Validate the `seams=` argument of a public call."""
    if seams not in get_args(SeamMode):
        expected = " or ".join(map(repr, get_args(SeamMode)))
        raise InputError(f"seams={seams!r}: expected {expected}.")
    return seams  # type: ignore[return-value]


def geometry_of(reach: Reach, seams: SeamMode) -> Geometry:
    """How windows are laid: with the network's halo or, where that is dear, less of it to blend.

    Windows share the least multiple of the stride that is no less than `OVERLAP`. Networks whose
    own halo is no larger than that keep it, because to them blending would spare nothing: of a
    blended window all is computed. So do unpadded ones, and those that cannot be exact.
    """
    geometry = reach.geometry
    if seams == "exact" or not reach.exact or geometry.border != "clip":
        return geometry
    unit = math.lcm(geometry.stride, 2)
    halo = math.ceil(OVERLAP / unit) * unit // 2
    return geometry if geometry.halo <= 2 * halo else replace(geometry, halo=halo)


def core_sides(geometry: Geometry, sides: tuple[int, int], chosen: bool) -> tuple[int, int]:
    """Side lengths of a core, so large that what windows hold beyond it is a small share.

    Parameters
    ----------
    geometry
        How windows are laid.
    sides
        Height and width in pixels of what is wanted.
    chosen
        Whether windows are blended by choice: all of one is computed, where others need less and
        less of their halo.
    """
    unit = math.lcm(geometry.stride, LEVEL_UNIT)
    least = (16 if chosen else 4) * geometry.halo
    target = math.ceil(max(1024, least) / unit) * unit
    # Where there are many tiles, none need be smaller for the sake of the last.
    y, x = (
        target if side >= MANY * target else balanced_core(side, target, geometry.stride)
        for side in sides
    )
    return y, x
