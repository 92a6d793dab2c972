from __future__ import annotations

import torch

from napari_tincture.training.labels.labelling import Labelling
from napari_tincture.training.labels.shown import shown_labels


def test_classes_are_one_hot_and_nothing_where_there_is_no_label() -> None:
    labels = torch.tensor([[[[0.0, 2.0], [-1.0, 1.0]]]])
    for target, given in (("classes", labels), ("borders", torch.cat([labels, labels], 1))):
        maps, known = shown_labels(given, Labelling(target), 3)  # type: ignore[arg-type]
        assert known.tolist() == [[[[1, 1], [0, 1]]]]
        assert maps[0].tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [0, 0]]]


def test_maps_of_objects_are_shown_as_they_are() -> None:
    given = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = given.clone()
    given[0, :, 1] = torch.nan
    expected[0, :, 1] = 0
    maps, known = shown_labels(given, Labelling("instances"), 3)
    assert torch.equal(maps, expected)
    assert torch.equal(known, given[:, :1].isfinite().float())
