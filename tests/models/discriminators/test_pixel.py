from __future__ import annotations

import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.pixel import build


@pytest.mark.parametrize(("norm", "biases"), [("instance", 3), ("batch", 2), ("none", 1)])
def test_published_keys(norm: str, biases: int) -> None:
    with torch.device("meta"):
        state = build(6, norm=norm).state_dict()
    shapes = {key: tuple(value.shape[:2]) for key, value in state.items() if value.dim() == 4}
    assert shapes == {
        "net.0.weight": (64, 6), "net.2.weight": (128, 64), "net.5.weight": (1, 128),
    }  # fmt: skip
    assert sum(key.endswith("bias") for key in state) == biases


def test_a_pixel_is_judged_by_its_own_colour() -> None:
    network = build(3, 4, "none")
    image = torch.randn(1, 3, 5, 7)
    before = network(image)
    image[0, :, 2, 3] += 1
    changed = (network(image) != before).nonzero()
    assert changed.tolist() == [[0, 0, 2, 3]]


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ModelError, match="ndf"):
        build(ndf=0)
