"""Labels of every plane of a stack as masks and regions, and maps of luminance."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2gray

from napari_tincture import Raster, compare
from napari_tincture.errors import InputError

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 255, (3, 60, 70), np.uint8)
REGIONS = np.zeros(STACK.shape, np.int32)
REGIONS[0, 5:10, 5:12] = 1
REGIONS[1, 20:40, 25:45] = 1
REGIONS[1, 50:55, 5:9] = 2


def stack(values: np.ndarray, name: str, kind: str = "image", axes: str = "zyx") -> Raster:
    return Raster.from_array(values, axes, name=name, kind=kind)


def errors(plane: int, chosen: np.ndarray) -> float:
    a, b = (each[plane][chosen].astype(float) for each in (STACK // 2, STACK))
    return float(np.mean((a - b) ** 2))


@pytest.mark.parametrize("first", [0, 1])
def test_every_plane_has_its_own_regions(first: int) -> None:
    found = compare(
        stack(STACK // 2, "image"), stack(STACK, "real"), metrics=["mse"],
        regions=stack(REGIONS, "parts", "labels"), region={"z": (first, 3)},
    )  # fmt: skip
    rows = [(0, "1"), (1, "1"), (1, "2")][first:]
    assert [(row["z"], row["region"]) for row in found.table] == rows
    for row in found.table:
        expected = errors(row["z"], REGIONS[row["z"]] == int(row["region"]))
        assert row["mse"] == pytest.approx(expected, rel=1e-12)
    boxes = {(0, "1"): ((5, 10), (5, 12)), (1, "1"): ((20, 40), (25, 45)),
             (1, "2"): ((50, 55), (5, 9))}  # fmt: skip
    assert [found.box_of(row) for row in found.table] == [boxes[key] for key in rows]
    if first == 0:
        assert found.regions == {"1": ((5, 40), (5, 45)), "2": ((50, 55), (5, 9))}


def test_every_plane_has_its_own_mask() -> None:
    mask = stack(REGIONS, "parts", "labels")
    found = compare(stack(STACK // 2, "image"), stack(STACK, "real"), metrics=["mse"], mask=mask)
    for plane in (0, 1):
        assert found.table[plane]["mse"] == pytest.approx(errors(plane, REGIONS[plane] > 0))
    assert np.isnan(found.table[2]["mse"])
    assert "no pixel counts" in found.notes[0]
    assert found.box_of(found.table[0]) is None


@pytest.mark.parametrize("what", ["mask", "regions"])
@pytest.mark.parametrize(
    ("axes", "message"), [("tyx", "no such axis"), ("zyx", "2 planes along z.*has more")]
)
def test_labels_of_other_planes_are_refused(what: str, axes: str, message: str) -> None:
    labels = stack(REGIONS[:2], "parts", "labels", axes)
    with pytest.raises(InputError, match=message):
        compare(stack(STACK // 2, "image"), stack(STACK, "real"), **{what: labels})


def test_a_stack_without_regions_is_refused() -> None:
    with pytest.raises(InputError, match="hold no region"):
        compare(
            stack(STACK, "image"), stack(STACK, "real"),
            regions=stack(0 * REGIONS, "parts", "labels"),
        )  # fmt: skip


def test_a_map_of_luminance_is_that_of_the_figure() -> None:
    colours = RNG.integers(0, 255, (60, 70, 3), np.uint8)
    image, reference = (
        Raster.from_array(values, "yxc", rgb=True, name=name)
        for name, values in (("image", colours // 2), ("real", colours))
    )
    found = compare(image, reference, metrics=["mse"], channels="luminance", maps=True)
    made = found.maps["image", "mse"]
    assert made.axes == "yx"
    a, b = (255 * rgb2gray(values) for values in (colours // 2, colours))
    np.testing.assert_allclose(np.asarray(made), (a - b) ** 2, rtol=1e-5)
    assert found.table[0]["mse"] == pytest.approx(((a - b) ** 2).mean(), rel=1e-9)


@pytest.mark.slow
def test_an_aligned_image_takes_no_name_of_another() -> None:
    rng = np.random.default_rng(1)
    plain = np.kron(rng.integers(0, 255, (40, 40), np.uint8), np.ones((6, 6), np.uint8))
    moved = np.roll(plain, (3, 5), (0, 1))
    images = [stack(moved, "a", axes="yx"), stack(plain, "a aligned", axes="yx")]
    found = compare(images, stack(plain, "real", axes="yx"), metrics=["mse"], align="translation")
    assert [row["image"] for row in found.table] == ["a", "a aligned [2]", "a aligned"]
    assert found.settings["alignment"]["a"]["aligned"] == "a aligned [2]"
    assert found.table[2]["mse"] == 0
    assert found.table[1]["mse"] < 0.2 * found.table[0]["mse"]
