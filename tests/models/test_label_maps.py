from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tincture.errors import InputError
from napari_tincture.models.label_maps import instance_edges, label_channels, one_hot

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


@pytest.mark.parametrize("values", [[0, 3], [-1, 2]])
def test_labels_beyond_the_classes_are_named(values: list[int]) -> None:
    with pytest.raises(InputError, match=f"from 0 to 2, got {values[0]} to {values[1]}"):
        one_hot(torch.tensor(values).reshape(1, 1, 1, 2), 3)


def test_label_maps_have_one_channel() -> None:
    with pytest.raises(InputError, match=r"\(b, 1, y, x\)"):
        one_hot(torch.zeros(1, 2, 4, 4), 3)
