from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.discriminators import multiscale_patch, patch
from napari_tincture.training.losses import l1
from napari_tincture.training.pairs_loss import (
    feature_loss,
    pair_losses,
    pair_of,
    weighted_l1,
)


@dataclass(frozen=True)
class Both:
    pair_l1: float = 2.0
    pair_features: float = 3.0


def images() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 3, 32, 32, requires_grad=True), torch.randn(2, 3, 32, 32)


def test_features_are_activations_of_every_layer() -> None:
    made, target = images()
    judge = patch.build(ndf=2, n_layers=2)
    first, rest = judge.model[:2], judge.model[2:5]
    last = judge.model[5:8]
    stages = [(first(made), first(target))]
    for stage in (rest, last):
        stages.append((stage(stages[-1][0]), stage(stages[-1][1])))
    expected = torch.stack([l1(a, b) for a, b in stages]).mean()
    torch.testing.assert_close(feature_loss(judge, made, target), expected)
    assert not any(module._forward_hooks for module in judge.modules())


def test_losses_are_weighted_named_and_averaged_over_discriminators() -> None:
    made, target = images()
    judges = [patch.build(ndf=2, n_layers=2), multiscale_patch.build(ndf=2, n_layers=2)]
    losses = pair_losses("A", made, target, judges, Both())
    assert losses.keys() == {"pair_A", "pair_features_A"}
    torch.testing.assert_close(losses["pair_A"], 2 * l1(made, target))
    terms = [feature_loss(judge, made, target) for judge in judges]
    torch.testing.assert_close(losses["pair_features_A"], 3 * torch.stack(terms).mean())
    losses["pair_features_A"].backward()
    assert bool(made.grad.abs().sum() > 0)
    assert pair_losses("A", made, target, judges, Both(0, 0)) == {}


def test_weights_of_pixels() -> None:
    made, target = images()
    ones = torch.ones(2, 1, 32, 32)
    torch.testing.assert_close(weighted_l1(made, target, ones), l1(made, target))
    half = ones.clone()
    half[..., 16:] = 0
    expected = l1(made[..., :16], target[..., :16])
    torch.testing.assert_close(weighted_l1(made, target, half), expected)
    torch.testing.assert_close(weighted_l1(made, target, 5 * half), expected)
    assert not weighted_l1(made, target, 0 * ones).any()
    with pytest.raises(InputError, match="pixel weights"):
        weighted_l1(made, target, ones[:1])


def test_half_a_pair_is_refused() -> None:
    made, target = images()
    assert pair_of({"a": made}) is None
    with pytest.raises(InputError, match="pair_b"):
        pair_of({"pair_a": made})
    with pytest.raises(InputError, match="one size"):
        pair_of({"pair_a": made, "pair_b": target[:, :, :8]})


def test_a_discriminator_without_known_activations_is_refused() -> None:
    with pytest.raises(ModelError, match="pair_features"):
        feature_loss(nn.Conv2d(3, 1, 3), *images())
