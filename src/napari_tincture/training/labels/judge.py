"""Figures of segmentation networks in training, beside those of a constant prediction."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_tincture.errors import TinctureWarning
from napari_tincture.instances import arguments_of, label_instances
from napari_tincture.metrics.labels.confusion import Confusion
from napari_tincture.models.model import Model
from napari_tincture.tiling.reach import reach_of
from napari_tincture.tiling.whole import PlaneValues
from napari_tincture.training.held import whole
from napari_tincture.training.images.material import Portion, windows
from napari_tincture.training.images.pictures import Picture
from napari_tincture.training.labels.labelling import UNKNOWN
from napari_tincture.training.labels.objects import mean_f1
from napari_tincture.training.labels.pictures import LabelPicture, numbered
from napari_tincture.training.labels.segmenters import as_segmenter, refill
from napari_tincture.training.translation import TranslationRecipe

WHOLE, SIDE, MOST = 2**24, 2048, 16
"""Pixels of images that are looked at whole; of larger ones so many squares of this side."""
Region = tuple[tuple[int, int], tuple[int, int]]


class LabelJudge:
    """Compares what networks find in held-out images with their labels.

    Parameters
    ----------
    recipe
        Fitted to the images.
    part
        Images that were held back, and their labels; it may have none.
    device
        Where networks are run.
    """

    def __init__(
        self, recipe: TranslationRecipe, part: Portion, device: str | torch.device = "cpu"
    ) -> None:
        self._recipe, self._part, self._device = recipe, part, str(device)
        self._labelling = recipe.labelling
        self._model: Model | None = None
        self._places = [] if part.pairs is None else _places(part)
        self._known: dict[Picture, PlaneValues] = {}
        self._constant: tuple[str, float] | None = None

    @property
    def sees(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._places)

    def __call__(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures, of which "score" is the better the higher.

        A `TinctureWarning` says so while the score is none that a constant could not have.

        Returns
        -------
        dict
            Of classes, over all labelled pixels of all images: "mean_iou" (the score),
            "mean_dice", "accuracy", and "iou NAME" of each. Of objects, means over images:
            "ap_50", "ap" (over IoU 0.5 … 0.95), "f1_50", "f1"; the score is the sum of the last
            two. "constant" is the best score of one answer for all pixels.
        """
        assert self._part.sources is not None
        if self._model is None:
            self._model = as_segmenter(self._recipe, self._part.sources, networks["forward"])
        refill(self._model, networks["forward"])
        model = self._model
        if self._labelling.target == "classes":
            figures = self._of_classes(model)
        else:
            figures = self._of_objects(model)
        if self._constant is None:
            self._constant = self._best_constant()
        name, constant = self._constant
        if not figures["score"] > constant:
            warnings.warn(
                f"{self._recipe.name}: the score {figures['score']:.3g} is no better than a "
                f"constant prediction ({name} everywhere: {constant:.3g}). Train longer, label "
                "more, or look whether labels lie on what they name.",
                TinctureWarning,
                stacklevel=2,
            )
        return {**figures, "constant": constant}

    def _of_classes(self, model: Model) -> dict[str, float]:
        count = len(self._labelling.classes)
        table = np.zeros((count, count), np.int64)
        for number, region in self._places:
            found = self._maps(model, number, region).argmax(axis=0)
            table += table_of(self._truth(number, region), found, count)
        return self._class_figures(table)

    def _class_figures(self, table: NDArray[np.int64]) -> dict[str, float]:
        agreed = Confusion(tuple(range(len(table))), table)
        names = [each.name for each in self._labelling.classes]
        own = {
            f"iou {name}": float(iou)
            for name, iou in zip(names, agreed.iou, strict=True)
            if np.isfinite(iou)
        }
        figures = {
            "mean_iou": agreed.mean_iou,
            "mean_dice": agreed.mean_dice,
            "accuracy": agreed.accuracy,
        }
        return {**figures, **own, "score": figures["mean_iou"]}

    def _of_objects(self, model: Model) -> dict[str, float]:
        pairs = []
        for number, region in self._places:
            maps = self._maps(model, number, region)
            found = label_instances(maps, **arguments_of(model.card.instances))
            pairs.append((found, self._objects(number, region)))
        figures = mean_f1(pairs)
        return {**figures, "score": figures["f1_50"] + figures["f1"]}

    def _best_constant(self) -> tuple[str, float]:
        """Which answer is best everywhere, and its score."""
        if self._labelling.target == "classes":
            count = len(self._labelling.classes)
            truth = np.zeros(count, np.int64)
            for number, region in self._places:
                labels = self._truth(number, region)
                truth += np.bincount(labels[labels != UNKNOWN], minlength=count)
            scores = {}
            for each, name in enumerate(c.name for c in self._labelling.classes):
                table = np.zeros((count, count), np.int64)
                table[:, each] = truth
                scores[name] = self._class_figures(table)["score"]
        else:
            truths = [self._objects(number, region) for number, region in self._places]
            scores = {}
            for value, name in ((0, "background"), (1, "object")):
                figures = mean_f1([(np.full_like(t, value), t) for t in truths])
                scores[name] = figures["f1_50"] + figures["f1"]
        best = max(scores, key=lambda name: scores[name])
        return best, scores[best]

    def _maps(self, model: Model, number: int, region: Region | None) -> NDArray[np.float32]:
        assert self._part.pairs is not None
        picture = self._part.pairs.a.pictures[number]
        if picture not in self._known:
            self._known[picture] = PlaneValues(picture.stats)
        known = {picture.plane: self._known[picture]}
        # What else depends on the whole image is found with the statistics.
        context = None if reach_of(model).sites else known
        return whole(model, picture, self._device, region, context)

    def _picture(self, number: int) -> LabelPicture:
        assert self._part.pairs is not None
        return cast(LabelPicture, self._part.pairs.b.pictures[number])

    def _truth(self, number: int, region: Region | None) -> NDArray[np.int16]:
        picture = self._picture(number)
        return picture.classes(*_slices(region, picture))

    def _objects(self, number: int, region: Region | None) -> NDArray[np.int32]:
        picture = self._picture(number)
        labels, there = picture.labels(*_slices(region, picture))
        if there is not None:
            labels = np.where(there, labels, 0)
        return numbered(labels)


def _places(part: Portion) -> list[tuple[int, Region | None]]:
    """Pictures with labels by number, and which region of them; None: all of it."""
    assert part.pairs is not None
    found: list[tuple[int, Region | None]] = []
    for number, picture in enumerate(part.pairs.b.pictures):
        assert isinstance(picture, LabelPicture)
        if picture.shape[0] * picture.shape[1] <= WHOLE:
            squares: list[Region | None] = [None]
        else:
            chosen = windows([picture], SIDE, MOST * MOST)
            squares = [((y.start, y.stop), (x.start, x.stop)) for _, y, x in chosen]
        sparse = picture.labelling.target == "classes"
        some = [
            region
            for region in squares
            if not sparse or (picture.classes(*_slices(region, picture)) != UNKNOWN).any()
        ]
        found += [(number, region) for region in some[:: max(len(some) // MOST, 1)][:MOST]]
    return found


def _slices(region: Region | None, picture: LabelPicture) -> tuple[slice, slice]:
    y, x = region or tuple((0, n) for n in picture.shape)
    return slice(*y), slice(*x)


def table_of(truth: NDArray[np.int16], found: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Pixels by expected (rows) and found class."""
    known = truth != UNKNOWN
    places = truth[known].astype(np.int64) * count + found[known]
    table: NDArray[np.int64] = np.bincount(places, minlength=count**2).reshape(count, count)
    return table
