"""What label fidelity is told as."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

RARE = 0.01
"""Share of the pixels below which a class is rare."""
THIN = 16.0
"""Width in pixels below which a class is thin."""


@dataclass(frozen=True)
class ClassFidelity:
    """How well one class is found again.

    Attributes
    ----------
    name, value
        Of the segmentation model.
    share
        Of the pixels of the maps that have a class of the model.
    width
        In pixels: that of a strip whose pixels are, on average, as far from its border.
    iou
        Intersection over union of what is segmented in the images with the maps; NaN where
        neither has the class.
    reference_iou
        The same of the reference images; NaN without any.
    """

    name: str
    value: int
    share: float
    width: float
    iou: float
    reference_iou: float = math.nan

    @property
    def rare(self) -> bool:
        """Whether less than 1 % of the pixels are of it."""
        return self.share < RARE

    @property
    def thin(self) -> bool:
        """Whether it is less than 16 pixels wide."""
        return self.width < THIN

    @property
    def kind(self) -> str:
        """The words "rare" and "thin", as far as they are true."""
        return ", ".join(word for word in ("rare", "thin") if getattr(self, word))


@dataclass(frozen=True)
class LabelFidelity:
    """How well label maps are found again in images that were made of them.

    Attributes
    ----------
    classes
        Those of the segmentation model that the maps have, in its order.
    per_image
        Mean IoU of each image, over the classes that its map has.
    reference_per_image
        The same of the reference images; empty without any.
    left_out
        Share of the maps' pixels of each value that no class of the model is, by its name, or its
        value where it has none. They count for nothing.
    accuracy, reference_accuracy
        Share of the counted pixels that have their class; NaN without reference images.
    """

    classes: tuple[ClassFidelity, ...]
    per_image: tuple[float, ...]
    accuracy: float
    left_out: Mapping[str, float]
    reference_per_image: tuple[float, ...] = ()
    reference_accuracy: float = math.nan

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that the maps have, of all images together."""
        return _mean([each.iou for each in self.classes])

    @property
    def reference_mean_iou(self) -> float:
        """The same of the reference images; NaN without any."""
        return _mean([each.reference_iou for each in self.classes])

    @property
    def ratio(self) -> float:
        """`mean_iou` as a share of that of the reference images; NaN without any."""
        return self.mean_iou / self.reference_mean_iou if self.reference_mean_iou else math.nan

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            **asdict(self),
            "classes": [{**asdict(one), "kind": one.kind} for one in self.classes],
            "mean_iou": self.mean_iou,
            "reference_mean_iou": self.reference_mean_iou,
            "ratio": self.ratio,
        }

    def to_markdown(self) -> str:
        """A table with a row for each class, and one for their mean."""
        several = bool(self.reference_per_image)
        head = ["class", "share of pixels", "width, px", "", "IoU"]
        rows = [
            [one.name, f"{one.share:.2%}", f"{one.width:.1f}", one.kind, f"{one.iou:.3f}"]
            for one in self.classes
        ]
        rows.append(["mean", "", "", "", f"{self.mean_iou:.3f}"])
        if several:
            head += ["IoU, real images", "ratio"]
            pairs = [(one.iou, one.reference_iou) for one in self.classes]
            for row, (own, real) in zip(
                rows, [*pairs, (self.mean_iou, self.reference_mean_iou)], strict=True
            ):
                row += [f"{real:.3f}", f"{own / real:.3f}" if real else "–"]
        lines = [head, ["---"] * len(head), *rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        if not self.left_out:
            return table
        rest = ", ".join(f"{name} ({share:.2%})" for name, share in self.left_out.items())
        return f"{table}\n\nLeft out, for the segmentation model does not know them: {rest}."


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
