from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from published_maps import label_channels

from napari_tincture.models.label_maps import instance_edges, one_hot

DATA = Path(__file__).parents[1] / "data"


def test_channels_are_the_published_ones() -> None:
    recorded = np.load(DATA / "pix2pixhd_tiny_global.npz")
    labels, instances = (torch.from_numpy(recorded[name]) for name in ("label", "inst"))
    found = label_channels(labels, 5, instances)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), recorded["input_label"])
    np.testing.assert_array_equal(label_channels(labels, 5).numpy(), recorded["input_label"][:, :5])


def test_edges_lie_on_both_sides() -> None:
    instances = torch.tensor([[[[7, 7, 7, 7], [7, 7, 7, 9], [7, 7, 9, 9]]]])
    expected = [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 0]]
    assert instance_edges(instances).tolist() == [[expected]]
    assert instance_edges(torch.full((2, 1, 1, 1), 3)).tolist() == [[[[0]]], [[[0]]]]


def test_every_pixel_is_of_one_class_or_of_none() -> None:
    labels = torch.randint(-1, 4, (2, 1, 5, 6), generator=torch.Generator().manual_seed(0))
    for given in (labels, labels.float()):
        maps = one_hot(given, 4)
        assert maps.dtype == torch.float32
        assert maps.shape == (2, 4, 5, 6)
        found = torch.where(maps.amax(1) > 0, maps.argmax(1), -1)
        assert torch.equal(found, labels[:, 0])
        assert torch.equal(maps.sum(1), (labels[:, 0] >= 0).float())
