from __future__ import annotations

from pathlib import Path

import pytest
import torch
from norms import with_statistics
from safetensors.torch import save_file
from torch import Tensor

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import architecture_names
from napari_tincture.models.networks import encoder_unet, unet
from napari_tincture.models.pretrained import adapt_channels, build_encoder, load_encoder


def published(name: str = "resnet18") -> dict[str, Tensor]:
    """A file like torchvision's, narrow, with a classifier and without counts of batches."""
    torch.manual_seed(0)
    state = with_statistics(build_encoder(name, in_channels=3, width=4)).state_dict()
    head = {"fc.weight": torch.ones(2, 2), "classifier.0.bias": torch.ones(2)}
    kept = {key: value for key, value in state.items() if "num_batches" not in key}
    return kept | dict([list(head.items())[name == "vgg16_bn"]])


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "vgg16_bn"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_users_file_fills_the_encoder_and_nothing_else(
    name: str, suffix: str, tmp_path: Path
) -> None:
    state = published(name)
    file = tmp_path / f"weights{suffix}"
    torch.save(state, file) if suffix == ".pth" else save_file(state, file)
    network = encoder_unet.build(3, 1, name, depth=3, width=2, encoder_width=4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_encoder(network, file)
    for key, value in network.state_dict().items():
        expected = state.get(key.removeprefix("encoder."), before[key])
        assert torch.equal(value, expected), key


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_a_grey_image_gives_the_same_with_any_number_of_channels(
    channels: int, tmp_path: Path
) -> None:
    state = published()
    torch.save(state, tmp_path / "weights.pth")
    colour, other = (build_encoder("resnet18", in_channels=n, width=4) for n in (3, channels))
    for network in (colour, other):
        load_encoder(network.eval(), tmp_path / "weights.pth")
    grey = torch.randn(1, 1, 32, 32, dtype=torch.float64)
    colour.double()
    other.double()
    expected = colour(grey.expand(-1, 3, -1, -1))
    for one, two in zip(other(grey.expand(-1, channels, -1, -1)), expected, strict=True):
        # Kernels are adapted in float32.
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_kernels_of_colours_are_kept() -> None:
    weight = torch.randn(4, 3, 7, 7)
    assert torch.equal(adapt_channels(weight, 3), weight)
    assert torch.equal(adapt_channels(weight, 1), weight.sum(1, keepdim=True))
    assert torch.equal(adapt_channels(weight, 6), torch.cat([weight, weight], 1) / 2)
    four = torch.stack([weight[:, 0] / 2, weight[:, 1], weight[:, 2], weight[:, 0] / 2], 1)
    assert torch.equal(adapt_channels(weight, 4), four)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    network, file = build_encoder("resnet18", width=4), tmp_path / "weights.pth"
    with pytest.raises(InputError, match=r"no file .*weights\.pth"):
        load_encoder(network, file)
    state = published()
    key = "layer2.0.downsample.0.weight"
    torch.save({k: v for k, v in state.items() if k != key}, file)
    with pytest.raises(ModelError, match=rf"{key}: file lacks it, network \(8, 4, 1, 1\)"):
        load_encoder(network, file)
    torch.save({**state, key: torch.ones(8, 4, 3, 3)}, file)
    with pytest.raises(ModelError, match=rf"{key}: file \(8, 4, 3, 3\)"):
        load_encoder(network, file)
    torch.save(published("resnet34"), file)
    with pytest.raises(ModelError, match=r"layer1\.2\..* network lacks it"):
        load_encoder(network, file)
    with pytest.raises(ModelError, match=r"UNet has no encoder.*resnet34"):
        load_encoder(unet.build(**unet.SMALL), file)


def test_encoders_are_known_by_name() -> None:
    with pytest.raises(ModelError, match=r"'resnet50'.*resnet34"):
        build_encoder("resnet50")
    with pytest.raises(ModelError, match="residual"):
        build_encoder("resnet18", residual=True)
    assert not {"pretrained", "pyramid", "unet_blocks"} & set(architecture_names())
