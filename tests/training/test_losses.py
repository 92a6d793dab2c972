from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from napari_tincture.errors import InputError
from napari_tincture.training import losses
from napari_tincture.training.losses import LossTerm, total

RNG = np.random.default_rng(0)
A = RNG.random((2, 3, 20, 24))
B = 0.5 * A + 0.5 * RNG.random((2, 3, 20, 24))


def value(name: str, a: np.ndarray = A, b: np.ndarray = B) -> float:
    return float(losses.LOSSES[name](torch.from_numpy(a), torch.from_numpy(b)))


def test_l1_and_mse() -> None:
    assert value("l1") == pytest.approx(np.abs(A - B).mean())
    assert value("mse") == pytest.approx(((A - B) ** 2).mean())


def test_pearson_is_numpys_per_channel() -> None:
    expected = [np.corrcoef(A[:, c].ravel(), B[:, c].ravel())[0, 1] for c in range(3)]
    # The stabiliser under the root is 1e-8 beside sums of some ten.
    assert value("pearson") == pytest.approx(1 - np.mean(expected), abs=1e-8)


def test_ssim_is_scikit_images() -> None:
    expected = [
        structural_similarity(a, b, data_range=1.0)
        for a, b in zip(A.reshape(-1, 20, 24), B.reshape(-1, 20, 24), strict=True)
    ]
    assert value("ssim") == pytest.approx(1 - np.mean(expected), abs=1e-9)


def test_bce_and_dice_take_logits() -> None:
    logits = 4 * A - 2
    p = 1 / (1 + np.exp(-logits))
    expected = -(B * np.log(p) + (1 - B) * np.log(1 - p)).mean()
    assert value("bce", logits) == pytest.approx(expected)
    axes = (0, 2, 3)
    dice = (2 * (p * B).sum(axes) + 1) / ((p**2).sum(axes) + (B**2).sum(axes) + 1)
    assert value("dice", logits) == pytest.approx((1 - dice).mean())


def test_cross_entropy_of_soft_classes() -> None:
    target = B / B.sum(1, keepdims=True)
    softmax = np.exp(A) / np.exp(A).sum(1, keepdims=True)
    assert value("cross_entropy", A, target) == pytest.approx(
        -(target * np.log(softmax)).sum(1).mean()
    )


@pytest.mark.parametrize("name", ["l1", "mse", "pearson", "ssim"])
def test_no_loss_where_nothing_differs(name: str) -> None:
    assert value(name, A, A) == pytest.approx(0, abs=1e-8)


def test_terms_are_weighted_and_see_their_channels() -> None:
    terms = (LossTerm("l1", 2.0, (0, 2)), LossTerm("mse", 3.0))
    expected = 2 * value("l1", A[:, [0, 2]], B[:, [0, 2]]) + 3 * value("mse")
    found = float(total(terms, torch.from_numpy(A), torch.from_numpy(B)))
    assert found == pytest.approx(expected, rel=1e-6)


def test_unknown_losses_are_refused() -> None:
    with pytest.raises(InputError, match=r"'hinge'.*l1, mse"):
        LossTerm("hinge")
