from __future__ import annotations

import pytest
import torch
from norms import with_statistics
from torch.nn import functional as F

from napari_tincture.errors import ModelError
from napari_tincture.models.encoders.vgg_bn import build

PLACES = ((0, 3), (7, 10), (14, 17, 20), (24, 27, 30), (34, 37, 40))
"""Of the convolutions among torchvision's layers, by block; a norm follows each."""


def test_the_published_network_but_its_classifier() -> None:
    with torch.device("meta"):
        network = build()
    linear = ((25088, 4096), (4096, 4096), (4096, 1000))
    classifier = sum(a * b + b for a, b in linear)
    assert sum(p.numel() for p in network.parameters()) == 138_365_992 - classifier
    torch.manual_seed(0)
    small = with_statistics(build(width=2)).double()
    state = small.state_dict()
    x = torch.randn(1, 3, 32, 16, dtype=torch.float64)
    with torch.no_grad():
        found = small(x)
        for number, block in enumerate(PLACES):
            x = F.max_pool2d(x, 2) if number else x
            for place in block:
                names = ("running_mean", "running_var", "weight", "bias")
                norm = [state.pop(f"features.{place + 1}.{name}") for name in names]
                conv = [state.pop(f"features.{place}.{name}") for name in ("weight", "bias")]
                x = F.batch_norm(F.conv2d(x, *conv, padding=1), *norm).relu()
            # float64 rounding, through 13 layers.
            torch.testing.assert_close(found[number], x, rtol=1e-10, atol=1e-10)
    assert all(key.endswith("num_batches_tracked") for key in state)
    assert small.channels == (2, 4, 8, 16, 16)
    assert small.strides == (1, 2, 4, 8, 16)


def test_too_deep_is_refused() -> None:
    with pytest.raises(ModelError, match="1 to 4"):
        build(depth=5)
