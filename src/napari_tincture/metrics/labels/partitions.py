"""How two label images part the pixels, whichever object is which."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.labels.overlap import Counts, Ids, Overlap
from napari_tincture.metrics.metric import Undefined


class Rand(NamedTuple):
    """Pairs of different pixels that are one object in both images.

    Attributes
    ----------
    error
        1 − their number over the mean number of pairs within the objects of either image.
    split
        Share of the pairs within expected objects that are one found object: less where objects
        are split.
    merge
        Share of the pairs within found objects that are one expected object: less where objects
        are merged.
    """

    error: float
    split: float
    merge: float


class Information(NamedTuple):
    """What one image leaves to know of the other, in bits per pixel.

    Attributes
    ----------
    split
        H(found | expected): over-segmentation.
    merge
        H(expected | found): under-segmentation.
    """

    split: float
    merge: float


def adapted_rand(overlap: Overlap) -> Rand:
    """Adapted Rand error of the SNEMI3D contest, without the pixels of expected background.

    Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for
    connectomics, Front Neuroanat 2015. Found background within expected objects is a label like
    others.

    Raises
    ------
    Undefined
        If no expected object, or no found label within them, has two pixels.
    """
    some = overlap.expected > 0
    pixels = overlap.pixels[some]
    both = _pairs(pixels)
    expected = _pairs(_totals(overlap.expected[some], pixels)[0])
    found = _pairs(_totals(overlap.found[some], pixels)[0])
    if not expected:
        raise Undefined("no expected object has two pixels")
    if not found:
        raise Undefined("nothing found on expected objects has two pixels")
    return Rand(1 - 2 * both / (expected + found), both / expected, both / found)


def foreground_rand(overlap: Overlap) -> Rand:
    """Foreground-restricted Rand score of the ISBI 2012 challenge, as errors and its two parts.

    Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for
    connectomics, Front Neuroanat 2015, with α = 0.5: pixels of expected background do not count,
    a pixel makes a pair with itself, and each pixel of found background is an object of its own
    (as in the SNEMI3D program; `adapted_rand` takes them for one object, without such pairs).

    Parameters
    ----------
    overlap
        Of labels of cells, 0 is membrane.

    Returns
    -------
    Rand
        `error` is 1 - V_Rand, 1 less the F-score; `split` and `merge` are V_Rand's parts.

    Raises
    ------
    Undefined
        If no cell is expected.
    """
    some = overlap.expected > 0
    if not some.any():
        raise Undefined("no object is expected")
    pixels, inside = overlap.pixels[some], overlap.found[some] > 0
    alone = float(pixels[~inside].sum())
    both = alone + _squares(pixels[inside])
    expected = _squares(_totals(overlap.expected[some], pixels)[0])
    found = alone + _squares(_totals(overlap.found[some][inside], pixels[inside])[0])
    return Rand(1 - 2 * both / (expected + found), both / expected, both / found)


def variation_of_information(overlap: Overlap) -> Information:
    """Variation of information (Meilă, J Multivariate Analysis 2007), in its two parts.

    Background is a label like others.

    Raises
    ------
    Undefined
        If no pixel was compared.
    """
    if not overlap.total:
        raise Undefined("no pixel was compared")
    return Information(
        _conditional(overlap.expected, overlap.pixels),
        _conditional(overlap.found, overlap.pixels),
    )


def _totals(ids: Ids, pixels: Counts) -> tuple[Counts, npt.NDArray[np.intp]]:
    """Pixels of each label, and which of these every row has."""
    labels, places = np.unique(ids, return_inverse=True)
    totals = np.zeros(len(labels), np.int64)
    np.add.at(totals, places, pixels)
    return totals, places


def _pairs(counts: Counts) -> float:
    """Ordered pairs of different pixels; in floating point, for squares of pixels overflow."""
    values = counts.astype(np.float64)
    return float((values * (values - 1)).sum())


def _squares(counts: Counts) -> float:
    return float((counts.astype(np.float64) ** 2).sum())


def _conditional(known: Ids, pixels: Counts) -> float:
    """Entropy of the other image where the label of one is known, in bits."""
    totals, places = _totals(known, pixels)
    shares = pixels / totals[places]
    # A label that lies on one other alone tells all: its logarithm is exactly 0.
    return float((pixels * -np.log2(shares)).sum() / pixels.sum())
