"""Cutting maps where the rest of a network needs less changes nothing, and spares work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_tincture.grid import Grid
from napari_tincture.models.registry import build_network
from napari_tincture.tiling.reach import measure
from napari_tincture.tiling.trim import same_place, trim_points, trimmed


def unet(**options: object) -> nn.Module:
    torch.manual_seed(0)
    small = {"in_channels": 2, "out_channels": 1, "depth": 3, "width": 4, "padded": True}
    return build_network("unet", {**small, **options}).eval()


@pytest.mark.parametrize("shape", [(256, 256), (200, 330), (96, 512)])
@pytest.mark.parametrize("core", [(64, 64), (32, 96)])
def test_cut_maps_give_the_same_cores(shape: tuple[int, int], core: tuple[int, int]) -> None:
    network = unet()
    reach = measure(network, 2)
    points = trim_points(network, 2, reach)
    assert len(points) == 3
    grid = Grid.cut(shape, core, reach.geometry)
    extended = [reach.geometry.extended(n) for n in shape]
    image = torch.rand(1, 2, *extended, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = network(image)
        for tile in grid:
            window = image[:, :, slice(*tile.y.window), slice(*tile.x.window)]
            with trimmed(points, tile) as cut:
                output = network(window)
            seen = cut.tile(tile)
            assert output.shape[-2:] == seen.window_shape
            kept = output[(..., *seen.inner)]
            # Sums of the same terms in another order of blocks: a few units in the last place.
            torch.testing.assert_close(kept, whole[(..., *tile.kept)], rtol=0, atol=2e-6)


def test_less_is_computed() -> None:
    network = unet()
    reach = measure(network, 2)
    tile = Grid.cut((512, 512), (64, 64), reach.geometry)[3, 3]
    window = torch.rand(1, 2, *tile.window_shape)
    with torch.inference_mode(), trimmed(trim_points(network, 2, reach), tile) as cut:
        output = network(window)
    assert output.shape[-1] < tile.window_shape[1] - reach.geometry.halo
    assert cut.tile(tile).kept == tile.kept


class LooksAtSizes(nn.Module):
    """Crops what it joins to the smaller map, about its centre: wrong once one is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, padding=1)
        self.second = nn.Conv2d(6, 3, 3, padding=1)
        self.third = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        first = self.first(image)
        second = self.second(torch.cat([first, first], 1))
        lost = (first.shape[-1] - second.shape[-1]) // 2
        if lost:
            first = first[..., lost:-lost, lost:-lost]
        return self.third(torch.cat([first, second], 1))


@pytest.mark.parametrize(
    "network",
    [LooksAtSizes(), unet(norm="instance"), unet(padded=False), nn.Conv2d(2, 1, 3, padding=1)],
    ids=["looks at sizes", "reduces over the image", "unpadded", "joins nothing"],
)
def test_networks_that_cannot_be_cut_are_left_alone(network: nn.Module) -> None:
    assert trim_points(network.eval(), 2, measure(network.eval(), 2)) == ()


def test_only_tiles_that_lie_alike_share_a_batch() -> None:
    grid = Grid.cut((512, 512), (64, 64), measure(unet(), 2).geometry)
    kinds = {same_place(tile) for tile in grid}
    assert same_place(grid[3, 3]) == same_place(grid[4, 4])
    assert same_place(grid[0, 3]) != same_place(grid[7, 3])
    assert len(kinds) < len(grid)
    assert np.prod(grid.counts) == len(grid)
