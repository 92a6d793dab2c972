"""Where a patch of the reference lies in a window of the image."""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.alignment.gray import FloatPlane
from napari_tincture.regrid import FloatArray

Feature = Literal["intensity", "gradient"]
FINE, COARSE = 1.5, 12.0
"""Sigmas, in pixels, of the Gaussian filters between which structures count.

What is finer is noise, and is changed by interpolation; what is coarser is illumination.
"""
LOBE = 6
"""Radius in pixels around a peak that belongs to it."""


class Match(NamedTuple):
    """Where a patch was found.

    Attributes
    ----------
    shift
        (y, x) in pixels of the grid: the image shows at p + shift what the reference shows at p.
    peak
        Normalised cross-correlation there, −1 … 1.
    clear
        By how many standard deviations of the other places the peak exceeds the best of them.
    """

    shift: tuple[float, float]
    peak: float
    clear: float


def featured(plane: FloatPlane, feature: Feature) -> FloatPlane:
    """Keep what two stains, exposures or microscopes have in common.

    Parameters
    ----------
    plane
        (y, x), any range.
    feature
        "intensity": structures by their brightness; "gradient": by their edges, whichever side
        is brighter.

    Returns
    -------
    float32 array
        Of mean about 0, within −1 … 1; 0 where nothing is to be seen.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    smooth = gaussian_gradient_magnitude if feature == "gradient" else gaussian_filter
    # Far from zero, float32 would lose what little contrast there is.
    fine = smooth((plane - plane.mean()).astype(np.float32), FINE, mode="nearest")
    band = fine - gaussian_filter(fine, COARSE, mode="nearest")
    spread = band.std()
    # Compressed, so that a few bright spots do not decide.
    if spread > 0:
        band = np.tanh(band / (2 * spread))
    result: FloatPlane = band
    return result


def match(patch: FloatPlane, window: FloatPlane) -> Match | None:
    """Find a patch in a window that is larger by as much on all sides.

    Parameters
    ----------
    patch, window
        Features, (n, n) and (n + 2 r, n + 2 r); r is the farthest shift.

    Returns
    -------
    Match or None
        None where one of them shows nothing, or the best place is at the edge of the search.
    """
    from skimage.feature import match_template
    from skimage.registration import phase_cross_correlation

    if min(patch.std(), window.std()) < 1e-6:
        return None
    scores = match_template(window, patch)
    top = np.unravel_index(int(scores.argmax()), scores.shape)
    last = scores.shape[0] - 1
    if min(top) == 0 or max(top) == last:
        return None
    side = patch.shape[0]
    found = window[top[0] : top[0] + side, top[1] : top[1] + side]
    taper = _taper(side)
    rest, _, _ = phase_cross_correlation(
        patch * taper, found * taper, upsample_factor=100, normalization=None
    )
    if np.abs(rest).max() > 1.5:
        return None
    shift = np.array(top) - last / 2 - rest
    return Match((float(shift[0]), float(shift[1])), float(scores[top]), _clear(scores, top))


def _clear(scores: FloatArray, top: tuple[np.intp, ...]) -> float:
    y, x = np.ogrid[: scores.shape[0], : scores.shape[1]]
    others = scores[(y - top[0]) ** 2 + (x - top[1]) ** 2 > LOBE**2]
    if not others.size or others.std() == 0:
        return 0.0
    return float((scores[top] - others.max()) / others.std())


@cache
def _taper(side: int) -> FloatPlane:
    edge = np.hanning(side).astype(np.float32)
    return np.outer(edge, edge)


def correlation(
    reference: FloatPlane, seen: npt.NDArray[np.bool_], image: FloatPlane,
    shown: npt.NDArray[np.bool_], part: float,
) -> FloatArray:  # fmt: skip
    """Normalised cross-correlation of two planes with masks, for every shift.

    Padfield, Masked object registration in the Fourier domain, IEEE Trans. Image Process. 21
    (2012) 2706-2718, eq. 5 with the sums of section III.

    Parameters
    ----------
    reference, image
        (h, w) and (H, W).
    seen, shown
        Where they have values.
    part
        Of the largest overlap that shifts must have to count.

    Returns
    -------
    float array
        (h + H − 1, w + W − 1); at [h − 1 + dy, w − 1 + dx] the correlation of the reference at p
        with the image at p + (dy, dx), times the square root of their overlap over the largest,
        as chance is greater where less overlaps; −1 where they hardly do.
    """
    from scipy.fft import irfft2, next_fast_len, rfft2

    shape = [a + b - 1 for a, b in zip(reference.shape, image.shape, strict=True)]
    sides = [next_fast_len(n, real=True) for n in shape]
    one = np.where(seen, reference, 0).astype(np.float64)[::-1, ::-1]
    two = np.where(shown, image, 0).astype(np.float64)
    first = [rfft2(a, sides) for a in (seen[::-1, ::-1].astype(np.float64), one, one**2)]
    second = [rfft2(a, sides) for a in (shown.astype(np.float64), two, two**2)]

    def summed(i: int, j: int) -> FloatArray:
        result: FloatArray = irfft2(first[i] * second[j], sides)[: shape[0], : shape[1]]
        return result

    count = np.maximum(np.rint(summed(0, 0)), 1)
    sum_one, sum_two = summed(1, 0), summed(0, 1)
    product = summed(1, 1) - sum_one * sum_two / count
    squares_one = np.maximum(summed(2, 0) - sum_one**2 / count, 0)
    squares_two = np.maximum(summed(0, 2) - sum_two**2 / count, 0)
    spread = np.sqrt(squares_one * squares_two)
    usable = (count >= part * count.max()) & (spread > 1e-6 * max(spread.max(), 1e-12))
    weight = np.sqrt(count / count.max())
    return np.where(usable, weight * product / np.where(usable, spread, 1), -1.0)


def peaks(scores: FloatArray, number: int) -> list[tuple[int, int]]:
    """The highest places of a map, at least 2 × `LOBE` pixels apart."""
    left = scores.copy()
    found = []
    for _ in range(number):
        y, x = (int(i) for i in np.unravel_index(int(left.argmax()), left.shape))
        if left[y, x] <= 0:
            break
        found.append((y, x))
        around = slice(max(y - LOBE, 0), y + LOBE + 1), slice(max(x - LOBE, 0), x + LOBE + 1)
        left[around] = -1
    return found
