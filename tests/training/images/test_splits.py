from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.images.splits import Splits, position, split


def domain(names: list[str], shape: tuple[int, ...] = (8, 8), axes: str = "yx") -> Domain:
    values = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    return Domain.open([Raster.from_array(values, axes, name=name) for name in names])


def names(found: Splits[Any]) -> tuple[set[str], ...]:
    parts = (found.train, found.validation, found.test)
    return tuple({p.name for p in part.pictures} if part else set() for part in parts)


def test_shares_are_drawn_by_name_and_further_images_move_none() -> None:
    some, more = ([f"img{n}" for n in range(count)] for count in (300, 400))
    before, after = (names(split(domain(each), 0.2, 0.1)) for each in (some, more))
    for one, other in zip(before, after, strict=True):
        assert one <= other
    assert [len(part) for part in before] == pytest.approx([210, 60, 30], abs=15)
    assert names(split(domain(some), 0.2, 0.1, seed=1)) != before
    # A number that was computed once: the same on every machine and in every version.
    assert position("img0", 0) == pytest.approx(0.57430620, abs=1e-8)


def test_a_share_is_never_empty_while_training_keeps_an_image() -> None:
    for seed in range(5):
        train, validation, test = names(split(domain(list("xyz")), 0.01, 0.01, seed=seed))
        assert (len(train), len(validation), len(test)) == (1, 1, 1)


def test_planes_of_an_image_stay_together() -> None:
    found = split(domain(["a", "b", "c", "d"], (3, 8, 8), "zyx"), ["a"])
    assert len(found.validation.pictures) == 3
    assert names(found) == ({"b", "c", "d"}, {"a"}, set())


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (["img08.png", "img19"], {"img08", "img19"}),
        ({"regex": "^img0"}, {"img08", "img09"}),
        ({"ends": ["8", "9"]}, {"img08", "img09", "img19"}),
    ],
)
def test_images_are_chosen_by_name(choice: Any, expected: set[str]) -> None:
    found = split(domain(["img08", "img09", "img10", "img19"]), 0.0, choice)
    assert names(found) == ({"img08", "img09", "img10", "img19"} - expected, set(), expected)
    assert all(name in found.note for name in expected)


def test_a_single_image_is_split_along_its_longer_side() -> None:
    found = split(domain(["x"], (40, 100)), 0.2, 0.1, crop=8)
    parts = (found.train, found.validation, found.test)
    assert [part.pictures[0].shape for part in parts] == [(40, 54), (40, 20), (40, 10)]
    assert found.note == "columns 0–53 train, 62–81 validation, 90–99 test"
    raw = found.test.pictures[0].raw(slice(0, 1), slice(0, 10))
    np.testing.assert_array_equal(raw[0, 0], np.arange(90, 100))
    tall = split(domain(["x"], (3, 90, 40), "zyx"), 0.1, crop=8, gap=2)
    assert tall.note == "rows 0–78 train, 81–89 validation"
    assert len(tall.train.pictures) == 3
    with pytest.raises(InputError, match=r"'x' of 40 × 100 px.*crop"):
        split(domain(["x"], (40, 100)), 0.2, crop=64)


def test_columns_may_be_given() -> None:
    columns = {"train": [0, 62], "validation": [64, 75], "test": [76, 100]}
    pairs = Pairs(domain(["x"], (40, 100)), domain(["y"], (40, 100)))
    found = split(pairs, columns=columns)
    assert found.note == "columns 0–61 train, 64–74 validation, 76–99 test"
    assert found.test.b.pictures[0].shape == (40, 24)
    for wrong in ({"train": [0, 50], "test": [49, 60]}, {"test": [0, 9]}, {"train": [0, 101]}):
        with pytest.raises(InputError, match="not overlapping"):
            split(pairs, columns=wrong)


def test_impossible_splits_are_refused() -> None:
    two = domain(["x", "y"])
    with pytest.raises(InputError, match="left for training"):
        split(two, ["x"], ["y"])
    with pytest.raises(InputError, match="not there: z"):
        split(two, ["z"])
    with pytest.raises(InputError, match="expected a share, a list"):
        split(two, "x")
    with pytest.raises(InputError, match="less than 1"):
        split(two, 0.5, 0.5)


def test_planes_of_a_stack_may_be_given() -> None:
    stack = domain(["stack"], (5, 8, 9), "zyx")
    planes = {"train": [0, 2], "validation": [2, 3], "test": [3, 5]}
    found = split(Pairs.match(stack, stack), planes=planes)
    parts = (found.train, found.validation, found.test)
    assert [[p.plane for p in part.pictures] for part in parts if part] == [
        [(0,), (1,)], [(2,)], [(3,), (4,)],
    ]  # fmt: skip
    assert found.note == "planes 0–1 train, 2–2 validation, 3–4 test"
    with pytest.raises(InputError, match=r"planes=.*within 0 and 5"):
        split(stack, planes={"train": [0, 6]})
    with pytest.raises(InputError, match="columns and planes"):
        split(stack, planes=planes, columns={"train": [0, 6]})
