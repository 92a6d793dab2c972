"""Linking: one number for an object through the planes of a stack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from napari_tincture.call import Call
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.io.provenance import described, extended
from napari_tincture.raster import Raster
from napari_tincture.tasks._link_run import LinkRunner
from napari_tincture.tasks._links import Links, linked_lazily

LEAST = 0.5
"""Intersection over union from which on an object of the next plane is the same."""


def link(labels: Any, axis: Literal["t", "z"] = "z", *, least: float = LEAST) -> Raster:
    """Number objects through a stack by their overlap; nothing is computed until it is read.

    Every plane is compared with the one before. Objects are paired one to one by their
    intersection over union (IoU): above 0.5 by that alone, as an object then has one partner at
    most; with a lower `least`, as many pairs as there can be and of these the greatest sum of IoU
    (linear assignment, the Hungarian problem). A paired object keeps the number of its partner,
    any other gets the next one. So of the parts of an object that splits, one that is still
    similar keeps its number and the others are new; an object that several merge into has the
    number of the one that it is paired with, and the other numbers end; an object that vanishes
    and comes back has another number. Only neighbouring planes are compared: there is no
    prediction of motion, and no gap is bridged.

    Parameters
    ----------
    labels
        A result of `segment` with axis t or z, or labels as `open_image` accepts them: (t, z, y,
        x), integers, 0 is background. The same number in two planes means nothing.
    axis
        "z", or "t". Along the other one nothing is linked: numbers of each stack are its own.
    least
        Least IoU of a pair, above 0 and up to 1; at 0.5 and above it must also be more than 0.5.

    Returns
    -------
    Raster
        Of kind "labels", (t, z, y, x), int32 (int64 from 2³¹ pixels on), where `labels` lie;
        numbered from 1 plane after plane, t before z, within a plane in the order of its own
        numbers. It needs a few blocks and a table of all objects in memory, whatever its size;
        `save` and `compute` write labels that are computed to disk first. Through the lazy array
        all planes before the one that is read are looked at, once.

    Raises
    ------
    InputError
        If the labels are no integers, have channels, or lack the axis; if `least` is none.
    """
    given = _checked(open_image(labels), axis, least)
    settings = {"axis": axis, "least": least}
    provenance = extended(
        given.provenance, "link", image=given.name, sources=[described(given)], settings=settings
    )
    linked = link_planes(given, axis, least, (given,))
    call = Call("link", given, axis, {"least": least})
    return replace(linked, provenance=provenance, call=call)


def link_planes(
    labels: Raster, axis: str, least: float, sources: tuple[Raster, ...] | None = None
) -> Raster:
    """The same raster with its objects linked; `sources` are of its provenance's last step."""
    checked = _checked(labels, axis, least)
    own: tuple[Raster, ...] = getattr(labels.runner, "sources", ())
    links = Links(checked, axis, float(least))
    return replace(
        checked,
        levels=(linked_lazily(links),),
        kind="labels",
        display={},
        source=None,
        runner=LinkRunner(links, own if sources is None else sources),
    )


def _checked(labels: Raster, axis: str, least: float) -> Raster:
    if axis not in ("t", "z"):
        raise InputError(f"axis={axis!r}: expected 't' or 'z', along which planes are linked.")
    number = isinstance(least, int | float) and not isinstance(least, bool)
    if not number or not 0 < least <= 1:
        raise InputError(f"least={least!r}: expected an IoU above 0 and up to 1.")
    if labels.dtype.kind not in "iu" or "c" in labels.axes:
        raise InputError(
            f"Labels {labels.name!r} are of type {labels.dtype} with axes {labels.axes!r}; "
            "expected integers without an axis of channels. Segment the image first, or take one "
            "channel with plane(c=…)."
        )
    if axis not in labels.axes:
        raise InputError(
            f"Labels {labels.name!r} have axes {labels.axes!r} and no {axis!r} to link along. "
            "State the axes with open_image(…, axes=…), or choose the other axis."
        )
    return labels
