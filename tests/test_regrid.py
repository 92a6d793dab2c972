"""One image is read where another's pixels lie in the world."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from napari_tincture import Raster
from napari_tincture.errors import InputError
from napari_tincture.placement import Placement
from napari_tincture.regrid import OnGrid, pixel_map


def raster(values, kind="image", axes="yx", **place) -> Raster:
    return Raster.from_array(values, axes, kind=kind, placement=Placement.build(axes, **place))


def turned(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def smooth(shape=(90, 110)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (np.sin(y / 7) + np.cos(x / 9) + 0.01 * x).astype(np.float32)


def read(image: Raster, grid: Raster, place=None):
    place = place or tuple(slice(0, n) for n in grid.shape[-2:])
    return OnGrid(image, pixel_map(image, grid), grid.shape[-2:])(place)


def test_whole_pixels_are_cut_not_interpolated() -> None:
    values = smooth()
    image = raster(values, translate=(10, -4), units="µm")
    grid = raster(np.zeros((60, 70), np.float32), units="µm")
    found = OnGrid(image, pixel_map(image, grid), (60, 70))
    assert found.shift == (-10, 4)
    assert found.how == "shifted by -10, 4 px"
    window = read(image, grid)
    assert (window.values[0, 10:] == values[:50, 4:74]).all()
    assert not window.valid[:10].any()
    assert window.valid[10:].all()
    part = read(image, grid, (slice(5, 30), slice(20, 50)))
    assert (part.values == window.values[:, 5:30, 20:50]).all()
    far = read(image, grid, (slice(0, 5), slice(0, 5)))
    assert not far.valid.any()


def test_units_of_length_are_brought_together() -> None:
    values = smooth()
    image = raster(values, scale=(500, 500), units="nm")
    grid = raster(values, scale=(0.5, 0.5), units="µm")
    assert OnGrid(image, pixel_map(image, grid), grid.shape).shift == (0, 0)


@pytest.mark.parametrize(
    "place", [{"rotate": turned(7)}, {"scale": (0.7, 0.9)}, {"translate": (2.3, 1.6)}]
)
def test_other_grids_are_interpolated_by_their_transform(place) -> None:
    values = smooth()
    image, grid = raster(values, **place), raster(np.zeros((50, 60), np.float32))
    matrix = pixel_map(image, grid)
    window = read(image, grid)
    y, x = np.mgrid[:50, :60]
    points = np.stack([y, x, np.ones_like(y)]).reshape(3, -1)
    world = grid.placement.matrix() @ points
    expected = np.linalg.solve(image.placement.matrix(), world)
    assert np.allclose(matrix @ points, expected, atol=1e-9)
    inside = window.valid.ravel()
    wanted = map_coordinates(values.astype(float), expected[:2], order=1, mode="nearest")
    step = np.abs(matrix[:2, :2]).max()
    if step <= 1.05:  # coarser grids are smoothed before
        np.testing.assert_allclose(window.values.ravel()[inside], wanted[inside], atol=1e-5)
    assert (window.values[0][~window.valid] == 0).all()
    part = read(image, grid, (slice(11, 40), slice(3, 58)))
    np.testing.assert_allclose(part.values, window.values[:, 11:40, 3:58], atol=1e-6)


def test_a_coarser_grid_reads_a_lower_level_and_means_what_it_covers() -> None:
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    means = noise.reshape(64, 4, 64, 4).mean((1, 3))
    image = Raster(
        levels=tuple(
            Raster.from_array(v, "yx").data
            for v in (noise, noise.reshape(128, 2, 128, 2).mean((1, 3)), means)
        ),
        axes="yx", placement=Placement.build("yx"),
    )  # fmt: skip
    grid = raster(np.zeros((64, 64), np.float32), scale=(4, 4), translate=(1.5, 1.5))
    found = OnGrid(image, pixel_map(image, grid), (64, 64))
    assert "pyramid level 2" in found.how
    np.testing.assert_allclose(read(image, grid).values[0], means, atol=1e-5)
    single = raster(noise)
    assert "Gaussian" in OnGrid(single, pixel_map(single, grid), (64, 64)).how
    assert read(single, grid).values.std() < 0.5 * noise.std()


def test_labels_are_sampled_and_large_ones_stay_what_they_are() -> None:
    labels = np.zeros((40, 40), np.uint64)
    labels[10:20, 10:20] = 2**63 + 1
    image = raster(labels, kind="labels", rotate=turned(30))
    window = read(image, raster(np.zeros((40, 40), np.float32)))
    assert set(np.unique(window.values)) == {0, 2**63 + 1}


def test_how_much_of_the_grid_is_covered() -> None:
    image, grid = raster(smooth((50, 50)), translate=(25, 0)), raster(smooth((50, 50)))
    assert OnGrid(image, pixel_map(image, grid), (50, 50)).overlap() == pytest.approx(0.5, abs=0.02)
    off = raster(smooth((50, 50)), translate=(500, 0))
    assert OnGrid(off, pixel_map(off, grid), (50, 50)).overlap() == 0


def test_transforms_that_cannot_be_compared_are_refused() -> None:
    flat = raster(smooth(), affine=np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1.0]]))
    with pytest.raises(InputError, match="lies on a line"):
        pixel_map(flat, raster(smooth()))
    tilted = np.eye(4)
    tilted[1, 0] = 0.5
    stack = raster(np.zeros((3, 9, 9), np.float32), axes="zyx", affine=tilted)
    with pytest.raises(InputError, match="turns y or x into another axis"):
        pixel_map(stack, raster(smooth()))
