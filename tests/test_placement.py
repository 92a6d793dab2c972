"""Placement agrees with napari's own composition of transforms, whatever is done to it."""

import json

import numpy as np
import pytest
from napari.layers import Image

from napari_tincture.errors import InputError
from napari_tincture.placement import Placement, micrometres, unit_name

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

# All maps are exact up to the rounding of a few products of numbers near one.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def some_placement(n: int, seed: int = 0, *, coupled: bool = True) -> Placement:
    """A random placement; without coupling, only the last two axes are rotated and sheared."""
    rng = np.random.default_rng(seed)
    m = n if coupled else 2
    rotate, shear, affine = np.eye(n), np.eye(n), np.eye(n + 1)
    rotate[n - m :, n - m :] = np.linalg.qr(rng.normal(size=(m, m)))[0]
    shear[n - m :, n - m :] += np.triu(rng.normal(size=(m, m)), 1)
    affine[n - m : n, n - m : n] += 0.1 * rng.normal(size=(m, m))
    affine[:n, n] = rng.normal(size=n)
    return Placement.build(
        "tczyx"[-n:],
        scale=rng.uniform(0.1, 2, n),
        translate=rng.normal(size=n),
        rotate=rotate,
        shear=shear,
        affine=affine,
        units=["second", "pixel", "um", "um", "um"][-n:],
    )


def napari_map(placement: Placement, points: np.ndarray) -> np.ndarray:
    layer = Image(np.zeros((2,) * placement.ndim), **placement.layer_options())
    return np.array([layer.data_to_world(point) for point in points])


def own_map(placement: Placement, points: np.ndarray) -> np.ndarray:
    matrix = placement.matrix()
    return points @ matrix[:-1, :-1].T + matrix[:-1, -1]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_matrix_is_that_of_a_napari_layer(n):
    placement = some_placement(n)
    points = np.random.default_rng(1).normal(size=(5, n))
    np.testing.assert_allclose(own_map(placement, points), napari_map(placement, points), **CLOSE)


@pytest.mark.parametrize("shear", [[0.5], [0.1, 0.2, 0.3], [[1, 0, 0], [0.5, 1, 0], [0, 0.2, 1]]])
def test_shear_is_understood_as_napari_understands_it(shear):
    placement = Placement.build("zyx", shear=shear)
    layer = Image(np.zeros((2, 2, 2)), shear=shear)
    points = np.random.default_rng(5).normal(size=(5, 3))
    expected = np.array([layer.data_to_world(point) for point in points])
    np.testing.assert_allclose(own_map(placement, points), expected, **CLOSE)


def test_a_crop_stays_where_it_was():
    placement, offset = some_placement(4), np.array([1.0, 2.0, 3.0, 4.0])
    points = np.random.default_rng(2).normal(size=(5, 4))
    np.testing.assert_allclose(
        own_map(placement.crop(offset), points), own_map(placement, points + offset), **CLOSE
    )


def test_a_pyramid_level_is_centred_on_the_pixels_that_it_covers():
    placement = some_placement(3)
    level = placement.level((1, 2, 4))
    np.testing.assert_allclose(
        own_map(level, np.zeros((1, 3))), own_map(placement, np.array([[0, 0.5, 1.5]])), **CLOSE
    )
    np.testing.assert_allclose(
        own_map(level, np.array([[0, 1, 1]])),
        own_map(placement, np.array([[0, 2.5, 5.5]])),
        **CLOSE,
    )


@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_dropping_an_axis_moves_nothing_along_the_others(axis, coupled):
    placement = some_placement(4, coupled=coupled)
    points = np.random.default_rng(3).normal(size=(5, 4))
    points[:, axis] = 0
    expected = np.delete(own_map(placement, points), axis, axis=1)
    dropped = placement.drop(axis)
    np.testing.assert_allclose(own_map(dropped, np.delete(points, axis, axis=1)), expected, **CLOSE)
    assert dropped.scale == tuple(np.delete(placement.scale, axis))


def test_dropping_an_axis_that_is_not_rotated_keeps_the_components():
    placement = some_placement(3, coupled=False)
    dropped = placement.drop(0)
    assert dropped.rotate == tuple(row[1:] for row in placement.rotate[1:])
    assert dropped.shear == tuple(row[1:] for row in placement.shear[1:])


@pytest.mark.parametrize("position", [0, 1, 3])
def test_an_inserted_axis_is_the_identity_and_can_be_dropped(position):
    placement = some_placement(3)
    inserted = placement.insert(position, "c")
    assert inserted.axis_labels[position] == "c"
    assert inserted.drop(position) == placement


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 1, 0, 2)])
def test_permuting_axes_permutes_the_map(order):
    placement = some_placement(4)
    points = np.random.default_rng(4).normal(size=(5, 4))
    permuted = placement.permute(order)
    np.testing.assert_allclose(
        own_map(permuted, points[:, order]), own_map(placement, points)[:, order], **CLOSE
    )
    # napari refuses a shear that is not triangular.
    np.testing.assert_allclose(own_map(permuted, points), napari_map(permuted, points), **CLOSE)


def test_json_keeps_every_number():
    placement = some_placement(5)
    assert Placement.from_json(json.loads(json.dumps(placement.to_json()))) == placement


@pytest.mark.parametrize(
    ("unit", "name", "length"),
    [
        ("um", "micrometer", 1), ("µm", "micrometer", 1), ("micron", "micrometer", 1),
        ("Micrometre", "micrometer", 1), ("nm", "nanometer", 1e-3), ("mm", "millimeter", 1e3),
        ("meter", "meter", 1e6), ("pixel", "pixel", None), (None, "pixel", None),
        ("s", "second", None), ("angstrom", "angstrom", 1e-4),
    ],
)  # fmt: skip
def test_units_are_spelled_as_pint_does(unit, name, length):
    assert unit_name(unit) == name
    assert micrometres(name) == pytest.approx(length)


def test_pint_units_of_a_layer_are_understood():
    layer = Image(np.zeros((2, 2)), units=("nm", "mm"))
    assert [unit_name(unit) for unit in layer.units] == ["nanometer", "millimeter"]


def test_pixel_size_is_in_micrometres_and_survives_rotation():
    turn = np.deg2rad(30)
    rotate = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    placement = Placement.build("yx", scale=(500, -250), rotate=rotate, units="nm")
    assert placement.pixel_size(-2) == pytest.approx(0.5)
    assert placement.pixel_size(-1) == pytest.approx(0.25)
    assert Placement.build("yx").pixel_size(-1) is None


def test_time_does_not_count_for_the_pixel_size():
    affine = np.eye(4)
    affine[0, 2] = 7
    placement = Placement.build("tyx", scale=(2, 0.5, 0.5), affine=affine, units=("s", "um", "um"))
    assert placement.pixel_size(-1) == pytest.approx(0.5)
    assert placement.pixel_size(-2) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": (0, 1)}, {"scale": (np.nan, 1)}, {"translate": (np.inf, 0)}, {"scale": (1, 1, 1)},
        {"rotate": np.eye(3)}, {"affine": np.eye(2)}, {"units": ("um",)},
    ],
)  # fmt: skip
def test_impossible_placements_are_refused(options):
    with pytest.raises(InputError):
        Placement.build("yx", **options)
