"""Axes: what is understood, what is refused, and how arrays are reordered."""

import numpy as np
import pytest

from napari_tincture import axes as ax
from napari_tincture.errors import InputError


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [("yx", (3, 4), "yx"), ("XYZ", (3, 4, 5), "xyz"), ("tczyx", (1, 2, 3, 4, 5), "tczyx")],
)
def test_stated_axes_are_accepted_in_any_order_and_case(axes, shape, expected):
    assert ax.check_axes(axes, shape) == expected


@pytest.mark.parametrize(
    ("axes", "shape", "reason"),
    [
        ("qyx", (2, 3, 4), "unknown"),
        ("yyx", (2, 3, 4), "repeated"),
        ("zy", (2, 3), "y and x"),
        ("yx", (2, 3, 4), "3 dimensions"),
        ("", (2, 3), "y and x"),
    ],
)
def test_wrong_axes_are_refused_with_an_example(axes, shape, reason):
    with pytest.raises(InputError, match=reason) as caught:
        ax.check_axes(axes, shape)
    assert f"axes='{ax.example(len(shape))}'" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("z", "y", "x"), "zyx"),
        (("Time", "Y", "X"), "tyx"),
        (("x", "channel", "y"), "xcy"),
        (("y", "y", "x"), None),
        (("a", "y", "x"), None),
        (("-2", "-1"), None),
        (("t", "c"), None),
    ],
)
def test_labels_are_read_only_when_they_spell_all_axes(labels, expected):
    assert ax.axes_from_labels(labels) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("z", "-2", "-1"), "zyx"),
        (("t", "axis -2", "axis -1"), "tyx"),
        (("-3", "-2", "-1"), None),
        (("y", "-2", "-1"), None),
    ],
)
def test_default_labels_of_the_last_two_axes_stand_for_y_and_x(labels, expected):
    assert ax.axes_from_labels(labels, last_two_are_yx=True) == expected


def test_reordering_there_and_back_is_the_identity():
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    there = ax.reorder(array, "xczy", "czyx")
    assert there.shape == (3, 4, 5, 2)
    np.testing.assert_array_equal(ax.reorder(there, "czyx", "xczy"), array)


@pytest.mark.parametrize(
    ("axes", "wanted", "expected"),
    [
        ("zyx", "zcyx", "zyx"),
        ("czyx", "zyx", "czyx"),
        ("tczyx", "ztyx", "cztyx"),
        ("cyx", "yxc", "yxc"),
        ("tczyx", "", "tczyx"),
    ],
)
def test_layers_keep_the_order_of_their_source(axes, wanted, expected):
    assert ax.display_order(axes, wanted) == expected
