from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_tincture.errors import InputError
from napari_tincture.training.labels.losses import (
    LOSSES,
    UNLABELLED,
    SegmentationTerm,
    SegmentationWeights,
    balanced,
    by_kind,
    signed_distances,
    total,
)
from napari_tincture.training.labels.weight_map import class_weights
from napari_tincture.training.objective import check_weights

RNG = np.random.default_rng(0)
K = 3
LOGITS = torch.from_numpy(RNG.normal(size=(2, K, 9, 11)))
CLASSES = torch.from_numpy(RNG.integers(-1, K, (2, 9, 11)))
WEIGHT = torch.from_numpy(RNG.random((2, 1, 9, 11)) + 0.1)
KINDS = tuple(LOSSES)


def labelled(weight: Tensor | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (n, k), classes (n,) and weights (n,) of the labelled pixels."""
    shown = CLASSES.numpy() >= 0
    powers = np.exp(LOGITS.numpy())
    p = (powers / powers.sum(1, keepdims=True)).transpose(0, 2, 3, 1)[shown]
    w = np.ones(len(p)) if weight is None else weight.numpy()[:, 0][shown]
    return p, CLASSES.numpy()[shown], w


def nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.sqrt(((points[:, None] - others[None]) ** 2).sum(-1)).min(1)


def distances_by_pairs(classes: np.ndarray) -> np.ndarray:
    result = np.zeros((K, *classes.shape))
    for k in range(K):
        own, rest = classes == k, (classes != k) & (classes != UNLABELLED)
        result[k][rest] = nearest(np.argwhere(rest), np.argwhere(own)) - 0.5
        result[k][own] = 0.5 - nearest(np.argwhere(own), np.argwhere(rest))
    return result


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_losses_are_their_formulas(weight: Tensor | None) -> None:
    p, t, w = labelled(weight)
    true = p[np.arange(len(t)), t]
    one_hot = np.eye(K)[t]
    shown = CLASSES.numpy() >= 0
    phi = np.stack([distances_by_pairs(c) for c in CLASSES.numpy()]).transpose(0, 2, 3, 1)[shown]
    column = w[:, None]
    overlap = 2 * (column * p * one_hot).sum(0) + 1
    sizes = (column * p**2).sum(0) + (column * one_hot).sum(0) + 1
    expected = {
        "cross_entropy": (w * -np.log(true)).sum() / w.sum(),
        "focal": (w * -((1 - true) ** 2) * np.log(true)).sum() / w.sum(),
        "dice": (1 - overlap / sizes).mean(),
        "boundary": (column * p * phi).sum() / w.sum() / K,
    }
    for kind in KINDS:
        # Distances are float32, the rest is float64.
        found = float(LOSSES[kind](LOGITS, CLASSES, weight))
        assert found == pytest.approx(expected[kind], rel=1e-6 if kind == "boundary" else 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_unlabelled_pixels_count_for_nothing(kind: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    LOSSES[kind](logits, CLASSES, WEIGHT).backward()
    hidden = CLASSES < 0
    assert bool((logits.grad.movedim(1, -1)[hidden] == 0).all())
    assert bool((logits.grad.movedim(1, -1)[~hidden] != 0).any())
    others = torch.where(hidden[:, None], 7 * LOGITS.flip(1), LOGITS)
    assert float(LOSSES[kind](others, CLASSES, WEIGHT)) == pytest.approx(
        float(LOSSES[kind](LOGITS, CLASSES, WEIGHT)), rel=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_labelled_pixel_a_loss_is_0_and_so_is_its_gradient(kind: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = LOSSES[kind](logits, torch.full_like(CLASSES, UNLABELLED), WEIGHT)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("kind", KINDS)
def test_the_true_classes_are_the_optimum(kind: str) -> None:
    truth = CLASSES.clamp_min(0)
    certain = 60 * torch.nn.functional.one_hot(truth, K).movedim(-1, 1).double()
    best = float(LOSSES[kind](certain, truth))
    # Of the distances, all that lie inside are summed, and none that lies outside.
    insides = np.stack([np.minimum(distances_by_pairs(c), 0) for c in truth.numpy()]).mean()
    assert best == pytest.approx(insides if kind == "boundary" else 0, abs=1e-6)
    worse = certain.clone()
    worse[0, :, 4, 5] = worse[0, :, 4, 5].roll(1)
    assert float(LOSSES[kind](worse, truth)) > best + 1e-4


def test_the_best_constant_prediction_is_each_classs_share_of_the_weight() -> None:
    _, t, w = labelled(WEIGHT)
    shares = np.bincount(t, w, K) / w.sum()
    constant = torch.from_numpy(np.log(shares))[None, :, None, None].requires_grad_()
    loss = LOSSES["cross_entropy"](constant.expand_as(LOGITS), CLASSES, WEIGHT)
    loss.backward()
    np.testing.assert_allclose(constant.grad.numpy(), 0, atol=1e-12)
    assert loss.item() == pytest.approx(-(shares * np.log(shares)).sum())


def test_balanced_classes_have_equal_shares_of_the_weight() -> None:
    known = CLASSES[CLASSES >= 0]
    counts = known.bincount().tolist()
    weight = balanced(CLASSES, class_weights(counts))
    sums = known.bincount(weight[:, 0][CLASSES >= 0]).tolist()
    assert sums == pytest.approx([len(known) / K] * K, rel=1e-5)  # float32
    assert float(weight[:, 0][CLASSES < 0].sum()) == 0


def test_focal_without_focus_is_cross_entropy() -> None:
    found = SegmentationTerm("focal", gamma=0.0)(LOGITS, CLASSES, WEIGHT)
    expected = LOSSES["cross_entropy"](LOGITS, CLASSES, WEIGHT)
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


def test_focal_of_what_is_certain_has_a_gradient() -> None:
    logits = (1e4 * torch.eye(2)[:, :, None, None]).requires_grad_()
    SegmentationTerm("focal", gamma=0.5)(logits, torch.tensor([[[0]], [[1]]])).backward()
    assert bool(logits.grad.isfinite().all())


def test_classes_without_an_edge_have_no_distances() -> None:
    classes = np.array([[0, 0, UNLABELLED], [0, 0, 0]])
    assert not signed_distances(classes, 2).any()


def test_terms_add_up_and_average_over_chosen_classes() -> None:
    terms = (
        SegmentationTerm("cross_entropy", 0.5),
        SegmentationTerm("dice", 2.0, only=(1, 2)),
        SegmentationTerm("dice", 1.0, only=(0,)),
    )
    losses = by_kind(terms, LOGITS, CLASSES, WEIGHT)
    plain = {kind: float(LOSSES[kind](LOGITS, CLASSES, WEIGHT)) for kind in KINDS}
    # Logits are made float32.
    expected = {"cross_entropy": 0.5 * plain["cross_entropy"]}
    each = [float(LOSSES["dice"](LOGITS, CLASSES, WEIGHT, only=(k,))) for k in range(K)]
    expected["dice"] = each[1] + each[2] + each[0]
    found = {kind: float(loss) for kind, loss in losses.items()}
    assert found == pytest.approx(expected, rel=1e-6)
    assert plain["dice"] == pytest.approx(np.mean(each))
    summed = float(total(terms, LOGITS, CLASSES, WEIGHT))
    assert summed == pytest.approx(sum(expected.values()), rel=1e-6)


def test_weights_name_the_terms() -> None:
    weights = SegmentationWeights(cross_entropy=0.0, dice=1.0, focal=3.0, gamma=1.0)
    again = SegmentationWeights(**json.loads(json.dumps(asdict(weights))))
    assert again.terms == (
        SegmentationTerm("dice", 1.0, 1.0),
        SegmentationTerm("focal", 3.0, 1.0),
    )
    check_weights(weights)
    with pytest.raises(InputError, match="boundary"):
        SegmentationWeights(boundary=-1.0)


def test_what_does_not_fit_is_refused() -> None:
    terms = (SegmentationTerm("dice"),)
    with pytest.raises(InputError, match=r"'hinge'.*cross_entropy, dice"):
        SegmentationTerm("hinge")
    with pytest.raises(InputError, match=r"only"):
        SegmentationTerm("dice", only=())
    with pytest.raises(InputError, match=r"classes \(2, 9, 11\), got \(2, 9, 10\)"):
        total(terms, LOGITS, CLASSES[..., :-1])
    with pytest.raises(InputError, match=r"weights \(2, 1, 9, 11\), got \(2, 9, 11\)"):
        total(terms, LOGITS, CLASSES, WEIGHT[:, 0])
    with pytest.raises(InputError, match=r"int64, got torch\.int32"):
        total(terms, LOGITS, CLASSES.int())
    with pytest.raises(InputError, match="-1 to 2 for 2 channels"):
        total(terms, LOGITS[:, :2], CLASSES)
    with pytest.raises(InputError, match=r"\[5\]"):
        total((SegmentationTerm("dice", only=(5,)),), LOGITS, CLASSES)
