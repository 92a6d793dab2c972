"""Focus: Tenengrad, the mean squared Sobel gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics._local import LocalFocus


def tenengrad(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Squared length of the Sobel gradient, weights 1 2 1; (y + 2, x + 2) to (y, x).

    Tenenbaum (1970), Accommodation in computer vision; Krotkov (1987), Focusing, equation 5,
    without a threshold.
    """
    smooth = v[:-2] + 2 * v[1:-1] + v[2:]
    across = smooth[:, 2:] - smooth[:, :-2]
    steep = v[2:] - v[:-2]
    down = steep[:, :-2] + 2 * steep[:, 1:-1] + steep[:, 2:]
    result: npt.NDArray[np.float64] = across * across + down * down
    return result


METRIC = LocalFocus("focus_tenengrad", tenengrad)
"""Mean per pixel that has all its neighbours."""
