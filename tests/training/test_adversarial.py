from __future__ import annotations

import math

import pytest
import torch

from napari_tincture.errors import InputError
from napari_tincture.training.adversarial import adversarial, hinge, hinge_fooled

SCORES = torch.tensor([[3.0, -1.0]])


def test_least_squares_of_raw_scores() -> None:
    assert float(adversarial(SCORES, real=True)) == pytest.approx((4 + 4) / 2)
    assert float(adversarial(SCORES, real=False)) == pytest.approx((9 + 1) / 2)


def test_cross_entropy_of_logits() -> None:
    real = sum(math.log1p(math.exp(-s)) for s in (3.0, -1.0)) / 2
    fake = sum(math.log1p(math.exp(s)) for s in (3.0, -1.0)) / 2
    assert float(adversarial(SCORES, real=True, game="vanilla")) == pytest.approx(real)
    assert float(adversarial(SCORES, real=False, game="vanilla")) == pytest.approx(fake)


def test_scales_count_alike_whatever_their_size() -> None:
    scales = [torch.full((1, 1, 8, 8), 3.0), torch.zeros(1, 1, 2, 2)]
    assert float(adversarial(scales, real=True)) == pytest.approx((4 + 1) / 2)


def test_an_unknown_game_is_refused() -> None:
    with pytest.raises(InputError, match="lsgan"):
        adversarial(SCORES, real=True, game="wgan")


def test_the_hinge_game_ends_at_scores_of_one() -> None:
    assert float(hinge(SCORES, real=True)) == pytest.approx((0 + 2) / 2)
    assert float(hinge(SCORES, real=False)) == pytest.approx((4 + 0) / 2)
    assert float(hinge_fooled(SCORES)) == pytest.approx(-1)
    scales = [torch.full((1, 1, 8, 8), 3.0), torch.zeros(1, 1, 2, 2)]
    assert float(hinge(scales, real=True)) == pytest.approx((0 + 1) / 2)
    assert float(hinge(scales, real=False)) == pytest.approx((4 + 1) / 2)
    assert float(hinge_fooled(scales)) == pytest.approx(-1.5)
