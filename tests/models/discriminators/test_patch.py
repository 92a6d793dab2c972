from __future__ import annotations

import pytest
import torch
from references import recorded, reference_network

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.patch import build
from napari_tincture.models.registry import build_network

NOISE = 2.3e-6
"""What float32 and float64 runs of the published implementation differ by."""


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 2_764_737), ({"in_channels": 6, "norm": "batch"}, 2_768_705), ({"n_layers": 5}, None)],
)
def test_published_sizes(options: dict, count: int | None) -> None:
    with torch.device("meta"):
        network = build(**options)
        channels = options.get("in_channels", 3)
        scores = network(torch.empty(1, channels, 256, 256))
    side = 256 // 2 ** options.get("n_layers", 3) - 2
    assert scores.shape == (1, 1, side, side)
    widest = max(p.shape[0] for p in network.parameters())
    assert widest == 512
    if count is not None:
        assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("name", ["D_A", "D_B"])
def test_a_published_checkpoint_gives_the_published_scores(name: str) -> None:
    arrays = recorded("cyclegan_tiny_resnet9")
    file = f"cyclegan_tiny_resnet9/latest_net_{name}.pth"
    network = reference_network(file, "patch", "discriminators", ndf=8)
    with torch.inference_mode():
        found = network(arrays["x"])
    torch.testing.assert_close(found, arrays[name], rtol=0, atol=10 * NOISE)


def test_a_published_conditional_checkpoint_gives_the_published_scores() -> None:
    arrays = recorded("pix2pix_tiny_unet256")
    network = reference_network(
        "pix2pix_tiny_unet256/latest_net_D.pth", "patch", "discriminators",
        in_channels=6, ndf=8, norm="batch",
    ).eval()  # fmt: skip
    with torch.inference_mode():
        found = network(torch.cat([arrays["x"], arrays["y_eval"]], dim=1))
    expected = arrays["D_eval_on_x_and_y_eval"]
    torch.testing.assert_close(found, expected, rtol=0, atol=10 * NOISE)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_biases_follow_the_norm(norm: str) -> None:
    with torch.device("meta"):
        state = build(norm=norm).state_dict()
    kernels = {key for key, value in state.items() if value.dim() == 4}
    assert kernels == {f"model.{i}.weight" for i in (0, 2, 5, 8, 11)}
    assert ("model.2.bias" in state) == (norm == "instance")
    assert {"model.0.bias", "model.11.bias"} <= state.keys()


@pytest.mark.parametrize("name", ["patch", "pixel", "multiscale_patch"])
def test_scores_are_not_squashed(name: str) -> None:
    options = {"ndf": 2}
    network = build_network(name, options, "discriminators")
    image = torch.randn(1, 3, 64, 64)
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.out_channels == 1]
    with torch.no_grad():
        before = network(image)
        for convolution in last:
            convolution.bias += 5
        after = network(image)
    for a, b in zip(after, before, strict=True):
        torch.testing.assert_close(a, b + 5)


@pytest.mark.parametrize("options", [{"n_layers": 0}, {"ndf": 0}, {"norm": "layer"}])
def test_impossible_options_are_refused(options: dict) -> None:
    with pytest.raises(ModelError):
        build(**options)
