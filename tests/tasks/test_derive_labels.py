from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from painters import denoiser, label_map

import napari_tincture as nt
from napari_tincture.errors import InputError

SETTINGS: list[dict[str, Any]] = [
    {"elastic": 5},
    {"move": 20, "turn": 180, "resize": 1.4, "objects": [1, 4]},
    {"flip": True, "elastic": 3, "smoothness": 10, "move": 9, "objects": 4, "onto": [0, 1]},
]


def placed(labels: np.ndarray) -> nt.Raster:
    return nt.open_image(labels, axes="zyx"[-labels.ndim :], scale=[0.25] * labels.ndim, units="um")


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_seed_decides_and_place_type_and_labels_are_the_maps(settings: dict[str, Any]) -> None:
    given = placed(label_map(90, 110))
    found = nt.derive_labels(given, seed=3, **settings)
    again = nt.derive_labels(given, seed=3, **settings)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(again))
    other = np.asarray(nt.derive_labels(given, seed=4, **settings))
    assert (other != np.asarray(found)).any()
    assert (np.asarray(found) != np.asarray(given)).any()
    assert found.kind == "labels"
    assert (found.dtype, found.shape, found.axes) == (given.dtype, given.shape, given.axes)
    assert found.placement == given.placement
    assert set(np.unique(np.asarray(found))) <= {0, 1, 4}


def test_planes_are_changed_one_by_one() -> None:
    stack = np.stack([label_map(60, 70)] * 2)
    found = np.asarray(nt.derive_labels(placed(stack), elastic=4))
    assert (found[0] != found[1]).any()
    alone = np.asarray(nt.derive_labels(placed(stack[:1]), elastic=4))
    np.testing.assert_array_equal(found[0], alone[0])


def test_flips_are_all_there_is_of_a_flipped_map() -> None:
    labels = label_map()
    found = [np.asarray(nt.derive_labels(labels, flip=True, seed=seed)) for seed in range(20)]
    ways = {labels[::y, ::x].tobytes() for y in (1, -1) for x in (1, -1)}
    assert {each.tobytes() for each in found} == ways


def test_classes_go_by_the_names_of_a_model_or_by_given_ones() -> None:
    labels = label_map(90, 110)
    wanted = {"move": 15, "seed": 2}
    plain = np.asarray(nt.derive_labels(labels, objects=[4], onto=[0], **wanted))
    model = denoiser()
    for named in ({"model": model}, {"model": model.card}, {"classes": {4: "wall", 0: "field"}}):
        found = nt.derive_labels(labels, objects="wall", onto="field", **wanted, **named)
        np.testing.assert_array_equal(np.asarray(found), plain)
    other = np.where(labels == 4, 200, labels)
    found = nt.derive_labels(
        other, objects="wall", onto="field", model=model, classes={200: "wall"}, **wanted
    )
    np.testing.assert_array_equal(np.asarray(found), np.where(plain == 4, 200, plain))


def test_a_map_with_a_number_per_object() -> None:
    labels = np.zeros((80, 80), np.int32)
    for number, (y, x) in enumerate(np.ndindex(3, 3), 1):
        labels[10 + 22 * y : 18 + 22 * y, 10 + 22 * x : 20 + 22 * x] = number * 10**6
    found = nt.derive_labels(labels, move=10, turn=180, objects="all")
    assert set(np.unique(np.asarray(found))) == set(np.unique(labels))
    step = found.provenance["steps"][-1]
    assert (step["settings"]["objects"], step["objects"]["of"]) == ("all", 9)
    assert step["objects"]["changed"] > 4


def test_a_model_whose_class_is_not_in_the_map_changes_nothing() -> None:
    labels = np.where(label_map() == 4, 0, label_map())
    found = nt.derive_labels(labels, move=5, objects="wall", model=denoiser())
    np.testing.assert_array_equal(np.asarray(found), labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "Nothing is to be changed"),
        ({"elastic": -1}, "elastic=-1: expected a number from 0"),
        ({"elastic": "5"}, "elastic='5'"),
        ({"elastic": float("nan")}, "elastic=nan"),
        ({"elastic": 8, "smoothness": 4}, "would fold"),
        ({"move": 3}, "no objects are named"),
        ({"move": -3, "objects": 1}, "move=-3"),
        ({"turn": 400, "objects": 1}, "turn=400: expected a number from 0 to 180"),
        ({"resize": 0.5, "objects": 1}, "resize=0.5: expected a number from 1"),
        ({"resize": (2, 0.5), "objects": 1}, "least factor first"),
        ({"resize": (-1, 2), "objects": 1}, "resize=-1"),
        ({"move": 3, "objects": 77}, "objects=77: the label map '' has the values 0, 1, 4"),
        ({"move": 3, "objects": "mito"}, "pass model= or classes="),
        ({"move": 3, "objects": "mito", "model": denoiser()}, "no such class. It has 0 field"),
        ({"move": 3, "objects": 1, "onto": 12}, "onto=12"),
        ({"elastic": 3, "seed": -1}, "seed=-1"),
        ({"elastic": 3, "model": 5, "objects": 1}, "got int"),
    ],
)
def test_what_cannot_be_right_is_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        nt.derive_labels(label_map(), **settings)
    assert message in str(caught.value)


def test_images_are_no_label_maps() -> None:
    with pytest.raises(InputError, match="float32"):
        nt.derive_labels(np.zeros((20, 20), np.float32), elastic=2)
