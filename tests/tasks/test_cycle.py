"""Round trips and segmentations before and after are those of plain arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import image_of, model_of
from networks import Fn, conv

from napari_tincture import CancelToken, Raster, compare, segment, stain
from napari_tincture.errors import Cancelled, InputError, ModelError
from napari_tincture.metrics.labels.classes import class_figures
from napari_tincture.metrics.labels.objects import instance_figures
from napari_tincture.metrics.labels.overlap import measure
from napari_tincture.models import Normalisation
from napari_tincture.tasks.cycle import cycle_errors, semantic_consistency

NONE = Normalisation("none")
COLOUR = {"normalisation": Normalisation("dtype"), "rgb_output": True}
SHAPE = (70, 83)


def mapping(function, channels=1, name="map", **card):
    return model_of(Fn(lambda _, x: function(x)), channels, channels, name=name, **card)


HALVE = mapping(lambda x: 0.5 * x, name="halve", normalisation=NONE)
DOUBLE = mapping(lambda x: 2 * x, name="double", normalisation=NONE)
LIFT = mapping(lambda x: 2 * x + 0.01, name="lift", normalisation=NONE)


def test_errors_are_those_of_one_and_of_two_trips():
    image = image_of(SHAPE, "f4")
    found = cycle_errors(image, HALVE, LIFT, ("mae", "mse", "ssim"), data_range=1.0)
    assert [row["image"] for row in found.table] == ["one round trip", "two round trips"]
    # x → x / 2 → x + 0.01 → x + 0.02
    assert [row["mae"] for row in found.table] == pytest.approx([0.01, 0.02], rel=1e-5)
    assert [row["mse"] for row in found.table] == pytest.approx([1e-4, 4e-4], rel=1e-5)
    assert (found.settings["there"], found.settings["back"]) == ("halve", "lift")
    assert found.better["ssim"] == "higher"
    for trips, row in zip((1, 2), found.table, strict=True):
        alone = compare(image + np.float32(0.01 * trips), image, metrics=["ssim"], data_range=1.0)
        assert row["ssim"] == pytest.approx(alone.table[0]["ssim"], abs=1e-6)


def test_models_that_undo_each_other_lose_nothing():
    found = cycle_errors(image_of(SHAPE, "f4"), HALVE, DOUBLE, data_range=1.0)
    assert [row["mae"] for row in found.table] == [0, 0]
    assert [row["ssim"] for row in found.table] == [1, 1]


def test_networks_with_context_are_run_like_four_stains():
    torch.manual_seed(0)
    there, back = (
        model_of(Fn(lambda self, x: self.a(x), a=conv(2, 2, 5)), 2, 2, normalisation=NONE)
        for _ in range(2)
    )
    image = Raster.from_array(image_of((2, *SHAPE), "f4"), "cyx", name="image")
    found = cycle_errors(image, there, back, ["mse"], data_range=1.0, tile=16)
    current = image
    for name in ("one round trip", "two round trips"):
        current = stain(stain(current, there), back)
        for row in found.table:
            if row["image"] == name:
                expected = np.asarray(current)[found_channel(found, row)]
                given = np.asarray(image)[found_channel(found, row)]
                assert row["mse"] == pytest.approx(np.mean((expected - given) ** 2.0), rel=1e-4)
    assert len(found.table) == 4


def found_channel(found, row):
    return [r["channel"] for r in found.table if r["image"] == row["image"]].index(row["channel"])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_reconstructions_have_the_images_type(dtype):
    image = image_of(SHAPE, dtype)
    same = mapping(lambda x: x, normalisation=Normalisation("dtype"))
    found = cycle_errors(image, same, same, ["mae"])
    assert {raster.dtype for raster in found.images.values()} == {np.dtype(dtype)}
    # Between them lie fractions in float32, so that nothing is rounded.
    assert [row["mae"] for row in found.table] == [0, 0]


def test_colours_are_rounded_between_unless_told_otherwise():
    image = Raster.from_array(image_of((3, *SHAPE), "uint8"), "cyx", rgb=True, name="image")
    dark = mapping(lambda x: x / 8, 3, **COLOUR)
    bright = mapping(lambda x: x * 8, 3, **COLOUR)
    rounded = cycle_errors(image, dark, bright, ["mae"]).table[0]["mae"]
    fine = cycle_errors(image, dark, bright, ["mae"], dtype="float32").table[0]["mae"]
    # Steps of 8 grey levels: 2 levels off in the mean.
    assert 1.5 < rounded < 2.5
    assert fine == 0


def test_a_region_is_one_of_the_whole_translation():
    image = image_of(SHAPE, "f4")
    mean = model_of(
        Fn(lambda _, x: x - x.mean((2, 3), keepdim=True)), 1, 1, normalisation=NONE, name="mean"
    )
    region = {"y": (10, 40), "x": (5, 60)}
    found = cycle_errors(image, mean, DOUBLE, ["mae"], data_range=2.0, region=region)
    part = image[10:40, 5:60].astype(float)
    expected = np.abs(2 * (part - image.mean()) - part).mean()
    assert found.table[0]["mae"] == pytest.approx(expected, rel=1e-5)


def test_what_does_not_lead_back_is_refused():
    image = Raster.from_array(image_of((2, *SHAPE), "f4"), "cyx", name="scan")
    both = model_of(Fn(lambda _, x: x[:, :1]), 2, 1, normalisation=NONE, name="both")
    with pytest.raises(InputError, match=r"both.*halve.*'c': 2.*scan.*'c': 1"):
        cycle_errors(image, both, HALVE, data_range=1.0)
    with pytest.raises(InputError, match=r"channels= cannot be given.*image\.plane"):
        cycle_errors(image, HALVE, DOUBLE, channels=[0])
    with pytest.raises(InputError, match="made to segment, not to stain"):
        cycle_errors(image, finder(), DOUBLE)


def discs(centres, radius=6):
    """Depth in discs that do not touch, float32 (y, x)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = [1 - ((y - a) ** 2 + (x - b) ** 2) / radius**2 for a, b in centres]
    return np.max([np.zeros(SHAPE), *depth], axis=0).astype("f4")


