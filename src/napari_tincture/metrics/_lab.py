"""From sRGB to CIELAB, and differences of colours in it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
"""ITU-R BT.709 primaries under D65."""
_WHITE = np.array([0.95047, 1.0, 1.08883])
"""D65 at 2°."""
_TO_WHITE = _RGB_TO_XYZ / _WHITE[:, None]


class Lab(NamedTuple):
    """Lightness, green to red, blue to yellow."""

    light: Array
    a: Array
    b: Array


def to_lab(values: npt.NDArray[np.generic], data_range: float) -> Lab:
    """Convert sRGB (IEC 61966-2-1) to CIELAB (CIE 15, D65, 2°).

    Parameters
    ----------
    values : (3, y, x)
        Red, green, blue. White is the greatest value of the data type for integers, `data_range`
        for floating point.
    """
    rgb = _linear(values, data_range).reshape(3, -1)
    x, y, z = (_root(v) for v in _TO_WHITE @ rgb)
    shape = values.shape[1:]
    lab = (116 * y - 16, 500 * (x - y), 200 * (y - z))
    return Lab(*(v.reshape(shape) for v in lab))


def _linear(values: npt.NDArray[np.generic], data_range: float) -> Array:
    if values.dtype in (np.uint8, np.uint16):
        found: Array = _table(values.dtype.name)[values]
        return found
    white = data_range
    if values.dtype.kind in "ui":
        white = float(np.iinfo(values.dtype).max)  # type: ignore[type-var]
    return _expand(values.astype(np.float64) / white)


@cache
def _table(dtype: str) -> Array:
    greatest = int(np.iinfo(dtype).max)
    return _expand(np.arange(greatest + 1) / greatest)


def _expand(values: Array) -> Array:
    curved = values > 0.04045
    result = values / 12.92
    result[curved] = ((values[curved] + 0.055) / 1.055) ** 2.4
    return result


def _root(values: Array) -> Array:
    result = np.cbrt(values)
    dark = values <= 0.008856
    if dark.any():
        result[dark] = 7.787 * values[dark] + 16 / 116
    return result


def ciede2000(one: Lab, other: Lab) -> Array:
    """Colour difference of every pixel; symmetric, 0 for equal colours.

    Sharma, Wu, Dalal (2005), The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations, equations 2 to 22, with weights of 1.
    """
    # C = √(a² + b²) and its mean; G stretches a where colours are dull (2 – 4).
    mean = (np.hypot(one.a, one.b) + np.hypot(other.a, other.b)) / 2
    stretch = 1.5 - 0.5 * _saturation(mean)
    a1, a2 = one.a * stretch, other.a * stretch
    # C' and h', the polar coordinates of (a', b) (5 – 7).
    chroma1, chroma2 = np.hypot(a1, one.b), np.hypot(a2, other.b)
    hue1, hue2 = _hue(a1, one.b), _hue(a2, other.b)
    turn, hue = _hues(hue1, hue2, (chroma1 == 0) | (chroma2 == 0))
    # ΔL', ΔC', ΔH' (8 – 11) over S_L, S_C, S_H (15 – 20).
    light = ((one.light + other.light) / 2 - 50) ** 2
    by_light = (other.light - one.light) / (1 + 0.015 * light / np.sqrt(20 + light))
    mean = (chroma1 + chroma2) / 2
    by_chroma = (chroma2 - chroma1) / (1 + 0.045 * mean)
    by_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(turn / 2)
    by_hue /= 1 + 0.015 * mean * _hue_weight(hue)
    # R_T turns the ellipses of blue (16, 17, 21).
    bell = np.exp(-(((np.degrees(hue) - 275) / 25) ** 2))
    rotation = -2 * _saturation(mean) * np.sin(np.radians(60) * bell)
    squares = by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue
    result: Array = np.sqrt(np.maximum(squares, 0))
    return result


def _saturation(chroma: Array) -> Array:
    power = chroma * chroma * chroma
    power = power * power * chroma
    result: Array = np.sqrt(power / (power + 25.0**7))
    return result


def _hue(a: Array, b: Array) -> Array:
    angle = np.arctan2(b, a)
    # From 0 on, for which of two opposite middles is meant depends on it.
    angle[angle < 0] += 2 * np.pi
    return angle


def _hues(one: Array, other: Array, grey: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Turn from one hue to the other the short way, and the hue between them (10, 14); radians."""
    turn = other - one
    turn[turn > np.pi] -= 2 * np.pi
    turn[turn < -np.pi] += 2 * np.pi
    middle = one + turn / 2
    middle = np.where(grey, one + other, middle)
    return np.where(grey, 0.0, turn), np.mod(middle, 2 * np.pi)


def _hue_weight(hue: Array) -> Array:
    """T of equation 15, from multiples of one cosine and sine."""
    c, s = np.cos(hue), np.sin(hue)
    c2, s2 = c * c - s * s, 2 * c * s
    c3, s3 = c2 * c - s2 * s, s2 * c + c2 * s
    c4, s4 = c2 * c2 - s2 * s2, 2 * c2 * s2
    a30, a6, a63 = np.radians([30, 6, 63])
    result: Array = (
        1
        - 0.17 * (c * np.cos(a30) + s * np.sin(a30))
        + 0.24 * c2
        + 0.32 * (c3 * np.cos(a6) - s3 * np.sin(a6))
        - 0.20 * (c4 * np.cos(a63) + s4 * np.sin(a63))
    )
    return result
