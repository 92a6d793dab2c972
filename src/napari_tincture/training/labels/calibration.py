"""What a discriminator says of images with their labels, so that its scores mean something."""

from __future__ import annotations

import torch

from napari_tincture.models.model import Model
from napari_tincture.models.realism import Realism, quantiles_of
from napari_tincture.training.images.material import read_windows, windows
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.labels.pictures import LabelPicture
from napari_tincture.training.labels.shown import shown_labels

SIDE, MOST, EVERY = 256, 32, 16
"""Squares of this side, how many of them, and of which scores, one of so many, are taken."""


def label_quantiles(model: Model, pairs: Pairs) -> tuple[float, ...]:
    """Quantiles, evenly spaced from 0 to 1, of the scores of labelled pixels.

    Parameters
    ----------
    model
        That keeps a discriminator of pairs: of images with what it segments, or of label maps with
        the images that it makes of them.
    pairs
        Images and labels that it was not trained on.

    Returns
    -------
    tuple of float
        Empty where no pixel has a label.
    """
    realism, made = Realism.of(model), model.card.task == "synthesize"
    target = pairs.b.pictures[0]
    assert isinstance(target, LabelPicture)
    places = windows(pairs.pictures, SIDE, MOST)
    sides = (read_windows(domain, places) for domain in (pairs.a, pairs.b))
    values = []
    for image, labels in zip(*sides, strict=True):
        classes = model.card.inputs if made else model.card.outputs
        maps, known = shown_labels(labels[None], target.labelling, len(classes))
        shown = (maps, image[None]) if made else (image[None], maps)
        with torch.inference_mode():
            scores = realism.scores(*shown)
        values.append(scores[known > 0][::EVERY].numpy())
    return quantiles_of(values)
