"""Misalignment is told before it is mistaken for a bad stain, and mended on request."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import shift

from napari_tincture import Raster, compare, samples
from napari_tincture.errors import InputError


@pytest.fixture(scope="module")
def pair() -> tuple[Raster, Raster]:
    values = np.asarray(samples.neuron_dapi()).astype(np.float32)[:480, :480]
    values = (values - values.min()) / np.ptp(values)
    moved = shift(values, (3.4, -2.2), order=3, mode="nearest")
    reference = Raster.from_array(values, "yx", name="real")
    return Raster.from_array(moved, "yx", name="virtual"), reference


def test_a_check_warns_and_changes_no_figure(pair) -> None:
    found = compare(*pair, data_range=1.5, align="check")
    assert found.table == compare(*pair, data_range=1.5).table
    (warning,) = [note for note in found.notes if note.startswith("virtual: The image is off")]
    assert "It lowers the scores" in warning
    assert found.settings["alignment"]["virtual"]["shift"] == pytest.approx((3.4, -2.2), abs=0.1)


def test_aligning_gives_rows_before_and_after(pair) -> None:
    found = compare(*pair, data_range=1.5, align="euclidean", region={"y": (30, 400)})
    before, after = found.table
    assert (before["image"], after["image"]) == ("virtual", "virtual aligned")
    assert 1 - after["ssim"] < 0.1 * (1 - before["ssim"])
    assert any("placed anew" in note for note in found.notes)
    assert found.images["virtual aligned"].provenance["alignment"]["model"] == "translation"


def test_an_image_that_lies_well_is_left(pair) -> None:
    _, reference = pair
    found = compare(reference, reference, data_range=1, align="similarity")
    assert [row["ssim"] for row in found.table] == [1]
    assert any("lies well" in note for note in found.notes)


@pytest.mark.slow
def test_noise_is_compared_though_it_cannot_be_aligned(pair) -> None:
    noise = np.random.default_rng(0).random((480, 480), np.float32)
    found = compare(noise, pair[1], data_range=1.5, align="affine")
    assert len(found.table) == 1
    assert any("Alignment could not be told" in note for note in found.notes)


def test_ways_to_align_are_named(pair) -> None:
    with pytest.raises(InputError, match=r"align='elastic'.*'check'.*'flow'"):
        compare(*pair, data_range=1, align="elastic")
