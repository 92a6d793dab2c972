"""What the maps of a run say on the whole, in one number each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

MEASURED = ("cycle_error", "cycle_error_twice", "realism", "std")
"""Outputs whose mean over an image says something."""


@dataclass
class Means:
    """Mean and standard deviation of the finite values of several maps, block by block."""

    _sums: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def add(self, name: str, block: npt.NDArray[Any]) -> None:
        """Count a block of a map; of other outputs nothing."""
        if name not in MEASURED:
            return
        values = block[np.isfinite(block)].astype(np.float64)
        own = np.array([values.size, values.sum(), (values**2).sum()])
        self._sums[name] = self._sums.get(name, np.zeros(3)) + own

    @property
    def figures(self) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation by name."""
        found = {}
        for name, (count, total, squares) in self._sums.items():
            if count:
                mean = total / count
                found[name] = float(mean), float(np.sqrt(max(squares / count - mean**2, 0)))
        return found


def in_words(figures: Mapping[str, tuple[float, float]], calibrated: bool) -> str:
    """Say what `Means.figures` holds, on one line."""
    texts = []
    for name, (mean, spread) in figures.items():
        if name == "realism":
            word = "realism" if calibrated else "realism score (not calibrated)"
            texts.append(f"{word} {mean:.2f}")
        else:
            word = "uncertainty" if name == "std" else name.replace("_", " ")
            texts.append(f"{word} {mean:.3f} ± {spread:.3f}")
    text = ", ".join(texts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
