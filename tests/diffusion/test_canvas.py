from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_tincture.diffusion.canvas import Canvas, Line, Place
from napari_tincture.errors import InputError

CPU = torch.device("cpu")
SIZES = [1, 8, 63, 64, 65, 79, 80, 112, 113, 200, 500, 1000]
OVERLAPS = [0, 1, 16, 32]


def canvas(height: int, width: int, window: int = 32, overlap: int = 8, stride: int = 1) -> Canvas:
    return Canvas.of((slice(0, height), slice(0, width)), window, overlap, stride)


def parts(image: Tensor, canvas: Canvas):
    """What windows say of an image that they all see as it is."""

    def part(places: Sequence[Place]) -> Tensor:
        return torch.cat([image[:, :, y, x] for y, x in places])

    return part


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("size", SIZES)
def test_windows_cover_a_line_and_overlap(size: int, overlap: int) -> None:
    line = Line(0, size, 64, overlap)
    assert line.length == min(64, size)
    assert line.starts[0] == 0
    assert line.starts[-1] + line.length == size
    steps = np.diff(line.starts)
    assert (steps > 0).all()
    assert (steps <= 64 - overlap).all()


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("size", SIZES)
def test_weights_add_up_to_one(size: int, overlap: int) -> None:
    line = Line(0, size, 64, overlap)
    total = np.zeros(size)
    for start, weights in zip(line.starts, line.weights(), strict=True):
        assert (weights >= 0).all()
        total[start : start + line.length] += weights
    # Each weight is rounded to float32, three of them at most overlap.
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-7)


@pytest.mark.parametrize("size", [200, 208, 500])
def test_weights_change_smoothly(size: int) -> None:
    line = Line(0, size, 64, 16)
    for number, weights in enumerate(line.weights()):
        # A sine's square over 16 pixels is steepest in its middle.
        assert np.abs(np.diff(weights)).max() < np.pi / 2 / 16 + 1e-3
        if number:
            assert weights[0] < 0.01
        if number + 1 < len(line.starts):
            assert weights[-1] < 0.01


@pytest.mark.parametrize("shape", [(16, 16), (32, 50), (129, 77), (100, 32)])
def test_what_all_windows_agree_on_stays(shape: tuple[int, int]) -> None:
    own = canvas(*shape)
    image = torch.randn(1, 2, *shape, generator=torch.Generator().manual_seed(0))
    fused = own.fuse(parts(image, own), 2, 3, CPU)
    assert fused.shape == image.shape
    assert fused.dtype == torch.float32
    # Up to nine products and their sum in float32.
    torch.testing.assert_close(fused, image, rtol=1e-6, atol=1e-7)
    assert own.count == len(list(own.windows()))


def test_one_window_says_it_all() -> None:
    own, image = canvas(30, 32), torch.randn(1, 3, 30, 32)
    assert own.count == 1
    assert torch.equal(own.fuse(parts(image, own), 3, 1, CPU), image)


def test_windows_outweigh_each_other_by_place() -> None:
    own = canvas(32, 56, overlap=8)
    said = iter((1.0, 3.0))
    fused = own.fuse(lambda places: torch.full((1, 1, 32, 32), next(said)), 1, 1, CPU)[0, 0]
    shared = fused[0, 24:32]
    assert torch.equal(fused[:, :24], torch.ones(32, 24))
    assert torch.equal(fused[:, 32:], torch.full((32, 24), 3.0))
    # The middle of the overlap is half way, and either side of it mirrors the other.
    wanted = 1 + 2 * np.sin((np.arange(8) + 0.5) / 8 * np.pi / 2) ** 2
    np.testing.assert_allclose(shared, wanted, rtol=3e-7)


@pytest.mark.parametrize("together", [2, 4, 9, 100])
def test_windows_asked_together_are_the_same_windows(together: int) -> None:
    own, image, asked = canvas(80, 80), torch.randn(1, 2, 80, 80), []

    def part(places: Sequence[Place]) -> Tensor:
        asked.append(len(places))
        return torch.cat([image[:, :, y, x].sin() for y, x in places])

    one, more = (own.fuse(part, 2, n, CPU) for n in (1, together))
    assert torch.equal(one, more)
    assert own.count == 9
    assert asked[:9] == [1] * 9
    assert max(asked[9:]) == min(together, 9)
    assert sum(asked[9:]) == 9


def test_large_images_cost_little_more_than_their_pixels() -> None:
    own = canvas(4096, 4096, 256, 48, 16)
    assert own.count * 256**2 / 4096**2 <= 1.6


def test_canvases_lie_anywhere() -> None:
    own = Canvas.of((slice(64, 128), slice(-32, 32)), 32, 16, 16)
    assert own.bounds == (slice(64, 128), slice(-32, 32))
    assert own.shape == (64, 64)
    windows = list(own.windows())
    assert {y.start for y, _ in windows} == {x.start for _, x in windows} == {0, 16, 32}


@pytest.mark.parametrize(("edge", "window", "overlap"), [(50, 32, 16), (64, 40, 16), (64, 32, 8)])
def test_what_is_off_the_stride_is_refused(edge: int, window: int, overlap: int) -> None:
    with pytest.raises(InputError, match="expected multiples of the denoiser's stride, 16"):
        Canvas.of((slice(0, 64), slice(0, edge)), window, overlap, 16)


@pytest.mark.parametrize("stride", [1, 8, 16])
def test_windows_start_on_the_stride(stride: int) -> None:
    own = Canvas.of((slice(0, 336), slice(0, 208)), 64, 16, stride)
    assert all(s.start % stride == s.stop % stride == 0 for place in own.windows() for s in place)
