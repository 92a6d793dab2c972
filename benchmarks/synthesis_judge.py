"""What synthetic images are judged by: distances of sets, label fidelity, and likeness to the real.

Squares of the test sections are cut: some whose label maps are drawn again, and the rest, whose
real images are what distances are measured from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_tincture as nt
from napari_tincture.metrics.sets import (
    Features,
    FeatureSet,
    InceptionFeatures,
    Interval,
    LearnedFeatures,
    find_set_metric,
    kid_interval,
)
from napari_tincture.models.model import Model
from napari_tincture.training.judge import likeness

TISSUE = "neural_tissue_em"
TRAINED, TESTED = range(11), range(13, 16)
"""Sections that models learn from, and those that they are judged by."""
SIDE, PIECE = 128, 64
"""Side of a square, and of what learned features describe."""
HEAD = (
    "| {} | images | FID | KID [95 %] | mIoU | of real | worst class | PSNR, dB | SSIM "
    "| s / image |\n|---|---|---|---|---|---|---|---|---|---|"
)
NOTE = """
FID and KID: {features}; pieces of test images that were not drawn are the reference. They are no
figures of literature, and FID falls with the number of images: compare equally many. KID with a
bootstrap interval over images. mIoU: label fidelity, what {segmenter} finds in the images
against their maps, over the classes that these have; its share of that in the real images of the
same maps; and the class of which the least share is found. PSNR and SSIM decide nothing: many
images fit a map.
"""


@dataclass(frozen=True)
class Squares:
    """Images and label maps (y, x) uint8 of the same places."""

    images: tuple[NDArray[np.uint8], ...]
    maps: tuple[NDArray[np.uint8], ...]

    def some(self, places: Sequence[int]) -> Squares:
        """Those at some places."""
        return Squares(*(tuple(s[p] for p in places) for s in (self.images, self.maps)))


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    images: int
    fid: float
    kid: Interval
    fidelity: nt.LabelFidelity
    psnr: float
    ssim: float
    seconds: float | None

    def __str__(self) -> str:
        known = [one for one in self.fidelity.classes if one.reference_iou > 0]
        worst = min(known, key=lambda one: one.iou / one.reference_iou)
        cells = [
            self.name, self.images, f"{self.fid:.3g}", self.kid, f"{self.fidelity.mean_iou:.3f}",
            f"{self.fidelity.ratio:.2f}",
            f"{worst.name} {worst.iou:.2f} of {worst.reference_iou:.2f}",
            f"{self.psnr:.1f}" if np.isfinite(self.psnr) else "–", f"{self.ssim:.2f}",
            "–" if self.seconds is None else f"{self.seconds:.3g}",
        ]  # fmt: skip
        return "| " + " | ".join(map(str, cells)) + " |"


def section(data: Path, folder: str, number: int) -> NDArray[np.uint8]:
    """A section's image ("raw") or label map ("classes"), (y, x)."""
    values = np.asarray(nt.open_image(data / TISSUE / folder / f"{number:02}.png")).squeeze()
    return values.astype(np.uint8)


def squares(data: Path, sections: Sequence[int], side: int = SIDE) -> Squares:
    """All squares of some sections, in rows."""
    found: list[list[NDArray[np.uint8]]] = []
    for folder in ("raw", "classes"):
        wholes = [section(data, folder, number) for number in sections]
        found.append(
            [
                whole[y : y + side, x : x + side]
                for whole in wholes
                for y in range(0, whole.shape[0] - side + 1, side)
                for x in range(0, whole.shape[1] - side + 1, side)
            ]
        )
    return Squares(tuple(found[0]), tuple(found[1]))


def features_of(data: Path, work: Path, inception: str | None, device: str) -> Any:
    """Features by the user's Inception weights, or such that were learned from training images."""
    if inception is not None:
        return InceptionFeatures(inception, device=device)
    file = work / "features.safetensors"
    if not file.is_file():
        work.mkdir(parents=True, exist_ok=True)
        images = [section(data, "raw", number) for number in TRAINED]
        LearnedFeatures.learn(images, side=PIECE, device=device).save(file)
    return LearnedFeatures.load(file, device=device)


class Judge:
    """Judges images of the label maps of some squares.

    Parameters
    ----------
    every
        All test squares.
    count
        How many are drawn, evenly spread.
    features
        Of `features_of`.
    segmenter
        Of label fidelity.
    """

    def __init__(self, every: Squares, count: int, features: Any, segmenter: Model) -> None:
        total = len(every.images)
        places = [int(i * total / count) for i in range(min(count, total // 2))]
        self.drawn = every.some(places)
        self._features, self._segmenter = features, segmenter
        rest = [p for p in range(total) if p not in set(places)]
        self._reference, self._groups = self._described(every.some(rest).images)

    def real(self) -> Row:
        """The yardstick: the real images of the drawn squares."""
        return self.row("real images", self.drawn.images)

    def row(
        self, name: str, images: Sequence[NDArray[np.uint8]], seconds: float | None = None
    ) -> Row:
        """Judge images of the first of the maps."""
        maps, real = (s[: len(images)] for s in (self.drawn.maps, self.drawn.images))
        fidelity = nt.label_fidelity(
            list(images), list(maps), self._segmenter, reference_images=list(real)
        )
        own, groups = self._described(images)
        fid = find_set_metric("fid").figures(as_set(own), as_set(self._reference))["fid"]
        kid = kid_interval(own, self._reference, groups=groups, reference_groups=self._groups)
        alike = [
            likeness(one[None] / np.float32(255), other[None] / np.float32(255))
            for one, other in zip(images, real, strict=True)
        ]
        same = all(np.array_equal(a, b) for a, b in zip(images, real, strict=True))
        psnr = np.inf if same else float(np.mean([one["psnr"] for one in alike]))
        ssim = float(np.mean([one["ssim"] for one in alike]))
        return Row(name, len(images), fid, kid, fidelity, psnr, ssim, seconds)

    def note(self) -> str:
        """What the columns are."""
        learned = isinstance(self._features, LearnedFeatures)
        features = "of features learned from the training images" if learned else "of Inception"
        return NOTE.format(features=features, segmenter=self._segmenter.card.name)

    def _described(
        self, images: Sequence[NDArray[np.uint8]]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features of all pieces, and the image that each is of."""
        if not isinstance(self._features, LearnedFeatures):
            grey = np.stack(images)[:, None].repeat(3, 1)
            return self._features(grey), np.arange(len(images))
        steps = range(0, SIDE - PIECE + 1, PIECE // 2)
        pieces = [
            i[None, y : y + PIECE, x : x + PIECE] for i in images for y in steps for x in steps
        ]
        groups = np.repeat(np.arange(len(images)), len(steps) ** 2)
        return self._features(np.stack(pieces)), groups


def as_set(values: NDArray[np.float32]) -> FeatureSet:
    """Moments of features."""
    features = Features()
    features.add(values)
    return features.result()
