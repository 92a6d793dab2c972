"""Stain vectors of sections with two stains, and the angles between those of two images.

A pixel's optical density, log₁₀(white / value) of red, green and blue, is the sum of the stains'
vectors times their amounts (Ruifrok, Johnston 2001). Images of any size are read in areas; how
they are cut makes no difference but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics._macenko import AngleCounts, Plane
from napari_tincture.metrics._priorities import priorities, smallest
from napari_tincture.metrics.metric import Undefined
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster

FloatArray = npt.NDArray[np.float64]
Method = Literal["macenko", "vahadane"]
AREA = 1024
"""Side of an area in pixels."""
TISSUE = 0.15
"""Mean optical density of the three colours from which on a pixel is tissue: β of Macenko."""
SAMPLE = 50_000
"""Pixels that the sparse factorisation sees."""
_DARKEST = 510
"""Values below white / 510, half a grey level of 8 bits, count as that: zero has no logarithm."""


class Angles(NamedTuple):
    """Between corresponding stain vectors of two images, in degrees, 0 … 90.

    Attributes
    ----------
    first
        Of the stain that absorbs red most: hematoxylin, in sections with eosin.
    second
        Of the other.
    """

    first: float
    second: float


def stain_angles(
    image: Raster,
    reference: Raster,
    *,
    method: Method = "macenko",
    white: float | Sequence[float] | None = None,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Angles:
    """Compare the colours of the stains of two images, which need not show the same place.

    Parameters and errors are those of `stain_vectors`.
    """
    report = as_callback(progress)
    halves = [_half(report, 0), _half(report, 1)]
    one, other = (
        stain_vectors(raster, method=method, white=white, progress=half, cancel=cancel)
        for raster, half in zip((image, reference), halves, strict=True)
    )
    return Angles(*angles_between(one, other).tolist())


def _half(report: Progress, number: int) -> Progress:
    return lambda done, total: report(done + number * total, 2 * total)


def angles_between(one: FloatArray, other: FloatArray) -> FloatArray:
    """Angles in degrees between unit vectors (n, 3), row by row."""
    # Accurate also for small angles, of which the cosine tells little.
    sine = np.linalg.norm(np.cross(one, other), axis=1)
    result: FloatArray = np.degrees(np.arctan2(sine, np.sum(one * other, axis=1)))
    return result


def stain_vectors(
    image: Raster,
    *,
    method: Method = "macenko",
    white: float | Sequence[float] | None = None,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> FloatArray:
    """Find the colours of the two stains of an image.

    Parameters
    ----------
    image : (c, y, x), RGB
        Integers, or floating point. Pixels without a finite value are left out, and those whose
        mean optical density is below 0.15. (Macenko et al. leave out "OD intensity less than β"
        and do not say of which colour; if any colour was enough, pure eosin were no tissue.)
    method
        "macenko": Macenko et al. (2009), A method for normalizing histology slides for
        quantitative analysis: the plane of the two largest singular values, and in it the
        directions of the 1st and 99th percentile. Reads the image twice: for the plane, and for a
        histogram of the directions in bins of 0.01°.
        "vahadane": Vahadane et al. (2016), Structure-preserving color normalization and sparse
        stain separation for histological images, equation 5: sparse non-negative factorisation of
        a random sample of 50,000 pixels of tissue, begun with Macenko's vectors of these. Reads
        the image once.
    white
        Value of the empty background: one, or one per colour, and brighter ones count
        as it. None: the data type's greatest for integers, 1 for floating point.
    progress, cancel
        As in all calls.

    Returns
    -------
    (2, 3) float64
        Unit vectors of optical density of red, green and blue, not negative; first the one that
        absorbs red most (hematoxylin in sections with eosin).

    Raises
    ------
    InputError
        If the image is not of this kind, or `white` or `method` cannot be used.
    Undefined
        If there is no tissue, or its pixels have one colour.
    Cancelled
        If `cancel` was raised.
    """
    source = _Source(image, _white(image, white), as_callback(progress), cancel or CancelToken())
    if method == "macenko":
        return _ordered(_macenko(source.passes(2)))
    if method == "vahadane":
        from napari_tincture.metrics._sparse_stains import sparse_stains

        sample = _sample(source)
        return _ordered(sparse_stains(sample, _macenko(lambda: iter([sample]))))
    raise InputError(f"Unknown method {method!r}; known are {', '.join(get_args(Method))}.")


def _macenko(densities: Callable[[], Iterator[FloatArray]]) -> FloatArray:
    """Vectors (2, 3) of parts (3, n), which are gone through twice."""
    moments, pixels = np.zeros((3, 3)), 0
    for part in densities():
        moments += part @ part.T
        pixels += part.shape[1]
    if not pixels:
        raise Undefined(
            f"no pixel has a mean optical density of {TISSUE} or more: there is no tissue, or "
            "`white` is not the value of the background"
        )
    plane = Plane.of(moments)
    counts = AngleCounts()
    for part in densities():
        counts.add(plane.angles(part))
    return np.stack([plane.direction(counts.percentile(p)) for p in (1, 99)])


def _ordered(vectors: FloatArray) -> FloatArray:
    """Unit vectors without negative parts, that with more red first."""
    positive = np.maximum(vectors, 0)
    positive /= np.linalg.norm(positive, axis=1, keepdims=True)
    result: FloatArray = positive[np.argsort(-positive[:, 0], kind="stable")]
    return result


@dataclass(frozen=True)
class _Source:
    """An image to be read area by area."""

    image: Raster
    white: FloatArray
    report: Progress
    cancel: CancelToken

    def passes(self, total: int) -> Callable[[], Iterator[FloatArray]]:
        """Densities (3, n) of tissue, for so many passes."""
        numbers = iter(range(total))
        return lambda: (density for density, _ in self.tissue(next(numbers), total))

    def tissue(self, number: int, passes: int) -> Iterator[tuple[FloatArray, npt.NDArray[Any]]]:
        """Densities (3, n) of an area's tissue and the indices of its pixels in the plane."""
        height, width = self.image.shape[-2:]
        corners = [*product(range(0, height, AREA), range(0, width, AREA))]
        for done, (top, left) in enumerate(corners, start=1):
            self.cancel.check()
            y, x = slice(top, min(top + AREA, height)), slice(left, min(left + AREA, width))
            values = self.image.read((slice(0, 3), y, x))
            density = optical_density(values.reshape(3, -1), self.white)
            # NaN is not greater, and so no tissue.
            there = density.mean(axis=0) >= TISSUE
            indices = np.add.outer(np.arange(y.start, y.stop) * width, np.arange(x.start, x.stop))
            yield density[:, there], indices.ravel()[there]
            self.report(number * len(corners) + done, passes * len(corners))


