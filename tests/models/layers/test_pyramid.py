from __future__ import annotations

import pytest
import torch

from napari_tincture.models.layers.pyramid import Decoder
from napari_tincture.models.pretrained import build_encoder


@pytest.mark.parametrize("name", ["resnet18", "vgg16_bn"])
@pytest.mark.parametrize("skips", [True, False])
def test_a_decoder_takes_every_stride_or_the_last_alone(name: str, skips: bool) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(name, depth=3, width=4).eval()
    decoder = Decoder(encoder, 2, skips=skips).eval()
    with torch.no_grad():
        features = encoder(torch.randn(1, 3, 16, 24))
        result = decoder(features)
        assert result.shape == (1, 2, 16, 24)
        for level in range(len(features)):
            other = [f * (n != level) for n, f in enumerate(features)]
            last = level == len(features) - 1
            assert torch.equal(decoder(other), result) == (not (skips or last))
