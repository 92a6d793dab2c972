from __future__ import annotations

import numpy as np
import pytest
from label_pairs import only

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.classes import class_figures


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_class_figures_equal_torchmetrics(classes) -> None:
    import torch
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_cohen_kappa,
        multiclass_f1_score,
        multiclass_jaccard_index,
    )

    rng = np.random.default_rng(classes)
    expected = rng.integers(0, classes, (41, 30))
    found = np.where(rng.random((41, 30)) < 0.6, expected, rng.integers(0, classes, (41, 30)))
    a, b = torch.from_numpy(found), torch.from_numpy(expected)
    figures = class_figures(only(found, expected))
    close = {"rel": 1e-6}  # they compute in float32
    assert figures["accuracy"] == pytest.approx(
        float(multiclass_accuracy(a, b, classes, average="micro")), **close
    )
    assert figures["kappa"] == pytest.approx(float(multiclass_cohen_kappa(a, b, classes)), **close)
    for average, column in (("macro", "mean_iou"), ("weighted", "frequency_weighted_iou")):
        theirs = float(multiclass_jaccard_index(a, b, classes, average=average))
        assert figures[column] == pytest.approx(theirs, **close)
    dice = multiclass_f1_score(a, b, classes, average="none").tolist()
    assert [figures[f"dice_{i}"] for i in range(classes)] == pytest.approx(dice, **close)
    assert figures["mean_dice"] == pytest.approx(np.mean(dice), **close)


def test_class_figures_by_hand() -> None:
    expected = np.array([0, 0, 0, 0, 1, 1, 3, 3])
    found = np.array([0, 0, 0, 1, 1, 1, 0, 3])
    figures = class_figures(only(found, expected), names={0: "rest", 1: "live", 2: "dead"})
    assert list(figures)[5:] == [
        "dice_rest", "iou_rest", "dice_live", "iou_live", "dice_dead", "iou_dead", "dice_3",
        "iou_3",
    ]  # fmt: skip
    assert figures["accuracy"] == 6 / 8
    assert figures["iou_rest"] == 3 / 5
    assert figures["dice_live"] == 4 / 5
    assert figures["mean_iou"] == pytest.approx((3 / 5 + 2 / 3 + 1 / 2) / 3, rel=1e-15)
    weighted = (4 * 3 / 5 + 2 * 2 / 3 + 2 * 1 / 2) / 8
    assert figures["frequency_weighted_iou"] == pytest.approx(weighted, rel=1e-15)
    chance = (4 * 4 + 2 * 3 + 2 * 1) / 64
    assert figures["kappa"] == pytest.approx((6 / 8 - chance) / (1 - chance), rel=1e-15)
    assert figures["iou_dead"] is None
    assert figures.undefined == dict.fromkeys(
        ("dice_dead", "iou_dead"), "neither image has this class"
    )


def test_classes_of_the_reference_are_left_out() -> None:
    expected = np.array([0, 0, 1, 255, 255])
    found = np.array([0, 1, 1, 1, 0])
    overlap = only(found, expected)
    assert class_figures(overlap, ignore=[255]) == class_figures(only(found[:3], expected[:3]))
    nothing = class_figures(overlap, ignore=[0, 1, 255])
    assert nothing["mean_iou"] is None
    assert set(nothing.undefined.values()) == {"no pixel was compared"}


def test_one_class_has_no_kappa() -> None:
    figures = class_figures(only(np.full(5, 2), np.full(5, 2)))
    assert figures["kappa"] is None
    assert figures["accuracy"] == figures["dice_2"] == 1.0
    assert class_figures(only(np.full(5, 2), np.full(5, 3)))["kappa"] == 0.0


def test_objects_are_no_classes() -> None:
    labels = np.arange(2000)
    with pytest.raises(InputError, match="look like objects"):
        class_figures(only(labels, labels))
