"""Repainting changes nothing beyond the margin, and joins what was there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from painters import denoiser, label_map

import napari_tincture as nt
from napari_tincture.errors import InputError

QUICK = {"steps": 3, "seed": 5}


def change(labels: np.ndarray) -> np.ndarray:
    changed = labels.copy()
    changed[40:46, 50:58] = 4
    return changed


@pytest.mark.parametrize("coarse", [1, 2])
@pytest.mark.parametrize("margin", [0, 8])
def test_beyond_the_margin_no_pixel_changes(coarse: int, margin: int) -> None:
    labels = label_map(120, 130)
    labels[30:60, 40:70] = 0
    scene = nt.synthesize(labels, denoiser(coarse=coarse), **QUICK)
    before = np.asarray(scene)
    after = np.asarray(nt.repaint(scene, change(labels), margin=margin))
    differ = before != after
    assert differ[40:46, 50:58].mean() > 0.5
    differ[40 - margin : 46 + margin, 50 - margin : 58 + margin] = False
    assert not differ.any()


def test_a_map_that_is_painted_on_in_place_is_compared_with_what_was_drawn() -> None:
    labels = label_map(64, 80)
    labels[35:50, 45:62] = 0
    scene = nt.synthesize(labels, denoiser(), **QUICK)
    before = np.asarray(scene)
    labels[40:46, 50:58] = 4
    assert (np.asarray(nt.repaint(scene, labels)) != before).any()


def test_it_can_be_repeated_and_taken_back() -> None:
    labels = label_map(64, 80)
    labels[35:50, 45:62] = 0
    scene = nt.synthesize(labels, denoiser(), **QUICK)
    first = nt.repaint(scene, change(labels), margin=4)
    again = nt.repaint(scene, change(labels), margin=4)
    np.testing.assert_array_equal(np.asarray(first), np.asarray(again))
    other = change(labels)
    other[5:9, 5:9] = 1
    second = np.asarray(nt.repaint(first, other, margin=4))
    differ = second != np.asarray(first)
    differ[1:13, 1:13] = False
    assert not differ.any()
    steps = [step["step"] for step in nt.repaint(first, other).provenance["steps"]]
    assert steps == ["synthesize", "repaint", "repaint"]


def test_an_unchanged_map_asks_nothing() -> None:
    labels = label_map(64, 80)
    scene = nt.synthesize(labels, denoiser(), **QUICK)
    before, asked = np.asarray(scene), []
    again = nt.repaint(scene, labels.copy())
    after = again.compute(progress=lambda done, total: asked.append(done))
    np.testing.assert_array_equal(before, after)
    assert again.runner.facts()["repainted"] == {"": []}


def test_another_seed_gives_another_variant_of_the_change() -> None:
    labels = label_map(64, 80)
    labels[35:50, 45:62] = 0
    scene = nt.synthesize(labels, denoiser(), **QUICK)
    one, two = (np.asarray(nt.repaint(scene, change(labels), seed=s)) for s in (5, 6))
    assert (one != two).any()


@pytest.mark.parametrize(
    ("scene", "labels", "how", "message"),
    [
        (None, label_map(64, 80), {"margin": -1}, "margin"),
        (None, label_map(60, 80), {}, "same size"),
        (nt.open_image(np.zeros((64, 80), np.uint8)), label_map(64, 80), {}, "no result"),
    ],
)
def test_what_cannot_be_repainted_is_refused(
    scene: Any, labels: np.ndarray, how: dict[str, Any], message: str
) -> None:
    scene = scene or nt.synthesize(label_map(64, 80), denoiser(), **QUICK)
    with pytest.raises(InputError, match=message):
        nt.repaint(scene, labels, **how)