def maps_of(x):
    inside = (20 * x).clamp(0, 1)
    return torch.cat([inside, torch.zeros_like(x), x], 1)


def finder(maps=maps_of, name="finder"):
    return model_of(
        Fn(lambda _, x: maps(x)), 1, 3, name=name, task="segment", normalisation=NONE,
        instances={"min_size": 5, "largest": 30},
    )  # fmt: skip


CLASSES = model_of(
    Fn(lambda _, x: torch.cat([0.1 - x, x - 0.1], 1)), 1, 2, task="segment", normalisation=NONE
)


CENTRES = [(12, 12), (12, 40), (30, 25), (50, 60), (55, 20)]


def test_objects_before_and_after_are_compared():
    before = discs(CENTRES)
    after = discs([*CENTRES[:-1], (56, 45)])
    found = semantic_consistency(before, after, finder(), tile=16)
    (row,) = found.table
    labels = [np.asarray(segment(image, finder())) for image in (after, before)]
    expected = instance_figures(measure(*labels)[0])
    assert {k: v for k, v in row.items() if k != "image"} == pytest.approx(dict(expected))
    assert (row["found"], row["expected"]) == (5, 5)
    assert row["f1_50"] == pytest.approx(0.8)
    assert found.better["pq"] == "higher"
    assert found.better["rand_error"] == "lower"
    assert "found" not in found.better
    assert found.settings["output"] == "labels"
    assert "f1_50" in found.to_markdown()


def test_an_image_agrees_with_itself():
    row = semantic_consistency(discs(CENTRES), discs(CENTRES), finder()).table[0]
    assert row["pq"] == row["aji"] == row["ap"] == 1
    assert row["rand_error"] == 0


def test_another_segmenter_may_see_the_translation():
    before = discs(CENTRES)
    other = finder(lambda x: maps_of(1 - x), "inverted")
    found = semantic_consistency(before, 1 - before, finder(), other)
    assert found.table[0]["f1_75"] == 1
    assert (found.settings["segmenter"], found.settings["segmenter_after"]) == (
        "finder", "inverted",
    )  # fmt: skip


@pytest.mark.parametrize("instances", [True, False])
def test_classes_are_compared(instances):
    before, after = discs(CENTRES), discs(CENTRES[1:])
    model = finder() if instances else CLASSES
    found = semantic_consistency(before, after, model, output="classes")
    maps = [np.asarray(segment(image, model, output="classes")) for image in (after, before)]
    expected = class_figures(measure(*maps)[0])
    assert {k: v for k, v in found.table[0].items() if k != "image"} == pytest.approx(expected)
    assert 0 < found.table[0]["mean_iou"] < 1
    if not instances:  # Such a model finds no objects, so classes are what is compared.
        assert semantic_consistency(before, after, model).table == found.table
        with pytest.raises(ModelError, match="no objects"):
            semantic_consistency(before, after, model, output="labels")


def test_planes_regions_and_metrics_make_rows_and_columns():
    before = Raster.from_array(np.stack([discs(CENTRES), discs([])]), "zyx")
    after = Raster.from_array(np.stack([discs(CENTRES[2:]), discs([])]), "zyx", name="stained")
    found = semantic_consistency(
        before, after, finder(), output="classes", metrics=["classes", "boundaries"],
        regions={"top": [(0, 0), (0, 82), (20, 82), (20, 0)],
                 "low": [(25, 0), (25, 82), (69, 82), (69, 0)]},
    )  # fmt: skip
    assert [(r["image"], r["z"], r["region"]) for r in found.table] == [
        ("stained", z, region) for z in (0, 1) for region in ("top", "low")
    ]
    top, low, *_ = found.table
    assert top["dice_1"] == 0
    assert low["dice_1"] == low["mean_boundary_f1"] == 1
    assert any("mean_boundary_f1 of stained, 1, top and 1 other rows" in n for n in found.notes)


def test_what_there_is_none_of_is_undefined_and_said():
    found = semantic_consistency(discs([]), discs([]), finder())
    assert np.isnan(found.table[0]["f1_50"])
    assert any(note.startswith("f1_50 of translation is undefined: ") for note in found.notes)


def test_tissue_is_that_of_the_image():
    before = discs(CENTRES)
    after = before.copy()
    after[60:, 70:] = 1  # found where the image shows nothing
    whole = semantic_consistency(before, after, finder(), output="classes").table[0]
    inside = semantic_consistency(before, after, finder(), output="classes", mask="tissue")
    assert whole["accuracy"] < 1
    assert inside.table[0]["accuracy"] == 1
    assert inside.settings["mask"] == "tissue"


def test_planes_must_be_the_same():
    several = Raster.from_array(np.stack([discs(CENTRES)] * 2), "zyx", name="stack")
    with pytest.raises(InputError, match=r"2 planes along z.* 1"):
        semantic_consistency(discs(CENTRES), several, finder())
    with pytest.raises(InputError, match=r"tissue.*one plane.*stack.*'z': 2"):
        semantic_consistency(several, several, finder(), mask="tissue")


def test_progress_is_told_and_cancelled():
    before, told = discs(CENTRES), []
    semantic_consistency(
        before, before, finder(), output="classes", metrics=["classes", "boundaries"],
        progress=lambda done, total: told.append(done / total),
    )  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == 1
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        semantic_consistency(before, before, finder(), cancel=cancel)
