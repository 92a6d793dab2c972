from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_maps import label_channels
from references import recorded

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators import multiscale
from napari_tincture.models.discriminators.spade import build
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network

DATA = Path(__file__).parents[2] / "data"
NOISE = 3.74e-6
"""What float32 and float64 runs of the published implementation differ by."""


def test_a_published_checkpoint_gives_the_published_scores_and_features() -> None:
    network = build(10, ndf=4).eval()
    file = DATA / "spade_tiny_normal" / "latest_net_D.pth"
    fill_network(network, read_checkpoint(file), file.name)
    arrays = recorded("spade_tiny_normal")
    maps = label_channels(arrays["label"], 6, arrays["instance"])
    with torch.inference_mode():
        result = network(torch.cat([maps, arrays["G_eval"]], 1))
    assert [len(found) for found in result] == [5, 5]
    for scale, found in enumerate(result):
        expected = arrays[f"D{scale}_pred"].numpy()
        np.testing.assert_allclose(found[-1].numpy(), expected, rtol=0, atol=10 * NOISE)
        means = [values.abs().mean().item() for values in found]
        np.testing.assert_allclose(means, arrays[f"D{scale}_feat_absmean"], rtol=1e-5)


def test_without_spectral_norm_they_are_those_of_pix2pixhd() -> None:
    torch.manual_seed(0)
    other = multiscale.build(3, ndf=2, norm="instance").eval()
    network = build(3, ndf=2, spectral=False).eval()
    for scale in range(2):
        for depth, stage in enumerate(getattr(network, f"discriminator_{scale}").children()):
            source = getattr(other, f"scale{1 - scale}_layer{depth}")[0]
            own = next(m for m in stage.modules() if isinstance(m, torch.nn.Conv2d))
            own.weight.data.copy_(source.weight.data)
            # A bias before instance norm does nothing, and is not kept.
            source.bias.data.zero_()
            if own.bias is not None:
                own.bias.data.zero_()
    image = torch.randn(2, 3, 64, 80)
    for found, expected in zip(network(image), other(image), strict=True):
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("norm", "keys"),
    [
        ("instance", {"model1.0.0.weight_orig"}),
        ("batch", {"model1.0.0.weight_orig", "model1.0.1.weight", "model1.0.1.running_mean"}),
        ("none", {"model1.0.weight_orig", "model1.0.bias"}),
    ],
)
def test_keys_of_every_norm(norm: str, keys: set[str]) -> None:
    state = build(3, ndf=2, norm=norm).state_dict()  # type: ignore[arg-type]
    assert {f"discriminator_1.{key}" for key in keys} <= state.keys()
    assert "discriminator_1.model1.0.0.bias" not in state
    assert "discriminator_1.model0.0.weight" in state


def test_impossible_options_are_refused() -> None:
    for wrong in ({"num_D": 0}, {"n_layers": 1}, {"norm": "group"}):
        with pytest.raises(ModelError, match="num_D"):
            build(**wrong)  # type: ignore[arg-type]
