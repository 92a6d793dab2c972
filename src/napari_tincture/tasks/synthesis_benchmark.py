"""What a benchmark of synthetic training images is told as."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.durable import write_json
from napari_tincture.metrics.labels.averages import Average, average

if TYPE_CHECKING:
    from os import PathLike

KINDS = ("real", "synthetic", "both")
SCORES = ("mean_iou", "f1_50")
"""Figure that the gain is of: of classes, or of objects."""


@dataclass(frozen=True)
class SynthesisBenchmark:
    """Figures of segmentations that learned from real images, from synthetic ones, or from both.

    Attributes
    ----------
    figures
        By "real", "synthetic" and "both", and by the figure's name: its value on the real test
        images in each repetition.
    images
        How many training images each learned from.
    settings
        What was asked for.
    """

    figures: Mapping[str, Mapping[str, tuple[float, ...]]]
    images: Mapping[str, int]
    settings: Mapping[str, Any]

    @property
    def score(self) -> str:
        """Name of the figure that `gain` is of."""
        return next(name for name in SCORES if name in self.figures["real"])

    @property
    def gain(self) -> Average:
        """How many points (hundredths) of the score both kinds are above the real ones alone.

        Repetitions are compared one by one, for they begin with the same weights.
        """
        real, both = (self.figures[kind][self.score] for kind in ("real", "both"))
        return average(100 * (b - a) for a, b in zip(real, both, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        gain = {k: v if math.isfinite(v) else None for k, v in self.gain._asdict().items()}
        return {
            "figures": {k: {n: list(v) for n, v in own.items()} for k, own in self.figures.items()},
            "images": dict(self.images),
            "settings": dict(self.settings),
            "score": self.score,
            "gain_points": gain,
        }

    def save(self, path: str | PathLike[str]) -> Path:
        """Write `to_dict` as JSON, whole or not at all."""
        write_json(Path(path), self.to_dict())
        return Path(path)

    def to_markdown(self) -> str:
        """A table with a row for each kind of training images, and a line with the gain."""
        names = [n for n in self.figures["real"] if n != "constant"]
        lines = ["| learned from | images | " + " | ".join(names) + " |"]
        lines.append("|---" * (len(names) + 2) + "|")
        for kind in KINDS:
            own = [_cell(self.figures[kind].get(name, ())) for name in names]
            lines.append(f"| {kind} | {self.images[kind]} | {' | '.join(own)} |")
        gain = self.gain
        spread = "" if math.isnan(gain.deviation) else f" ± {gain.deviation:.1f}"
        runs = f"{gain.images} repetition" + "s" * (gain.images != 1)
        told = (
            f"Adding synthetic images changes {self.score} on real test images by "
            f"{gain.mean:+.1f}{spread} points ({runs})."
        )
        return "\n".join([*lines, "", told])


def _cell(values: tuple[float, ...]) -> str:
    found = average(values)
    if not found.images:
        return "–"
    return f"{found.mean:.3f}" + ("" if found.images < 2 else f" ± {found.deviation:.3f}")
