"""Repainting changes nothing beyond the margin, and joins what was there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from painters import OPTIONS, denoiser, label_map

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.models import Channel, Model
from napari_tincture.models.registry import DENOISERS, build_network
from napari_tincture.tasks import _scene

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


@pytest.mark.parametrize("whole", [True, False])
def test_a_scene_of_a_region_takes_the_whole_map_or_its_part(whole: bool) -> None:
    labels = label_map(120, 130)
    labels[30:60, 40:70] = 0
    region = {"y": (20, 84), "x": (30, 110)}
    scene = nt.synthesize(labels, denoiser(), region=region, **QUICK)
    before = np.asarray(scene)
    given = change(labels) if whole else change(labels)[20:84, 30:110]
    differ = np.asarray(nt.repaint(scene, given, margin=0)) != before
    assert differ[20:26, 20:28].mean() > 0.5
    differ[20:26, 20:28] = False
    assert not differ.any()


@pytest.mark.parametrize("grey", [10, 240])
def test_what_a_scene_began_with_is_begun_with_again(grey: int) -> None:
    labels = label_map(64, 80)
    labels[35:50, 45:62] = 0
    style = np.full((64, 80), grey, np.uint8)
    how = {"steps": 10, "seed": 5, "style": style, "style_strength": 0.95}
    scene = nt.synthesize(labels, denoiser(), **how)
    found = np.asarray(nt.repaint(scene, change(labels), margin=0))[40:46, 50:58]
    expected = np.asarray(nt.synthesize(change(labels), denoiser(), **how))[40:46, 50:58]
    assert abs(found.mean() - expected.mean()) < 30
    assert abs(found.mean() - grey) < 60


def test_objects_of_a_scene_keep_their_edges() -> None:
    card = denoiser().card
    inputs = (*card.inputs, Channel("edges", source="edge"))
    options = {**OPTIONS, "in_channels": 4}
    model = Model(
        build_network("semantic_sr3", options, DENOISERS),
        card.replace(inputs=inputs, options=options),
    )
    labels, objects = np.ones((32, 64), np.uint8), np.ones((32, 64), np.uint8)
    objects[:, 40:] = 2
    scene = nt.synthesize(labels, model, instances=objects, **QUICK)
    before = np.asarray(scene)
    np.testing.assert_array_equal(np.asarray(nt.repaint(scene, labels.copy(), margin=4)), before)
    moved = objects.copy()
    moved[:, 36:] = 2
    again = nt.repaint(scene, labels, instances=moved, margin=4)
    np.asarray(again)
    assert again.runner.facts()["repainted"] != {"": []}


def test_planes_beyond_their_share_of_memory_are_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = np.stack([label_map(32, 40, seed) for seed in range(3)])
    stack = nt.open_image(labels, axes="tyx")
    scene = nt.synthesize(stack, denoiser(), **QUICK)
    expected = np.asarray(scene)
    assert len(scene.runner.drawn) == 3
    monkeypatch.setattr(_scene, "memory_budget", lambda device: 0)
    scene = nt.synthesize(stack, denoiser(), **QUICK)
    np.testing.assert_array_equal(scene.compute(), expected)
    assert len(scene.runner.drawn) == 1
    changed = labels.copy()
    changed[1, 10:16, 10:16] = 4
    known = labels.copy()
    labels[:] = 0  # whoever paints on the map later
    again = nt.repaint(scene, nt.open_image(changed, axes="tyx"), margin=0)
    found = np.asarray(again)
    assert len(scene.runner.drawn) == 0
    np.testing.assert_array_equal(found[::2], expected[::2])
    assert ((found != expected) <= (changed != known)).all()


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
