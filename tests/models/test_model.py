from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models import Channel, Model, ModelCard, Normalisation


class Recorder(nn.Module):
    """Gives back what it is given, without `margin` pixels on each side."""

    def __init__(self, margin: int = 0) -> None:
        super().__init__()
        self.margin = margin
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        m = self.margin
        return x[:, :, m : x.shape[2] - m, m : x.shape[3] - m]


def model_of(network: nn.Module, **fields: object) -> Model:
    card = ModelCard(
        name="m",
        task="stain",
        architecture="unet",
        inputs=(Channel("a"), Channel("b")),
        outputs=(Channel("a"), Channel("b")),
    )
    return Model(network, card.replace(**fields))


def test_far_sides_are_mirrored_to_the_stride_and_cropped() -> None:
    network = Recorder()
    model = model_of(network, stride=8)
    image = torch.rand(1, 2, 17, 30)
    torch.testing.assert_close(model.predict(image), image)
    assert network.seen is not None
    expected = np.pad(image[0].numpy(), ((0, 0), (0, 7), (0, 2)), mode="reflect")
    np.testing.assert_array_equal(network.seen[0].numpy(), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2)])
def test_mirroring_repeats_where_the_image_is_small(shape: tuple[int, int]) -> None:
    network = Recorder()
    image = torch.rand(1, 2, *shape)
    torch.testing.assert_close(model_of(network, stride=16).predict(image), image)
    assert network.seen is not None
    sides = network.seen.shape[2:]
    assert all(side % 16 == 0 for side in sides)
    rows = [(0, side - n) for side, n in zip(sides, shape, strict=True)]
    expected = np.pad(image[0].numpy(), ((0, 0), *rows), mode="reflect")
    np.testing.assert_array_equal(network.seen[0].numpy(), expected)


def test_unpadded_networks_get_a_mirrored_margin_and_a_legal_size() -> None:
    network = Recorder(margin=5)
    model = model_of(network, stride=8, border="mirror", margin=5, residue=3)
    image = torch.rand(1, 2, 20, 26)
    torch.testing.assert_close(model.predict(image), image)
    assert network.seen is not None
    assert all(side % 8 == 3 for side in network.seen.shape[2:])
    before = network.seen[0, :, :25, :31].numpy()
    expected = np.pad(image[0].numpy(), ((0, 0), (5, 0), (5, 0)), mode="reflect")
    np.testing.assert_array_equal(before, expected)


def test_statistics_are_those_of_each_item_and_channel() -> None:
    model = model_of(Recorder(), normalisation=Normalisation("standard"))
    image = torch.randint(0, 9000, (3, 2, 12, 14), dtype=torch.int32)
    result = model.predict(image)
    exact = image.double()
    mean = exact.mean((2, 3), keepdim=True)
    spread = exact.std((2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(result, ((exact - mean) / spread).float(), rtol=1e-5, atol=1e-5)
    for item in range(3):
        alone = model.predict(image[item : item + 1])
        torch.testing.assert_close(alone[0], result[item], rtol=0, atol=0)


def test_given_statistics_are_used_for_a_part_of_the_image() -> None:
    model = model_of(Recorder(), normalisation=Normalisation("percentile", 1, 99, clip=(0, 1)))
    image = torch.rand(1, 2, 40, 40)
    stats = model.measure(image[0].numpy())
    part = model.predict(image[:, :, 8:16, 4:20], stats=stats)
    torch.testing.assert_close(part, model.predict(image)[:, :, 8:16, 4:20])
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        model.predict(image, stats=stats[:1])


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int16, torch.uint16, torch.float16, torch.bfloat16, torch.bool]
)
def test_any_real_dtype_is_taken(dtype: torch.dtype) -> None:
    image = torch.tensor([0, 1]).repeat(1, 2, 4, 2).to(dtype)
    result = model_of(Recorder()).predict(image)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, image.float())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(2, 8, 8), "3 dimensions"),
        (torch.zeros(1, 3, 8, 8), r"takes 2 channels \(a, b\), got 3"),
        (torch.zeros(1, 2, 8, 8, dtype=torch.complex64), "complex"),
        (torch.zeros(1, 2, 0, 8), "no pixels"),
        (np.zeros((1, 2, 8, 8)), "torch tensor"),
    ],
)
def test_other_input_is_refused(image: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        model_of(Recorder()).predict(image)


def test_the_network_is_put_in_inference_mode() -> None:
    network = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(2)).train()
    model = model_of(network)
    image = torch.rand(1, 2, 8, 8)
    first = model.predict(image)
    torch.testing.assert_close(model.predict(image), first, rtol=0, atol=0)
    assert not any(module.training for module in network.modules())
    assert int(network[1].num_batches_tracked) == 0
