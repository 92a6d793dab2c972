"""How far an image lies off its reference.

1. Both are averaged to small planes; there the patches are looked for where they should be, then
   where the small planes are most alike, then with rotations.
2. What most patches agree on is refined on finer and finer grids, patches alone being read.
3. The simplest map that explains the finest patches is the misalignment; what an affine one leaves
   is distortion. Where the patches agree no better than chance, nothing is claimed.
"""

from __future__ import annotations

import numpy as np

from napari_tincture.alignment.fit import Model, errors
from napari_tincture.alignment.gray import grey_pair
from napari_tincture.alignment.likeness import likeness
from napari_tincture.alignment.match import Feature
from napari_tincture.alignment.misalignment import Misalignment, parts_of
from napari_tincture.alignment.patches import REACH
from napari_tincture.alignment.search import CHANCE, LEAST_REACH, Guess, Search, independent
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray

VAGUE = 0.4
"""Median correlation of patches below which what they agree on may be pixels off."""
ROUNDS = 4
"""How often the finest patches are looked for again, each time where the last map says."""
SETTLED = 0.01
"""Pixels by which a further round may move a corner of the reference."""


def estimate(
    image: Raster,
    reference: Raster,
    *,
    model: Model = "affine",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Misalignment:
    """Measure how far an image lies off a reference that shows the same place.

    Patches are found by normalised cross-correlation and refined by cross-correlation with an
    upsampled Fourier transform (Guizar-Sicairos et al., Opt. Lett. 33 (2008) 156-158); what they
    agree on is decided by the number of false alarms (see `fit.agreement`). Of t and z, the middle
    planes are compared. RGB counts by its luminance, channels of the same names by their mean,
    else all channels.

    Parameters
    ----------
    image, reference : Raster
        Of any size and on any grids; memory and the number of pixels read are bounded.
    model : {"translation", "euclidean", "similarity", "affine"}
        The most general map that may be found; of these, the simplest that explains it is.
    progress, cancel
        Steps done and all of them; a token that is checked at every patch.

    Returns
    -------
    Misalignment
        If it could not be told, it says why.

    Raises
    ------
    InputError
        If y or x of an image is turned into another axis.
    Cancelled
        If `cancel` was raised.
    """
    report, token = as_callback(progress), cancel or CancelToken()
    one, other, looked_at = grey_pair(image, reference)
    report(0, 4)
    search = Search.begin(one, other, model, token)
    report(1, 4)
    first = None if search.problem else search.first_look()
    report(2, 4)
    last = first and _refined(search, *first)
    report(3, 4)
    why = search.problem or _doubt(last)
    if why or first is None or last is None:
        result = Misalignment(False, why, looked_at=looked_at, patches=search.asked)
    else:
        result = _described(search, last, first[1], looked_at)
    report(4, 4)
    return result


def _doubt(guess: Guess | None) -> str:
    """Why what was found is not to be relied on; empty if it is."""
    if guess is None:
        return "patches of the two agree no better than they would by chance"
    alike = float(np.median(guess.found.peaks[guess.inliers]))
    if alike < VAGUE:
        return (
            f"patches that may show the same correlate by {alike:.2f} only, at least {VAGUE} "
            "is needed"
        )
    return ""


def _refined(search: Search, first: Guess, feature: Feature) -> Guess:
    """Look again on finer grids, and on the finest until nothing moves.

    What a coarser grid showed stays true where finer patches show too little.
    """
    guess = first
    steps = search.steps()
    for step in (*steps[1:], *[steps[-1]] * ROUNDS):
        look = search.look(step)
        again = search.tried(look, guess.matrix, _reach(search, guess, step), feature)
        if again is None or again.log_chance > CHANCE:
            break
        moved = _farthest(again.matrix, guess.matrix, look.shape)
        settled = moved < SETTLED * step and step == steps[-1]
        guess = again
        if settled:
            break
    return guess


def _reach(search: Search, guess: Guess, step: float) -> int:
    """How far off its place, in pixels of a grid, a patch may still be."""
    off = float(search.distances(guess).max()) + guess.look.step
    return int(np.clip(round(2 * off / step), LEAST_REACH, REACH))


def _farthest(one: FloatArray, other: FloatArray, shape: tuple[int, int]) -> float:
    corners = np.array([[y, x, 1.0] for y in (0, shape[0]) for x in (0, shape[1])])
    return float(np.linalg.norm((corners @ (one - other).T)[:, :2], axis=1).max())


def _described(search: Search, guess: Guess, feature: Feature, looked_at: str) -> Misalignment:
    look, inliers = guess.look, guess.inliers
    places, found = (search.even(p[inliers]) for p in (guess.found.places, guess.found.found))
    model = search.model_of(guess)
    sides = np.diag([*search.aspect, 1.0])
    even = sides @ guess.matrix @ np.linalg.inv(sides)
    centre = (np.array(look.shape) - 1) / 2
    shift = guess.matrix[:2, :2] @ centre + guess.matrix[:2, 2] - centre
    size = search.reference.raster.pixel_size
    rotation, scale, shear = parts_of(even[:2, :2])
    left = search.distances(guess)
    before, after = likeness(look, guess.found.places[inliers], guess.matrix)
    how = f"{int(inliers.sum())} of {guess.found.asked} patches agree by their {feature}"
    return Misalignment(
        True, how, model,
        tuple(tuple(row) for row in guess.matrix.tolist()),
        (float(shift[0]), float(shift[1])),
        None if size is None else (float(shift[0] * size[0]), float(shift[1] * size[1])),
        rotation, scale, shear,
        errors(
            places, found, even, model, search.even(centre),
            independent(guess.found.places[inliers], look),
        ),
        float(np.sqrt((left**2).mean())), float(np.percentile(left, 95)),
        guess.found.asked, guess.part, before, after, looked_at,
    )  # fmt: skip
