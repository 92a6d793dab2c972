from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import model_of
from torch import Tensor, nn
from translations import fields

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid
from napari_tincture.tasks._marked import marked_boxes

RECIPE = {"sampling": {"crop": 32}}


class Negative(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


def model(**card: Any) -> Model:
    defaults = {
        "normalisation": Normalisation("dtype", target=(-1.0, 1.0)), "output_range": (-1, 1),
        "recipe": RECIPE, "rgb_output": True,
    }  # fmt: skip
    return model_of(Negative(), 3, 3, **{**defaults, **card})


def field(size: tuple[int, int] = (160, 200)) -> Raster:
    return replace(fields(1, (3, *size))[0], rgb=True)


def marks_on(shape: tuple[int, int] = (160, 200)) -> np.ndarray:
    marks = np.zeros(shape, np.int32)
    marks[10:20, 10:30], marks[15:18, 40:44] = 1, 2
    marks[130:134, 180:190] = 2
    return marks


def stored(data: nt.Corrections, number: int, name: str) -> np.ndarray:
    record = data.records()[number]
    return np.asarray(open_image(data.path(record, name), axes="cyx"))


def test_marked_places_are_stored_with_their_surroundings(tmp_path: Path) -> None:
    image, used = field(), model()
    stain = nt.stain(image, used)
    data = nt.correct(used, image, marks_on(), stain, folder=tmp_path)
    assert len(data) == 2
    boxes = [tuple(record.facts["box"]) for record in data.records()]
    assert boxes == [(0, 96, 0, 112), (80, 160, 120, 200)]
    for number, (top, bottom, left, right) in enumerate(boxes):
        place = np.s_[:, top:bottom, left:right]
        np.testing.assert_array_equal(stored(data, number, "input"), np.asarray(image)[place])
        np.testing.assert_array_equal(stored(data, number, "stain"), np.asarray(stain)[place])
        np.testing.assert_array_equal(stored(data, number, "marks"), marks_on()[None][place])
    first, second = data.records()
    assert (first.right, first.wrong, second.right, second.wrong) == (200, 12, 0, 40)
    assert first.facts["weights"] == used.fingerprint
    again = nt.correct(used, image, marks_on(), folder=tmp_path)
    assert again.records() == data.records()


def test_a_reference_on_another_grid_is_resampled(tmp_path: Path) -> None:
    image = field()
    fine = np.asarray(image)
    halved = fine.reshape(3, 80, 2, 100, 2).mean((2, 4)).astype(np.uint8)[:, :50]
    place = Placement.build(("c", "y", "x"), scale=(1, 2, 2), translate=(0, 0.5, 0.5))
    coarse = Raster.from_array(halved, "cyx", placement=place)
    data = nt.correct(model(), image, None, None, coarse, tmp_path)
    (record,) = data.records()
    assert record.reference
    assert record.facts["box"] == [0, 160, 0, 200]
    reference, weight = (stored(data, 0, name) for name in ("reference", "weight"))
    assert reference.dtype == np.uint8
    inside = np.s_[:, 4:96, 4:196]
    difference = reference[inside].astype(float) - fine[inside]
    assert np.abs(difference.mean()) < 0.5
    assert np.corrcoef(reference[inside].ravel(), fine[inside].ravel())[0, 1] > 0.8
    assert set(np.unique(weight[:, 1:98, 1:198])) == {1.0}
    assert not weight[:, 101:].any()
    marked = nt.correct(model(), image, marks_on(), None, coarse, tmp_path, 5.0)
    weights = [stored(marked, number, "weight") for number in (1, 2)]
    assert [w.max() for w in weights] == [5.0, 1.0]  # the reference does not reach the second


def test_a_stained_part_lies_where_it_was_cut_out(tmp_path: Path) -> None:
    image = field()
    region = {"y": (20, 100), "x": (30, 140)}
    stain = nt.stain(image, model(), region=region)
    marks = np.zeros((80, 110), np.uint8)
    marks[70:75, 5:8] = 2
    data = nt.correct(model(), image, marks_like(marks, stain), stain, folder=tmp_path)
    (record,) = data.records()
    top, bottom, left, right = record.facts["box"]
    assert (bottom, left) == (100, 30)
    place = np.s_[:, top:bottom, left:right]
    np.testing.assert_array_equal(stored(data, 0, "input"), np.asarray(image)[place])
    expected = np.asarray(nt.stain(image, model()))[place]
    np.testing.assert_array_equal(stored(data, 0, "stain"), expected)


def marks_like(marks: np.ndarray, stain: Raster) -> Raster:
    plane = stain.plane(c=0) if "c" in stain.axes else stain
    made = open_image(marks, axes="yx")
    return replace(made, placement=plane.placement, kind="labels")


def test_planes_of_a_stack_are_places_of_their_own(tmp_path: Path) -> None:
    values = np.stack([np.asarray(image)[:1] for image in fields(3)])
    image = open_image(values, axes="tcyx")
    used = model_of(Negative(), 1, 1, normalisation=Normalisation("percentile", 1, 99))
    marks = np.zeros((3, 72, 90), np.uint8)
    marks[1, 5, 5], marks[2, 70, 80] = 1, 2
    data = nt.correct(used, image, open_image(marks, axes="tyx"), folder=tmp_path)
    first, second = data.records()
    assert (first.facts["plane"], second.facts["plane"]) == ({"t": 1}, {"t": 2})
    kept = first.facts["values"]["input"]
    np.testing.assert_allclose(kept["stats"], [np.percentile(values[1], [1, 99])])
    assert stored(data, 0, "stain").dtype == np.float32
    y, x = (slice(*first.facts["box"][i : i + 2]) for i in (0, 2))
    np.testing.assert_array_equal(stored(data, 0, "input"), values[1][:, y, x])


def test_boxes_around_marks_never_overlap_and_hold_all_of_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        marks = np.zeros((2100, 300), np.uint8)
        for y, x in zip(rng.integers(0, 2100, 12), rng.integers(0, 300, 12), strict=True):
            marks[y : y + 30, x : x + 3] = 1
        grid = OnGrid(open_image(marks, axes="yx"), np.eye(3), marks.shape)
        count = np.zeros(marks.shape, int)
        for top, bottom, left, right in marked_boxes(grid, 64, 8):
            assert min(bottom - top, right - left) >= 64
            count[top:bottom, left:right] += 1
        assert count.max() == 1
        assert count[marks > 0].all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Mark where the stain is right or wrong"),
        ({"marks": np.zeros((160, 200), np.uint8)}, "Nothing is marked"),
        ({"marks": np.zeros((160, 200), np.float32)}, "Marks are labels.*float32"),
        ({"marks": marks_on(), "weight": 0}, "weight=0: expected a positive"),
        ({"reference": np.zeros((160, 200), np.uint8)}, "has 1 channels, the stain.* 3"),
        ({"marks": marks_on(), "stain": np.zeros((160, 200), np.uint8)}, "makes 3.*list of layers"),
        (
            {
                "marks": marks_on(),
                "stain": open_image(np.zeros((3, 60, 75), np.uint8), axes="cyx", scale=(1, 2, 2)),
            },
            "does not lie on the grid of the image",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        nt.correct(model(), field(), **arguments, folder=tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_corrections_lie_beside_the_model_unless_it_is_shipped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder of yours"):
        nt.correct(model(), field(), marks_on())
    with pytest.raises(InputError, match="no folder of yours"):
        nt.correct("phase-to-dapi", field(), marks_on())
    with pytest.raises(InputError, match="made to segment"):
        nt.correct("nuclei", field(), marks_on())
