"""What formats cannot say about a raster, in a JSON object of our own beside their metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.provenance import completed, plain, software
from napari_tincture.placement import FloatArray, Placement, micrometres
from napari_tincture.raster import Raster

KEY = "napari_tincture"
"""Name of the object in zarr attributes, and namespace of the annotation in OME-XML."""


def to_json(raster: Raster, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a raster; `facts` are added to its provenance."""
    return {
        "software": software(), "axes": raster.axes, "kind": raster.kind, "rgb": raster.rgb,
        "order": raster.order, "name": raster.name, "channels": list(raster.channels),
        "display": plain(raster.display), "placement": plain(raster.placement.to_json()),
        "provenance": completed(raster, facts),
    }  # fmt: skip


def raster_options(own: object, axes: str) -> dict[str, Any]:
    """Give arguments of `Raster` from `to_json`; empty if it is damaged or for other axes."""
    if not isinstance(own, Mapping) or own.get("axes") != axes:
        return {}
    try:
        placement = Placement.from_json(own["placement"])
        name = {"name": str(own["name"])} if own["name"] else {}
        return {
            **name, "kind": own["kind"], "rgb": bool(own["rgb"]), "order": own["order"],
            "channels": tuple(own["channels"]),
            "display": dict(own["display"]), "provenance": dict(own["provenance"]),
            "placement": placement,
        }  # fmt: skip
    except (InputError, KeyError, TypeError, ValueError):
        # Another program may have edited the object; the format's own metadata still stand.
        return {}


def scale_translation(placement: Placement) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give what formats without rotation can hold.

    The whole map where it is only scale and translation, else these two components of it.
    """
    if not is_rotated(placement):
        whole = placement.matrix()
        return tuple(np.diag(whole)[:-1].tolist()), tuple(whole[:-1, -1].tolist())
    return placement.scale, placement.translate


def is_rotated(placement: Placement) -> bool:
    """Tell whether a placement is more than scale and translation."""
    linear = placement.matrix()[:-1, :-1]
    return not np.array_equal(linear, np.diag(np.diag(linear)))


def reconciled(own: Placement | None, read: Placement, held: Iterable[int]) -> Placement:
    """Choose between our own placement and that of the format's metadata.

    Ours says more, but the format's wins where another program has changed it since.

    Parameters
    ----------
    own, read : Placement
        From our object (None if there is none) and from the format's metadata.
    held : iterable of int
        The axes whose scale and translation the format holds.
    """
    if own is None:
        return read
    ours, theirs = _in_micrometres(own), _in_micrometres(read)
    same = all(np.allclose(ours[:, i], theirs[:, i], rtol=1e-6, atol=1e-9) for i in held)
    return own if same else read


def _in_micrometres(placement: Placement) -> FloatArray:
    factors = [micrometres(unit) or 1.0 for unit in placement.units]
    return np.array(scale_translation(placement)) * factors
