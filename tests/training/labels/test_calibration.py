from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import discs, named

from napari_tincture.models.card import Channel, ModelCard, Part
from napari_tincture.models.model import Model
from napari_tincture.models.realism import Realism
from napari_tincture.models.registry import build_network
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.labels.calibration import label_quantiles
from napari_tincture.training.labels.labelling import Labelling, as_classes
from napari_tincture.training.labels.pictures import labelled
from napari_tincture.training.labels.shown import shown_labels


def judged() -> Model:
    torch.manual_seed(0)
    forward = {"in_channels": 1, "out_channels": 2, "depth": 1, "width": 2, "padded": True}
    part = Part("patch", {"in_channels": 3, "ndf": 2, "n_layers": 1, "norm": "batch"})
    card = ModelCard(
        name="judged", task="segment", architecture="unet", options=forward,
        inputs=(Channel("grey"),), outputs=(Channel("a"), Channel("b")),
        parts={"discriminator": part},
    )  # fmt: skip
    judge = build_network("patch", part.options, "discriminators")
    return Model(build_network("unet", forward), card, {"discriminator": judge})


def pairs(labels: np.ndarray) -> Pairs:
    image, _ = discs(side=len(labels))
    labelling = Labelling(classes=as_classes([1, 2]))
    return Pairs(Domain.open([named(image)]), labelled(Domain.open([named(labels)]), labelling))


def test_quantiles_are_of_labelled_pixels_alone() -> None:
    labels = 1 + (discs(side=256)[1] > 0).astype(np.uint8)
    labels[:, 40:] = 0
    model, given = judged(), pairs(labels)
    found = label_quantiles(model, given)
    whole = slice(0, 256), slice(0, 256)
    image, target = (d.pictures[0].read(*whole)[None] for d in (given.a, given.b))
    maps, _ = shown_labels(target, given.b.pictures[0].labelling, 2)  # type: ignore[attr-defined]
    with torch.inference_mode():
        scores = Realism.of(model).scores(image, maps)[0, 0, :, :40].flatten()
    assert len(found) == 101
    assert list(found) == sorted(found)
    # One of sixteen scores, so that the extremes may be missed.
    assert min(scores) <= found[0] < found[-1] <= max(scores)
    assert found[50] == pytest.approx(float(scores[::16].median()), rel=1e-3)
    assert label_quantiles(model, pairs(np.zeros((64, 64), np.uint8))) == ()
