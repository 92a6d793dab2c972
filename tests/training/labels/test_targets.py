from __future__ import annotations

import numpy as np

from napari_tincture.instances import label_instances
from napari_tincture.training.labels.objects import mean_f1
from napari_tincture.training.labels.targets import instance_targets


def two_touching() -> np.ndarray:
    y, x = np.mgrid[:40, :60]
    labels = np.zeros((40, 60), np.int32)
    labels[(y - 20) ** 2 + (x - 20) ** 2 < 100] = 1
    labels[((y - 20) ** 2 + (x - 38) ** 2 < 100) & (labels == 0)] = 5
    return labels


def test_targets_lie_where_they_should() -> None:
    labels = two_touching()
    inside, border, depth = instance_targets(labels, border=2.0)
    np.testing.assert_array_equal(inside > 0, labels > 0)
    assert border[20, 29] == 1
    assert border[20, 15] == 0
    assert border[:, :24].sum() == 0
    assert depth.max() == 1
    assert depth[20, 20] > 0.9
    assert (depth[labels == 0] == 0).all()
    assert depth[20, 29] < 0.2


def test_perfect_maps_give_back_the_objects() -> None:
    labels = two_touching()
    found = label_instances(instance_targets(labels, border=2.0))
    assert mean_f1([(found, labels)])["f1"] == 1.0


def test_f1_by_hand() -> None:
    found = np.array([[1, 1, 0, 2], [1, 1, 0, 2]], np.int32)
    truth = np.array([[7, 7, 7, 0], [7, 7, 7, 0]], np.int32)
    figures = mean_f1([(found, truth)])
    assert figures["f1_50"] == 2 / 3
    assert figures["ap_50"] == 0.5
    np.testing.assert_allclose(figures["f1"], 4 / 10 * 2 / 3)


def test_nothing_found_where_nothing_is_counts_as_right() -> None:
    empty = np.zeros((4, 4), np.int32)
    some = np.eye(4, dtype=np.int32)
    assert mean_f1([(empty, empty)])["f1"] == 1.0
    assert mean_f1([(some, empty)])["f1"] == 0.0
    assert mean_f1([(empty, some)])["ap_50"] == 0.0
