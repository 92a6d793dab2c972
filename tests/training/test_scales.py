from __future__ import annotations

import torch

from napari_tincture.models.discriminators.multiscale import build
from napari_tincture.training.scales import feature_differences, feature_matching, scores_of, summed
from napari_tincture.training.together import together


def test_scales_come_together_as_they_come_apart() -> None:
    torch.manual_seed(0)
    network = build(3, ndf=2, n_layers=1)
    images = torch.randn(1, 3, 16, 16), torch.randn(2, 3, 16, 16)
    for joined, image in zip(together(network, *images), images, strict=True):
        alone = network(image)
        assert [len(maps) for maps in joined] == [3, 3]
        for maps, expected in zip(joined, alone, strict=True):
            for a, b in zip(maps, expected, strict=True):
                torch.testing.assert_close(a, b)


def test_losses_over_scales() -> None:
    fake = [[torch.full((1, 2, 4, 4), v), torch.full((1, 1, 2, 2), v)] for v in (0.0, 2.0)]
    real = [[maps[0] + 3, maps[1]] for maps in fake]
    assert summed(fake, real=True).item() == 1 + 1
    assert summed(fake, real=False).item() == 0 + 4
    assert feature_matching(fake, real).item() == 4 * 3
    assert [[d.item() for d in maps] for maps in feature_differences(fake, real)] == [[3], [3]]
    assert [scores.mean().item() for scores in scores_of(fake)] == [0, 2]


def test_features_of_real_images_are_goals() -> None:
    features = torch.zeros(2, 1, 1, 2, 2, requires_grad=True)
    feature_matching([[features[0], features[0]]], [[features[1] + 1, features[1]]]).backward()
    assert features.grad is not None
    assert bool(features.grad[0].any())
    assert not bool(features.grad[1].any())
