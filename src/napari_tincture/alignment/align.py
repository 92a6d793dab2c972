"""Putting an image where its reference is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from napari_tincture.alignment.estimate import estimate
from napari_tincture.alignment.fit import FREE, Model
from napari_tincture.alignment.flow import Flow, flow_between
from napari_tincture.alignment.misalignment import Misalignment
from napari_tincture.alignment.place import moved
from napari_tincture.alignment.warped import warped
from napari_tincture.errors import InputError
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray

Registration = Literal["translation", "euclidean", "similarity", "affine", "flow"]
STILL = 0.02
"""Pixels of the reference below which nothing is moved: no more than the estimate's error."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """An image put where its reference is.

    Attributes
    ----------
    raster : Raster
        The image: with another placement, or, of "flow", read on the reference's grid. How is in
        its provenance, under ``alignment``.
    misalignment : Misalignment
        What was found before.
    model : str
        What was done: "none" if it lay well, the map of the placement, or "flow".
    flow_rms : float
        Root mean square of what "flow" moves beyond the map, in pixels of the reference; else 0.
    how : str
        The same in words.
    """

    raster: Raster
    misalignment: Misalignment
    model: str
    flow_rms: float
    how: str


def align(
    image: Raster,
    reference: Raster,
    *,
    model: Registration = "similarity",
    misalignment: Misalignment | None = None,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Aligned:
    """Put an image where its reference is.

    Up to an affine map this changes the placement alone, along y and x; no pixel is resampled, so
    the registration shows in a viewer at once and `regrid.pixel_map` gives the found map. "flow"
    resamples the image lazily, by what optical flow (iterative Lucas-Kanade; Le Besnerais &
    Champagnat, IEEE Int. Conf. Image Process. 2005, I-137) finds beyond an affine map on a grid of
    at most `flow.SIDE` pixels.

    Parameters
    ----------
    image, reference : Raster
        Of any size, on any grids, with any axes; all planes are moved alike.
    model : {"translation", "euclidean", "similarity", "affine", "flow"}
        The most general map that may be used; of these, the simplest that explains what is found.
    misalignment : Misalignment, optional
        What `estimate` found of the two with the same model ("affine" for "flow").
    progress, cancel
        Steps done and all of them; a token.

    Returns
    -------
    Aligned

    Raises
    ------
    InputError
        If it cannot be told how the two lie, if `misalignment` is more general than `model`, or if
        the model is unknown.
    Cancelled
        If `cancel` was raised.
    """
    report, token = as_callback(progress), cancel or CancelToken()
    found = _found(image, reference, _most(model), misalignment, share(report, 0, 2), token)
    matrix = np.array(found.matrix)
    flow = flow_between(image, reference, matrix, token) if model == "flow" else None
    report(2, 2)
    if flow is not None:
        return _flowed(image, reference, found, matrix, flow)
    if _farthest(matrix, reference.shape[-2:]) < STILL:
        return Aligned(image, found, "none", 0.0, "left where it is, it lies well")
    raster = replace(
        moved(image, reference, matrix), provenance=_provenance(image, reference, found, {})
    )
    return Aligned(
        raster, found, str(found.model), 0.0, f"placed anew; it was off by {found.amount}"
    )


def _most(model: Registration) -> Model:
    if model != "flow" and model not in FREE:
        raise InputError(f"Registration model {model!r} is unknown; there are {[*FREE, 'flow']}.")
    return "affine" if model == "flow" else model


def _found(
    image: Raster, reference: Raster, most: Model, given: Misalignment | None,
    progress: Progress, cancel: CancelToken,
) -> Misalignment:  # fmt: skip
    found = given or estimate(image, reference, model=most, progress=progress, cancel=cancel)
    if not found.found:
        raise InputError(
            f"{image.name or 'The image'!r} cannot be aligned with {reference.name!r}: {found.why}."
            " Give images of the same place, roughly where it is, or place them by hand."
        )
    if found.model and FREE[found.model] > FREE[most]:
        raise InputError(
            f"The misalignment given is {found.model}, more general than the {most} map asked for; "
            f"estimate it with model={most!r}."
        )
    return found


def _flowed(
    image: Raster, reference: Raster, found: Misalignment, matrix: FloatArray, flow: Flow
) -> Aligned:
    what = {"displacements": list(flow.field.shape[1:]), "flow_rms": flow.rms}
    raster = replace(
        warped(image, reference, matrix, flow),
        provenance=_provenance(image, reference, found, what),
    )
    how = f"it was off by {found.amount}; flow moves it by another {flow.rms:.2f} px (rms)"
    return Aligned(raster, found, "flow", flow.rms, how)


def _provenance(
    image: Raster, reference: Raster, found: Misalignment, more: dict[str, Any]
) -> dict[str, Any]:
    done = {
        "reference": reference.name, "model": "flow" if more else found.model,
        "matrix": [list(row) for row in found.matrix], "trusted": found.trusted,
        "looked_at": found.looked_at, **more,
    }  # fmt: skip
    return {**image.provenance, "alignment": done}


def _farthest(matrix: FloatArray, shape: tuple[int, ...]) -> float:
    corners = np.array([[y, x, 1.0] for y in (0, shape[0]) for x in (0, shape[1])])
    return float(np.linalg.norm((corners @ matrix.T - corners)[:, :2], axis=1).max())
