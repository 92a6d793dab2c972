from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models import model_of
from published_maps import label_channels
from references import recorded
from torch.nn import functional as F

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.encoders.spade_style import drawn_styles
from napari_tincture.models.layers.spade_norm import SpadeNorm, shrunk
from napari_tincture.models.networks.spade import SMALL, SpadeGenerator, build
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network
from napari_tincture.tiling.reach import reach_of

DATA = Path(__file__).parents[2] / "data"
NOISE = 3.74e-6
"""What float32 and float64 runs of the published implementation differ by."""


def styled(**options: object) -> SpadeGenerator:
    torch.manual_seed(0)
    return build(**{**SMALL, "use_vae": True, "crop_size": 128, **options}).eval()


def test_published_size() -> None:
    with torch.device("meta"):
        network = build(151)
    assert sum(p.numel() for p in network.parameters()) == 96_492_483


def test_a_published_checkpoint_gives_the_published_numbers() -> None:
    network = build(7, ngf=2).eval()
    file = DATA / "spade_tiny_normal" / "latest_net_G.pth"
    fill_network(network, read_checkpoint(file), file.name)
    arrays = recorded("spade_tiny_normal")
    maps = label_channels(arrays["label"], 6, arrays["instance"])
    torch.testing.assert_close(maps[:1], arrays["input_semantics"].float(), rtol=0, atol=0)
    with torch.inference_mode():
        result = network(maps).numpy()
    np.testing.assert_allclose(result, arrays["G_eval"], rtol=0, atol=10 * NOISE)


@pytest.mark.parametrize("factor", [1, 2, 32, 128])
def test_label_maps_are_reduced_as_torch_does_and_from_windows_as_from_the_whole(
    factor: int,
) -> None:
    maps = torch.rand(1, 2, 2 * factor, 3 * factor)
    small = shrunk(maps, factor)
    assert torch.equal(small, F.interpolate(maps, (2, 3), mode="nearest"))
    assert torch.equal(shrunk(maps[..., factor:], factor), small[..., 1:])


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_the_label_map_scales_and_shifts_what_is_normalised(norm: str) -> None:
    torch.manual_seed(0)
    layer = SpadeNorm(3, 2, hidden=4, kernel=5, norm=norm)  # type: ignore[arg-type]
    x, maps = torch.randn(2, 3, 8, 8), torch.rand(2, 2, 32, 32)
    axes = (0, 2, 3) if norm == "batch" else (2, 3)
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    seen = F.relu(layer.mlp_shared[0](maps[:, :, ::4, ::4]))
    scale, shift = layer.mlp_gamma(seen), layer.mlp_beta(seen)
    expected = (x - mean) / (variance + 1e-5).sqrt() * (1 + scale) + shift
    torch.testing.assert_close(layer(x, maps), expected)


@pytest.mark.parametrize(("kind", "stride"), [("normal", 32), ("more", 64), ("most", 128)])
def test_layers_and_stride_follow_from_the_number_of_doublings(kind: str, stride: int) -> None:
    network = build(**{**SMALL, "num_upsampling_layers": kind}).eval()
    blocks = {name for name, _ in network.named_children()} - {"fc", "conv_img"}
    assert ("up_4" in blocks, len(blocks)) == (kind == "most", 7 + (kind == "most"))
    assert network.stride == stride
    assert reach_of(model_of(network, 2, 3)).geometry.stride == stride
    with torch.inference_mode():
        assert network(torch.rand(1, 2, stride, 2 * stride)).shape == (1, 3, stride, 2 * stride)
    with pytest.raises(InputError, match=f"multiples of {stride}, got"):
        network(torch.rand(1, 2, stride + 16, stride))


def test_a_given_style_begins_with_its_map_at_the_published_size() -> None:
    network = styled(aspect_ratio=2.0)
    z, maps = drawn_styles(3, seed=1), torch.rand(1, 2, 64, 128)
    assert network.fc.weight.shape == (32 * 2 * 4, 3)
    seen = []
    network.head_0.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        network(maps, z)
        network(maps.transpose(2, 3), z)
        network.style = z
        network(maps)
    published = F.linear(z, network.fc.weight, network.fc.bias).view(1, 32, 2, 4)
    torch.testing.assert_close(seen[0], published, rtol=0, atol=0)
    spread = published.mean((2, 3), keepdim=True)
    torch.testing.assert_close(seen[1], spread.expand(1, 32, 4, 2))
    torch.testing.assert_close(seen[2], spread.expand(1, 32, 2, 4))


def test_styles_change_images_and_are_no_weights() -> None:
    network = styled(crop_size=32)
    maps, keys = torch.rand(2, 2, 64, 64), list(network.state_dict())
    with torch.inference_mode():
        plain = network(maps)
        torch.testing.assert_close(network(maps, torch.zeros(1, 3)), plain, rtol=0, atol=0)
        z = drawn_styles(3, seed=2, count=2)
        both = network(maps, z)
        for each in range(2):
            network.style = z[each : each + 1]
            # The same numbers but for the order of sums in a batch.
            torch.testing.assert_close(network(maps)[each], both[each], rtol=0, atol=1e-4)
    assert not torch.allclose(both, plain, atol=1e-3)
    assert list(network.state_dict()) == keys


def test_in_training_styles_are_drawn() -> None:
    network, maps = styled().train(), torch.rand(2, 2, 64, 64)
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(network._style(len(maps)))
    assert draws[0].shape == (2, 3)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_styles_of_another_network_are_refused() -> None:
    maps = torch.rand(1, 2, 32, 32)
    with pytest.raises(InputError, match=r"\(b, 3\), got shape \(1, 4\)"):
        styled()(maps, torch.zeros(1, 4))
    with pytest.raises(InputError, match="use_vae=False"):
        build(**SMALL)(maps, torch.zeros(1, 3))


@pytest.mark.parametrize(
    "options",
    [
        {"ngf": 0}, {"kernel": 4}, {"norm": "group"}, {"num_upsampling_layers": "all"},
        {"ngf": 1, "num_upsampling_layers": "most"}, {"use_vae": True, "crop_size": 16},
        {"use_vae": True, "aspect_ratio": 0.0},
    ],
)  # fmt: skip
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        build(**{**SMALL, **options})
