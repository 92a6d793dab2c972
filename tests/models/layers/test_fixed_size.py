from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.fixed_size import (
    FixedSize,
    blanks,
    find_held,
    fixed_parts,
    holding,
    reduced,
    trained_side,
    values_to_hold,
)


class TwoParts(nn.Module):
    """Adds to an image what two fully connected layers say of it, halved twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = FixedSize(4, 16, 2, nn.Linear(32, 2))
        self.second = FixedSize(4, 16, 2, nn.Linear(32, 2))

    def forward(self, x: Tensor) -> Tensor:
        small = nn.functional.avg_pool2d(x, 4)
        # Not in module order.
        added = 3 * self.second(small) + self.first(small)
        return x + added[:, :, None, None]


@pytest.fixture
def network() -> TwoParts:
    torch.manual_seed(0)
    return TwoParts().eval().requires_grad_(False)


def test_held_values_make_any_size_work(network: TwoParts) -> None:
    image = torch.rand(2, 2, 16, 16)
    values = find_held(network, image)
    assert [tuple(v.shape) for v in values] == [(2, 2), (2, 2)]
    with holding(network, values):
        part = network(image[:, :, 4:12, :12])
    torch.testing.assert_close(part, network(image)[:, :, 4:12, :12])


def test_one_image_s_values_serve_all_its_tiles(network: TwoParts) -> None:
    image = torch.rand(1, 2, 16, 16)
    with holding(network, find_held(network, image)):
        tiles = network(torch.cat([image[..., :8], image[..., 8:]]))
    torch.testing.assert_close(torch.cat(tiles.chunk(2), -1), network(image))


def test_the_size_is_named_where_nothing_is_held(network: TwoParts) -> None:
    with pytest.raises(ModelError, match=r"16 × 16 pixels, got 8 × 20.*napari_tincture\.stain"):
        network(torch.rand(1, 2, 8, 20))


def test_what_was_held_before_is_restored(network: TwoParts) -> None:
    outer = blanks(network)
    with holding(network, outer):
        with (
            pytest.raises(KeyError),
            holding(network, find_held(network, torch.rand(1, 2, 16, 16))),
        ):
            raise KeyError
        assert [part.held for part in fixed_parts(network)] == [*outer]
    assert all(part.held is None for part in fixed_parts(network))


def test_held_values_are_found_by_computing_even_while_others_are_held(network: TwoParts) -> None:
    image = torch.rand(1, 2, 16, 16)
    expected = find_held(network, image)
    with holding(network, blanks(network)):
        torch.testing.assert_close(find_held(network, image), expected, rtol=0, atol=0)


def test_a_wrong_number_of_values_is_refused(network: TwoParts) -> None:
    with pytest.raises(ModelError, match="1 fixed parts, the network has 2"):
        holding(network, blanks(network)[:1]).__enter__()


def test_nothing_is_held_at_the_trained_size_or_without_fixed_parts(network: TwoParts) -> None:
    assert trained_side(network) == 16
    assert values_to_hold(network, torch.rand(1, 2, 16, 16)) is None
    assert trained_side(nn.Identity()) is None
    assert values_to_hold(nn.Identity(), torch.rand(1, 2, 5, 16)) is None


def test_held_values_are_no_part_of_the_weights(network: TwoParts) -> None:
    with holding(network, blanks(network)):
        assert list(network.state_dict()) == list(TwoParts().state_dict())
        assert fixed_parts(copy.deepcopy(network))[0].held is not None


def test_reduction_keeps_means_and_does_not_alias() -> None:
    stripes = torch.zeros(1, 1, 96, 96)
    stripes[..., ::2] = 1
    small = reduced(stripes, 16)
    assert small.shape == (1, 1, 16, 16)
    assert (small[..., 1:-1] - 0.5).abs().max() < 0.06
    torch.testing.assert_close(reduced(stripes, 96), stripes)
