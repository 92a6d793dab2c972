"""Focus: Brenner's squared differences of pixels two apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics._local import LocalFocus


def brenner(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Squared difference of the neighbours along x, and along y; (y + 2, x + 2) to (y, x).

    Brenner et al. (1976), An automated microscope for cytologic research, in both directions.
    """
    across, down = v[1:-1, 2:] - v[1:-1, :-2], v[2:, 1:-1] - v[:-2, 1:-1]
    across *= across
    down *= down
    across += down
    return across


METRIC = LocalFocus("focus_brenner", brenner)
"""Mean per pixel that has all its neighbours: (I(x+1) - I(x-1))² + (I(y+1) - I(y-1))²."""
