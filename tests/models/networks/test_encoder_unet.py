from __future__ import annotations

import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.encoder_unet import build


def test_heads() -> None:
    image = torch.randn(1, 3, 8, 8)
    options = {"depth": 2, "width": 2, "encoder_width": 2}
    plain, sigmoid, softmax = (
        build(3, 4, head=head, **options).eval() for head in ("none", "sigmoid", "softmax")
    )
    sigmoid.load_state_dict(plain.state_dict())
    softmax.load_state_dict(plain.state_dict())
    torch.testing.assert_close(sigmoid(image), torch.sigmoid(plain(image)))
    torch.testing.assert_close(softmax(image), torch.softmax(plain(image), 1))


def test_without_a_depth_the_whole_encoder_is_used() -> None:
    with torch.device("meta"):
        strides = {n: build(encoder=n).encoder.strides[-1] for n in ("resnet34", "vgg16_bn")}
    assert strides == {"resnet34": 32, "vgg16_bn": 16}


@pytest.mark.parametrize(
    ("options", "named"),
    [({"encoder": "resnet50"}, "resnet34"), ({"depth": 7}, "depth"), ({"head": "tanh"}, "softmax")],
)
def test_impossible_options_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        build(**options)