def optical_density(values: npt.NDArray[Any], white: FloatArray) -> FloatArray:
    """log₁₀(white / value) of colours (3, n), 0 … 2.7; NaN where a value is not finite."""
    share = values / white[:, None]
    share[~np.isfinite(share)] = np.nan
    result: FloatArray = -np.log10(np.clip(share, 1 / _DARKEST, 1))
    return result


def _sample(source: _Source) -> FloatArray:
    """Random densities (3, n) of tissue, the same however the image is cut."""
    kept, keys = np.zeros((3, 0)), np.zeros(0, np.uint64)
    for density, indices in source.tissue(0, 1):
        kept = np.concatenate([kept, density], axis=1)
        keys = np.concatenate([keys, priorities(indices, seed=0)])
        chosen = smallest(keys, SAMPLE)
        kept, keys = kept[:, chosen], keys[chosen]
    return kept


def _white(image: Raster, white: float | Sequence[float] | None) -> FloatArray:
    if not image.rgb or image.axes != "cyx":
        raise InputError(
            f"Stain vectors are found of one RGB plane; image {image.name!r} has axes "
            f"{image.axes!r}{'' if image.rgb else ' and is no RGB image'}. Choose planes with "
            "image.plane(…)."
        )
    if white is None:
        white = float(np.iinfo(image.dtype).max) if image.dtype.kind in "ui" else 1.0
    values = np.asarray(white, np.float64).ravel()
    if values.size not in (1, 3) or not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(f"white={white!r} must be a value above 0, or one for each colour.")
    return np.broadcast_to(values, 3)
