"""An aligned image lies where its reference does."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from moved_pairs import bent, motion, off, raster, shown, texture

from napari_tincture.alignment import Misalignment, align, estimate
from napari_tincture.alignment.place import moved, on_grid
from napari_tincture.errors import InputError
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray, OnGrid, Window, pixel_map

SLANTED = Placement.build(
    "yx", scale=(0.5, 0.5), translate=(3, -8), units="µm",
    affine=[[0.96, -0.28, 5], [0.28, 0.96, 2], [0, 0, 1]],
)  # fmt: skip
SHIFTED = Placement.build("yx", translate=(1.5, -1.0))


def _pearson(one: FloatArray, other: FloatArray) -> float:
    inner = (slice(24, -24), slice(24, -24))
    return float(np.corrcoef(one[inner].ravel(), other[inner].ravel())[0, 1])


def _on(image: Raster, reference: Raster) -> Window:
    """All of the reference's grid."""
    height, width = reference.shape[-2:]
    read = OnGrid(image, pixel_map(image, reference), (height, width))
    return read((slice(0, height), slice(0, width)))


@pytest.mark.parametrize("units", ["µm", "nm", "pixel"])
def test_a_placement_takes_any_map(units: str) -> None:
    reference = raster(np.zeros((40, 50)), placement=replace(SLANTED, units=(units,) * 2))
    grid = Placement.build(
        "tcyx", scale=(2, 1, 300, 200), translate=(1, 0, 40, 50),
        units=("s", "pixel", *(["nm"] * 2 if units != "pixel" else ["pixel"] * 2)),
    )  # fmt: skip
    image = raster(np.zeros((2, 3, 30, 20)), "tcyx", placement=grid)
    matrix = motion((40, 50), (3, -7), rotation=4, scale=1.1, stretch=0.02, shear=0.03)
    result = moved(image, reference, matrix)
    wanted = pixel_map(image, reference) @ matrix
    assert np.allclose(pixel_map(result, reference), wanted, rtol=1e-10, atol=1e-9)
    before, after = (r.placement.matrix() for r in (image, result))
    assert np.array_equal(before[:2], after[:2])
    assert np.array_equal(before[:, :2], after[:, :2])
    assert result.placement.scale == grid.scale
    assert result.levels is image.levels


def test_an_aligned_image_is_the_image_elsewhere() -> None:
    plane = texture("phase")
    true = motion(plane.shape, (6, -3), rotation=1.5, stretch=0.01)
    image = raster(shown(plane, true), placement=SLANTED, name="moved", provenance={"by": "hand"})
    reference = raster(plane, placement=SLANTED, name="still")
    result = align(image, reference, model="affine")
    assert result.model == "affine" == result.misalignment.model
    assert result.raster.levels is image.levels
    assert max(off(pixel_map(result.raster, reference), true, plane.shape)) < 0.1
    assert result.raster.provenance["by"] == "hand"
    assert result.raster.provenance["alignment"]["reference"] == "still"
    on = OnGrid(result.raster, pixel_map(result.raster, reference), plane.shape)
    seen = on((slice(0, plane.shape[0]), slice(0, plane.shape[1]))).values[0]
    assert _pearson(seen, plane) > 0.97 > 0.5 > _pearson(image.compute(), plane)
    again = estimate(result.raster, reference)
    assert not again.is_off
    assert max(map(abs, again.shift)) < 0.05


def test_what_lies_well_is_left_alone() -> None:
    plane = raster(texture("nuclei", 256))
    result = align(plane, plane)
    assert result.raster is plane
    assert result.model == "none"


def test_what_was_estimated_need_not_be_again() -> None:
    image, reference = raster(np.zeros((64, 64))), raster(np.ones((64, 64)))
    known = Misalignment(True, "by hand", "translation", ((1, 0, 2.5), (0, 1, -4), (0, 0, 1)))
    result = align(image, reference, model="translation", misalignment=known)
    assert np.allclose(pixel_map(result.raster, reference), known.matrix)
    general = replace(known, model="affine")
    with pytest.raises(InputError, match="more general than the euclidean map"):
        align(image, reference, model="euclidean", misalignment=general)


def test_what_cannot_be_aligned_is_an_error() -> None:
    plane = texture("phase", 256)
    flat = raster(np.zeros_like(plane), name="flat")
    with pytest.raises(InputError, match=r"'flat' cannot be aligned with .*shows nothing"):
        align(flat, raster(plane))
    with pytest.raises(InputError, match="'warp' is unknown"):
        align(raster(plane), raster(plane), model="warp")  # type: ignore[arg-type]


@pytest.mark.slow
def test_flow_follows_what_no_affine_map_can() -> None:
    plane = texture("blood")
    image = bent(plane)
    reference = raster(plane, placement=SHIFTED)
    result = align(raster(image), reference, model="flow")
    flowed = _on(result.raster, reference)
    seen = flowed.values[0]
    straight = align(raster(image), raster(plane), model="affine").raster
    by_map = _on(straight, raster(plane)).values[0]
    assert seen.dtype == np.float32
    # What the image does not show is cut off.
    assert flowed.valid is not None
    assert 0.96 < flowed.valid.mean() < 1
    assert seen[flowed.valid].min() > 0
    assert _pearson(seen, plane) > 0.998 > 0.99 > _pearson(by_map, plane)
    assert result.flow_rms == pytest.approx(1.5, abs=0.5)
    whole = result.raster.compute()
    part = (slice(101, 203), slice(37, 333))
    assert np.array_equal(result.raster.read(part), whole[part])
    assert np.array_equal(pickle.loads(pickle.dumps(result.raster)).compute(), whole)


def test_flow_moves_all_planes_colours_and_labels() -> None:
    plane = texture("blood", 256)
    known = Misalignment(True, "by hand", "translation", ((1, 0, 3), (0, 1, 0), (0, 0, 1)))
    reference = raster(plane)
    stack = np.stack([shown(plane, motion(plane.shape, (3, 0)))] * 3)
    colour = raster(np.rint(stack.clip(0, 255)).astype(np.uint8), "cyx", rgb=True)
    result = align(colour, reference, model="flow", misalignment=known).raster
    assert result.rgb
    assert result.dtype == np.uint8
    inner = (slice(32, -32), slice(32, -32))
    assert result.shape == (3, 253, 256)
    assert np.abs(_on(result, reference).values[1].astype(float) - plane)[inner].mean() < 1
    # What a shift explains leaves nothing to flow.
    assert result.provenance["alignment"]["flow_rms"] < 0.02
    assert np.abs(stack[1] - plane)[inner].mean() > 3
    labels = raster((stack > 150).astype(np.int32), "zyx", kind="labels")
    result = align(labels, reference, model="flow", misalignment=known).raster
    assert result.kind == "labels"
    assert set(np.unique(result.compute())) == {0, 1}


def test_a_grid_of_another_image_is_taken_over_along_y_and_x() -> None:
    own = Placement.build("zyx", scale=(3, 1, 1), translate=(7, 0, 0), units=("µm",) * 3)
    image = raster(np.zeros((2, 4, 5)), "zyx", placement=own)
    reference = raster(np.zeros((6, 7)), placement=SLANTED)
    placed = on_grid(image, reference)
    assert np.array_equal(placed.matrix()[1:, 1:], SLANTED.matrix())
    assert np.array_equal(placed.matrix()[0], own.matrix()[0])
    assert placed.scale == (3, 0.5, 0.5)
