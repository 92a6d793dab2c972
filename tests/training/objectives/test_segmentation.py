from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cells import discs, named

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.model import Model
from napari_tincture.training.images.material import open_material
from napari_tincture.training.labels.labelling import Labelling
from napari_tincture.training.networks import check_crops
from napari_tincture.training.objectives.segmentation import Segmentation, Weights, build, parts
from napari_tincture.training.presets import preset
from napari_tincture.training.translate import Run, train_translation
from napari_tincture.training.translation import TranslationRecipe

NARROW = {"depth": 2, "width": 8, "max_width": 16, "dropout": 0.0}


def recipe(steps: int = 30, **changes: Any) -> TranslationRecipe:
    settings = {"warmup": 0, "ema": 0.9, "lr": 1e-2, "validate_every": steps, **changes}
    made = preset("segmentation", "tiny", steps=steps, crop=32, **settings)
    part = made.networks["forward"]
    return made.replace(networks={"forward": Part("unet", {**part.options, **NARROW})})


def train(made: TranslationRecipe, labels: Any) -> Model:
    pictures = [discs(seed) for seed in range(3)]
    images = [named(image, f"field-{n}") for n, (image, _) in enumerate(pictures)]
    answers = [named(labels(own), f"field-{n}") for n, (_, own) in enumerate(pictures)]
    material = open_material(made, images={"image": images, "labels": answers})
    return train_translation(made, material, Run())[0]


def dense(objects: np.ndarray) -> np.ndarray:
    return np.where(objects > 0, 7, 2).astype(np.uint8)


def scribbled(objects: np.ndarray) -> np.ndarray:
    strokes = np.zeros_like(dense(objects))
    for line in (np.s_[20], np.s_[45], np.s_[:, 33]):
        strokes[line] = dense(objects)[line]
    return strokes


@pytest.mark.parametrize("labels", [dense, scribbled])
def test_classes_with_gaps_are_learned_from_dense_and_sparse_labels(labels: Any) -> None:
    model = train(recipe(), labels)
    card = model.card
    assert (card.task, card.instances) == ("segment", None)
    assert [channel.value for channel in card.outputs] == [2, 7]
    assert card.figures["validation mean_iou"] > 0.8 > card.figures["validation constant"] + 0.2
    image, objects = discs(seed=9)
    found = np.asarray(nt.segment(image, model, output="classes"))
    assert set(np.unique(found)) == {2, 7}
    wanted = dense(objects)
    shares = [
        ((found == v) & (wanted == v)).sum() / ((found == v) | (wanted == v)).sum() for v in (2, 7)
    ]
    # What is painted differs by 8 standard deviations of the noise: nearly all can be found.
    assert np.mean(shares) > 0.8


@pytest.mark.parametrize("target", ["instances", "borders"])
def test_objects_are_learned(target: str) -> None:
    made = recipe(50, options={"target": target})
    model = train(made, lambda objects: objects.astype(np.int64) * 2**33)
    assert model.card.figures["validation ap_50"] > 0.4
    assert model.card.figures["validation constant"] < 0.1
    found = np.asarray(nt.segment(discs(seed=9)[0], model))
    assert 3 <= found.max() <= 8


def test_unlabelled_pixels_and_those_of_no_weight_teach_nothing() -> None:
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=draws)
    labels = torch.randint(0, 3, (2, 1, 8, 8), generator=draws).float()
    labels[..., 4:] = -1
    changed = torch.where(labels < 0, logits.flip(2), logits)

    def loss(values: torch.Tensor, batch: dict[str, torch.Tensor]) -> float:
        objective = build({"forward": torch.nn.Identity()}, Weights(dice=1.0, focal=1.0))
        found = objective.step({"a": values, "b": labels, **batch}, lambda *_: None)
        return found["loss"].item()

    assert loss(logits, {}) == loss(changed, {})
    weight = (labels[:, :1] >= 0).float()
    weight[..., :2, :] = 0
    half = torch.where(weight > 0, logits, -logits)
    assert loss(logits, {"weight": weight}) == loss(half, {"weight": weight})
    assert loss(logits, {"weight": weight}) != loss(logits, {})


def test_maps_count_where_they_are_known() -> None:
    draws = torch.Generator().manual_seed(0)
    logits, maps = (torch.rand(1, 3, 8, 8, generator=draws) for _ in range(2))
    networks = {"forward": torch.nn.Identity()}
    objective = Segmentation(networks, Weights(dice=0.5), Labelling("instances"))
    left = objective.step({"a": logits[..., :4], "b": maps[..., :4]}, lambda *_: None)
    maps[..., 4:] = torch.nan
    both = objective.step({"a": logits, "b": maps}, lambda *_: None)
    torch.testing.assert_close(left, both)


def test_a_network_without_padding_learns_from_the_middle_of_crops() -> None:
    made = recipe(1, networks={"padded": False, "norm": "none"}).replace(
        networks={"forward": parts("tiny", 1, 2, padded=False, norm="none")["forward"]}
    )
    with pytest.raises(InputError, match=r"32 px.*loses 44 px.*Take crops of 92 px"):
        check_crops(made)
    labels = torch.full((1, 1, 92, 92), -1.0)
    labels[..., 44:48, 44:48] = 1
    network = made.build_networks()["forward"].eval()
    objective = build({"forward": network}, classes=[1, 2])
    image = torch.rand(1, 1, 92, 92)
    found = objective.step({"a": image, "b": labels}, lambda *_: None)["loss"]
    inner = network(image)
    assert inner.shape == (1, 2, 4, 4)
    torch.testing.assert_close(found, -inner.log_softmax(1)[:, 1].mean())


def test_senseless_settings_are_refused() -> None:
    networks = {"forward": torch.nn.Identity()}
    with pytest.raises(InputError, match="no loss"):
        build(networks, Weights(cross_entropy=0.0))
    with pytest.raises(InputError, match=r"no loss focal.*target='borders'"):
        build(networks, Weights(focal=1.0), target="instances")
    with pytest.raises(InputError, match=r"'cells'.*classes, instances, borders"):
        build(networks, target="cells")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="class and unlabelled at once"):
        build(networks, classes=[0, 1])
    with pytest.raises(InputError, match="each value once"):
        build(networks, classes=[1, {"value": 1, "name": "twin"}])
