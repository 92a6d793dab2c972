"""Labels as a discriminator is shown them, beside what a network makes of the image."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_tincture.models.label_maps import one_hot
from napari_tincture.training.labels.labelling import Labelling


def shown_labels(target: Tensor, labelling: Labelling, outputs: int) -> tuple[Tensor, Tensor]:
    """What a network would give if it were right.

    Parameters
    ----------
    target
        (b, n, y, x) as `LabelPicture.read` gives it.
    outputs
        Number of the network's outputs k.

    Returns
    -------
    maps, known
        (b, k, y, x) float32, one-hot classes or the maps of objects, 0 where nothing is known;
        and (b, 1, y, x), 1 where something is, else 0.
    """
    if labelling.target == "instances":
        known = target[:, :1].isfinite()
        return torch.where(known, target, 0.0), known.to(target.dtype)
    known = (target[:, :1].round() >= 0).to(target.dtype)
    return one_hot(target[:, :1], outputs).to(target.dtype), known
