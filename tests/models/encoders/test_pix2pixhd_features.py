from __future__ import annotations

import pytest
import torch

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.encoders.pix2pixhd_features import build, instance_means


def test_features_are_means_over_the_instances_of_each_image() -> None:
    torch.manual_seed(0)
    features, instances = torch.randn(2, 3, 8, 6), torch.randint(0, 4, (2, 1, 8, 6)) * 1000
    found = instance_means(features, instances)
    for image, result, own in zip(features, found, instances[:, 0], strict=True):
        for instance in own.unique():
            place = own == instance
            expected = image[:, place].mean(1, keepdim=True).expand(-1, int(place.sum()))
            torch.testing.assert_close(result[:, place], expected)


def test_gradients_reach_every_pixel() -> None:
    features = torch.randn(1, 1, 4, 4, requires_grad=True)
    instances = torch.zeros(1, 1, 4, 4)
    instances[..., 2:] = 5
    instance_means(features, instances)[0, 0, 0, 0].backward()
    assert features.grad is not None
    torch.testing.assert_close(features.grad[0, 0], (instances[0, 0] == 0) / 8)


def test_keys_and_size() -> None:
    with torch.device("meta"):
        network = build()
    state = network.state_dict()
    assert state["model.1.weight"].shape == (16, 3, 7, 7)
    assert state["model.13.weight"].shape == (256, 128, 3, 3)
    assert state["model.16.weight"].shape == (256, 128, 3, 3)
    assert state["model.29.weight"].shape == (3, 16, 7, 7)
    small = build(out_channels=2, nef=2, n_downsample_E=1)
    result = small(torch.zeros(1, 3, 8, 12), torch.zeros(1, 1, 8, 12))
    assert result.shape == (1, 2, 8, 12)


def test_instances_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(1, 1, 8, 8\), got \(1, 1, 8, 4\)"):
        instance_means(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 4))
    with pytest.raises(ModelError, match="nef"):
        build(nef=0)
