"""Blood without its stain: a label-free bright-field image computed from a stained smear.

The source is simulated, not measured. Model: stains are unmixed by Beer-Lambert's law
(Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23 (2001) 291-299), only haemoglobin keeps
absorbing, as it does in its Soret band near 405-420 nm (Prahl, Optical Absorption of
Hemoglobin, omlc.org, 1999), and refraction shows as the Laplacian of the thickness, the
transport-of-intensity equation for a small defocus (Teague, J. Opt. Soc. Am. 73 (1983) 1434).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_tincture.errors import InputError
from napari_tincture.training.blood.debris import VISIBLE, debris_density, shaded

Floats = NDArray[np.floating[Any]]

SMEAR_DIAMETER = 94.2
"""Median diameter of single red cells in the BCCD smears, pixels."""
FIELD_DIAMETER = 43.1
"""Median diameter of single cells in the real label-free field, pixels."""

# Mean absorbances (red, green, blue; natural logarithm) of red cells and of white cells' nuclei
# over 61 smears; the third is what dims all colours alike, such as dirt.
_RED_CELL = (0.099, 0.246, 0.145)
_NUCLEUS = (0.625, 0.867, 0.013)
_NEUTRAL = (0.25, 0.25, 0.25)


@dataclass(frozen=True, slots=True)
class Optics:
    """The label-free microscope; lengths in cell diameters, absorbances in natural logarithms.

    Attributes
    ----------
    absorption
        Of a red cell of usual thickness; 1.0 to 1.4 in the real field.
    ceiling
        That of very thick or overlapping cells, as a multiple of `absorption`.
    rounding
        Range of the share of the central pallor that is filled: cells in suspension are round,
        cells in a smear are flat. Drawn for each image.
    nucleus
        Absorption that is left to nuclei and platelets, which hold no haemoglobin.
    defocus
        Range of the strength of the edges, drawn for each image with either sign.
    blur
        Standard deviation of the point spread.
    gradient
        Range of the illumination, as a share of its mean.
    noise
        Standard deviation of the sensor's noise, grey values of 255.
    background
        Grey value of the empty field.
    """

    absorption: float = 1.05
    ceiling: float = 1.4
    rounding: tuple[float, float] = (0.55, 0.95)
    nucleus: float = 0.10
    defocus: tuple[float, float] = (0.004, 0.018)
    blur: float = 0.030
    gradient: float = 0.06
    noise: float = 1.3
    background: float = 243.0


class Stains(NamedTuple):
    """Amounts of what absorbs, each (y, x), 1 being usual for its kind."""

    red_cells: Floats
    nuclei: Floats
    neutral: Floats


class Pair(NamedTuple):
    """A simulated pair: source (y, x), target (y, x, 3), both uint8; mask (y, x) of debris."""

    source: NDArray[np.uint8]
    target: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def absorbance(rgb: Floats) -> Floats:
    """Absorbance against the image's own background, (y, x, 3), natural logarithm.

    The background is a plane in the logarithm of each colour, fitted to what is brighter than
    Otsu's threshold of the green channel.
    """
    image = _checked(rgb)
    logs = np.log(image.astype(np.float64) + 1.0)
    empty = empty_field(image)
    y, x = np.indices(image.shape[:2]) / max(image.shape[:2])
    terms = np.stack([np.ones_like(y), y, x], axis=-1)
    fit = np.linalg.lstsq(terms[empty], logs[empty], rcond=None)[0]
    return np.asarray(terms @ fit - logs)


def empty_field(rgb: Floats, diameter: float | None = None) -> NDArray[np.bool_]:
    """Where neither cells nor anything else lies, (y, x).

    With the diameter of a red cell (pixels), bright places smaller than a cell, such as a central
    pallor, are not empty.

    Raises
    ------
    InputError
        If this is less than 2 % of the image.
    """
    from skimage.filters import threshold_otsu

    green = ndi.gaussian_filter(rgb[..., 1].astype(np.float64), 1.0)
    dark = green < threshold_otsu(green)
    empty = ~ndi.binary_dilation(dark, iterations=3)
    if diameter is not None:
        labels, count = ndi.label(empty)
        areas = ndi.sum_labels(empty, labels, np.arange(count + 1))
        empty &= (areas >= diameter**2)[labels]
    if empty.mean() < 0.02:
        raise InputError(
            f"Only {100 * empty.mean():.1f} % of the image are brighter than its cells, so its "
            "background cannot be measured. Use images with some empty field."
        )
    return np.asarray(empty)


def unmixed(rgb: Floats) -> Stains:
    """What absorbs in a Wright-Giemsa stained smear (y, x, 3)."""
    mixing = np.linalg.inv(np.array([_RED_CELL, _NUCLEUS, _NEUTRAL]))
    amounts = np.clip(absorbance(rgb) @ mixing, 0.0, None)
    return Stains(*np.moveaxis(amounts, -1, 0))


def unstained(
    rgb: Floats, seed: int, *, diameter: float = SMEAR_DIAMETER, optics: Optics | None = None
) -> NDArray[np.uint8]:
    """Simulate the label-free image of a stained smear.

    Parameters
    ----------
    rgb
        Smear, (y, x, 3), 0 to 255.
    seed
        Of defocus, rounding, illumination and noise: same image and seed, same result.
    diameter
        Of a red cell in this image, pixels.
    optics
        The microscope; fitted to the real field unless given.

    Returns
    -------
    ndarray
        (y, x), uint8.

    Raises
    ------
    InputError
        If the image is not RGB or has no empty field.
    """
    clean = transmission(rgb, seed, diameter=diameter, optics=optics)
    return recorded(clean, seed, optics)


def transmission(
    rgb: Floats, seed: int, *, diameter: float = SMEAR_DIAMETER, optics: Optics | None = None
) -> Floats:
    """Light that passes the unstained cells, (y, x), 1 in the empty field: no noise, no debris."""
    optics = optics or Optics()
    draw = np.random.default_rng((seed, 0))
    rounding = draw.uniform(*optics.rounding)
    defocus = draw.uniform(*optics.defocus) * draw.choice((-1.0, 1.0))
    stains = unmixed(rgb)
    white = _white_cells(stains, diameter)
    height = _rounded(stains.red_cells * (1.0 - white), rounding, diameter)
    bodies = np.minimum(stains.nuclei, 1.5)
    thickness = optics.ceiling * np.tanh(height / optics.ceiling)
    absorbing = optics.absorption * thickness + optics.nucleus * bodies
    phase = ndi.gaussian_filter(thickness + bodies + 0.3 * white, 0.05 * diameter)
    edges = defocus * (0.3 * diameter) ** 2 * ndi.laplace(phase)
    light = np.exp(-absorbing) * np.clip(1.0 + edges, 0.3, 1.7)
    return np.asarray(ndi.gaussian_filter(light, optics.blur * diameter))


def recorded(light: Floats, seed: int, optics: Optics | None = None) -> NDArray[np.uint8]:
    """What the sensor gives of transmitted light (y, x): illumination, noise, 8 bits."""
    optics = optics or Optics()
    draw = np.random.default_rng((seed, 1))
    angle = draw.uniform(0.0, 2.0 * np.pi)
    y, x = np.indices(light.shape) / max(light.shape) - 0.5
    slope = optics.gradient * draw.uniform(0.2, 1.0) * (np.cos(angle) * y + np.sin(angle) * x)
    grey = optics.background * light * (1.0 + slope)
    grey = grey + draw.normal(0.0, optics.noise, light.shape)
    return np.asarray(np.clip(np.rint(grey), 0, 255), dtype=np.uint8)


def simulated_pair(
    rgb: Floats, seed: int, *, diameter: float = SMEAR_DIAMETER, optics: Optics | None = None
) -> Pair:
    """A label-free source and its stain, with the same debris in both.

    Debris dims all colours alike, so that it is dark grey in the source and in the target. It
    lies where cells leave room; the mask leaves out what covers cells all the same.
    """
    image = _checked(rgb)
    empty = empty_field(image, diameter)
    density = debris_density(empty, seed, diameter=diameter)
    clean = transmission(image, seed, diameter=diameter, optics=optics)
    source = recorded(clean * np.exp(-density), seed, optics)
    return Pair(source, shaded(image, density), (density > VISIBLE) & empty)


def _rounded(height: Floats, share: float, diameter: float) -> Floats:
    """Fill a share of the dips inside cells; 1 is the usual height after that."""
    from skimage.filters import threshold_otsu
    from skimage.morphology import reconstruction

    smooth = ndi.gaussian_filter(height, 0.035 * diameter)
    seed = smooth.copy()
    seed[1:-1, 1:-1] = smooth.max()
    filled = reconstruction(seed, smooth, method="erosion")
    dips = filled - smooth
    labels, count = ndi.label(dips > 0.15)
    areas = ndi.sum_labels(labels > 0, labels, np.arange(count + 1))
    # A pallor is half as wide as its cell; what is larger is empty field that cells surround.
    dips[(areas > 0.35 * diameter**2)[labels] & (labels > 0)] = 0.0
    height = smooth + share * dips
    cells = height > threshold_otsu(height)
    usual = float(np.median(height[cells])) if cells.any() else 1.0
    height = np.where(height < 0.08 * usual, 0.0, height)
    return np.asarray(height / max(usual, 1e-3))


def _white_cells(stains: Stains, diameter: float) -> Floats:
    """Where white cells are, 0 to 1: around large nuclei, as far as blue stain prevails."""
    blue = ndi.gaussian_filter(stains.nuclei, 0.02 * diameter)
    nuclei = ndi.binary_opening(blue > 0.5, iterations=max(1, round(0.06 * diameter)))
    share = blue / (blue + 0.4 * ndi.gaussian_filter(stains.red_cells, 0.02 * diameter) + 0.05)
    near = ndi.distance_transform_edt(~nuclei) < 0.5 * diameter if nuclei.any() else nuclei
    body = ndi.binary_propagation(nuclei, mask=near & ((share > 0.25) | nuclei))
    body = ndi.binary_closing(body, iterations=max(1, round(0.08 * diameter)))
    return np.asarray(ndi.gaussian_filter(body.astype(np.float64), 0.03 * diameter))


def _checked(rgb: Floats) -> Floats:
    image = np.asarray(rgb)
    if image.ndim != 3 or image.shape[-1] != 3 or min(image.shape[:2]) < 16:
        raise InputError(
            f"A stained smear is an RGB image (y, x, 3) of at least 16 × 16 pixels; got shape "
            f"{image.shape}."
        )
    return image
