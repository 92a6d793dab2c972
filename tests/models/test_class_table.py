from __future__ import annotations

import numpy as np
import pytest
from painters import CLASSES, denoiser

from napari_tincture.errors import InputError
from napari_tincture.models.class_table import ClassTable, classes_of, value_counts

CARD = denoiser().card


def test_values_are_those_of_the_card() -> None:
    assert classes_of(CARD) == dict(zip((0, 1, 4), CLASSES, strict=True))
    labels = np.array([[0, 4], [1, 1]], np.int64)
    np.testing.assert_array_equal(ClassTable.of(CARD).encode(labels, "m"), [[0, 2], [1, 1]])


def test_other_values_mean_what_somebody_says() -> None:
    table = ClassTable.of(CARD, {"9": "wall", 2: 1, 3: None})
    labels = np.array([[9, 2, 3, 0]], np.uint16)
    np.testing.assert_array_equal(table.encode(labels, "m"), [[2, 1, -1, 0]])


def test_unknown_values_are_named_with_a_remedy() -> None:
    labels = np.array([[0, 7, 7], [200, 1, 1]])
    table = ClassTable.of(CARD)
    assert table.unknown(labels) == {7: 2, 200: 1}
    with pytest.raises(InputError, match=r"7 \(2 px\), 200 \(1 px\).*0 field, 1 cell, 4 wall"):
        table.encode(labels, "m")


def test_a_map_without_any_class_is_refused_but_not_a_part_of_one() -> None:
    table = ClassTable.of(CARD, {8: None})
    nothing = np.full((2, 2), 8)
    with pytest.raises(InputError, match="empty"):
        table.encode(nothing, "m")
    assert (table.encode(nothing, "m", part=True) == -1).all()


@pytest.mark.parametrize("given", [{5: "sky"}, {5: 3}, {"x": "wall"}])
def test_classes_that_the_model_does_not_have_are_refused(given: dict) -> None:
    with pytest.raises(InputError, match="classes="):
        ClassTable.of(CARD, given)


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", ">i2", "i4", "u8"])
def test_values_are_counted_as_numpy_does(dtype: str) -> None:
    values = np.random.default_rng(0).integers(-300, 300, (3, 400, 300)).astype(dtype)[..., ::2, 5:]
    expected = zip(*np.unique(values, return_counts=True), strict=True)
    assert value_counts(values) == {int(value): int(count) for value, count in expected}
