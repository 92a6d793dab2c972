from __future__ import annotations

import torch

from napari_tincture.training.labels.one_hot import one_hot


def test_every_pixel_is_of_one_class_or_of_none() -> None:
    labels = torch.randint(-1, 4, (2, 1, 5, 6), generator=torch.Generator().manual_seed(0))
    for given in (labels, labels.float()):
        maps = one_hot(given, 4)
        assert maps.dtype == torch.float32
        assert maps.shape == (2, 4, 5, 6)
        found = torch.where(maps.amax(1) > 0, maps.argmax(1), -1)
        assert torch.equal(found, labels[:, 0])
        assert torch.equal(maps.sum(1), (labels[:, 0] >= 0).float())
