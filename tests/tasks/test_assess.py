"""Images are measured without a reference, each on its own grid; references beside images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_tincture import Raster, assess, compare, list_metrics
from napari_tincture.errors import InputError


def texture(shape=(300, 260), seed: int = 0) -> np.ndarray:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


def test_each_image_on_its_own_grid() -> None:
    sharp, other = texture(), texture((200, 333), 1)
    dull = gaussian_filter(sharp, 2)
    found = assess([sharp, dull, other], metrics=["focus_brenner", "noise"])
    one, two, three = found.table
    assert one["focus_brenner"] > 2 * two["focus_brenner"]
    alone = assess(other, metrics=["focus_brenner"]).table[0]["focus_brenner"]
    assert three["focus_brenner"] == alone
    assert found.better["noise"] == "lower"
    assert len(found.images) == 3


def test_planes_channels_and_regions() -> None:
    stack = np.stack([np.stack([texture(seed=c + 2 * z) for c in range(2)]) for z in range(2)])
    image = Raster.from_array(stack, "zcyx", channels=("a", "b"))
    found = assess(image, metrics=["noise"], regions="grid:150", region={"z": (1, 2)})
    assert [row["z"] for row in found.table] == [1] * 8
    assert {row["channel"] for row in found.table} == {"a", "b"}
    (plain,) = assess(stack[1, 1], metrics=["noise"], region={"y": (0, 150), "x": (0, 150)}).table
    row = next(r for r in found.table if (r["channel"], r["region"]) == ("b", "y 0, x 0"))
    # The region sees its neighbours' pixels, the crop does not.
    assert row["noise"] == pytest.approx(plain["noise"], rel=0.05)


def test_seams_are_found_where_there_are_some() -> None:
    clean = texture((512, 512)).astype(np.float32)
    tiles = np.add.outer(np.arange(512) // 64 % 2, np.arange(512) // 64 % 2) * 12.0
    found = assess([clean, clean + tiles], metrics=["seams", "drift"], data_range=255)
    one, two = found.table
    assert two["seam_tile"] == 64
    assert two["seam_score"] > one["seam_score"]
    assert two["seam_significance"] > 5
    assert "drift" in one
    (by_region,) = [
        row for row in assess(clean, regions="grid:256", data_range=255).table
        if "seam_score" in row
    ]  # fmt: skip
    assert "region" not in by_region


def test_a_constant_image_says_why_it_has_no_seams() -> None:
    found = assess(np.full((300, 300), 7, np.uint8), metrics=["seams"])
    assert math.isnan(found.table[0]["seam_score"])
    assert any("seams" in note and "constant" in note for note in found.notes)


def test_a_comparison_measures_the_reference_too() -> None:
    reference, image = texture(), gaussian_filter(texture(), 1)
    found = compare(
        Raster.from_array(image, "yx", name="virtual"),
        Raster.from_array(reference, "yx", name="real"), metrics=["psnr", "focus_tenengrad"],
        maps=True,
    )  # fmt: skip
    first, second = found.table
    assert (first["image"], second["image"]) == ("virtual", "real")
    assert "psnr" not in second
    assert second["focus_tenengrad"] > first["focus_tenengrad"]
    (alone,) = assess(reference, metrics=["focus_tenengrad"]).table
    assert second["focus_tenengrad"] == alone["focus_tenengrad"]
    names = [name for name, column in found.maps if column == "focus_tenengrad"]
    assert names == ["virtual", "real"]


def test_metrics_that_need_a_reference_are_refused() -> None:
    with pytest.raises(InputError, match=r"ssim: no such metric.*focus_brenner.*use compare"):
        assess(texture(), metrics=["noise", "ssim"])
    assert "seams" in list_metrics("alone")
    assert "ssim" not in list_metrics("alone")
    with pytest.raises(InputError, match="empty list"):
        assess([])
