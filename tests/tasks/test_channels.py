"""Every input of a model finds its source, or the error says which does not, and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.models import Channel, ModelCard
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.tasks.channels import map_channels

VALUES = np.random.default_rng(0).integers(0, 1000, (2, 3, 4, 9, 11)).astype("uint16")
IMAGE = Raster.from_array(VALUES, "tczyx", name="scan", channels=("DAPI", "GFP", "phase"))
PLANES = Raster.from_array(
    VALUES[0, 0], "zyx", name="stack", display={"planes": ["z00", "z01", "z02", "z03"]}
)
PLANE = Raster.from_array(VALUES[0, 0, 0], "yx", name="plane")


def card_of(*names: str) -> ModelCard:
    return ModelCard("small", "stain", "test", tuple(map(Channel, names)), (Channel("out"),))


ONE, TWO, FOCUS = card_of("DAPI"), card_of("a", "b"), card_of(*(f"phase_z{i:02d}" for i in (0, 2)))


def read(inputs, plane=(0, 0)):
    return inputs.read(plane[: len(inputs.leading)], slice(0, 9), slice(0, 11))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (["GFP", "DAPI"], [1, 0]),
        ([2, 0], [2, 0]),
        ([-1, np.int64(1)], [2, 1]),
        ({"a": "phase", "b": 0}, [2, 0]),
        ({"b": "phase", "a": "phase"}, [2, 2]),
        ({"a": ("c", 1), "b": ["c", -1]}, [1, 2]),
    ],
)
def test_channels_by_name_and_index(choice, expected):
    inputs = map_channels(IMAGE, TWO, choice)
    assert inputs.leading == "tz"
    for plane in inputs.planes:
        t, z = plane
        np.testing.assert_array_equal(read(inputs, plane), VALUES[t, expected, z])


def test_channels_are_found_by_their_names():
    np.testing.assert_array_equal(read(map_channels(IMAGE, ONE)), VALUES[0, [0], 0])
    both = card_of("phase", "DAPI")
    np.testing.assert_array_equal(read(map_channels(IMAGE, both)), VALUES[0, [2, 0], 0])


def test_channels_are_taken_in_order_where_their_number_is_the_models():
    inputs = map_channels(IMAGE, card_of("a", "b", "c"))
    np.testing.assert_array_equal(read(inputs, (1, 2)), VALUES[1, :, 2])
    np.testing.assert_array_equal(read(map_channels(PLANE, ONE)), VALUES[0, [0], 0])


def test_copies_of_grey_are_the_only_channel_and_never_the_channels_of_colour():
    grey = card_of("grey 1", "grey 2", "grey 3")
    np.testing.assert_array_equal(read(map_channels(PLANE, grey)), VALUES[0, [0, 0, 0], 0])
    with pytest.raises(InputError, match="takes 3 channels"):
        map_channels(IMAGE, grey)
    chosen = map_channels(IMAGE, grey, [2, 2, 2])
    np.testing.assert_array_equal(read(chosen), VALUES[0, [2, 2, 2], 0])


@pytest.mark.parametrize("rgba", [3, 4])
def test_colours_are_channels_and_transparency_is_none(rgba):
    values = VALUES[0, 0, :rgba].astype("u1")
    image = Raster.from_array(values, "cyx", rgb=True)
    np.testing.assert_array_equal(read(map_channels(image, card_of("r", "g", "b"))), values[:3])


def test_planes_become_channels():
    four = card_of("a", "b", "c", "d")
    inputs = map_channels(PLANES, four)
    assert inputs.leading == ""
    np.testing.assert_array_equal(read(inputs), VALUES[0, 0])
    named = map_channels(PLANES, card_of("z02", "z00"))
    np.testing.assert_array_equal(read(named), VALUES[0, 0, [2, 0]])
    chosen = map_channels(PLANES, TWO, [("z", 3), "z01"])
    np.testing.assert_array_equal(read(chosen), VALUES[0, 0, [3, 1]])


def test_a_name_that_begins_several_takes_them_in_order_along_an_axis():
    inputs = map_channels(PLANES, FOCUS, {"phase": "z"})
    np.testing.assert_array_equal(read(inputs), VALUES[0, 0, [0, 1]])
    along_c = map_channels(IMAGE, FOCUS, {"phase_z": "c"})
    np.testing.assert_array_equal(read(along_c, (1, 1)), VALUES[1, [0, 1], 1])
    same = map_channels(IMAGE, FOCUS, {"phase": "GFP"})
    np.testing.assert_array_equal(read(same), VALUES[0, [1, 1], 0])


def test_axes_that_an_input_is_fixed_at_are_not_run_over():
    image = IMAGE.plane(c=0)
    inputs = map_channels(image, TWO, [("z", 1), ("z", -1)])
    assert inputs.leading == "t"
    np.testing.assert_array_equal(read(inputs, (1,)), VALUES[1, 0, [1, 3]])


def test_another_image_is_an_input():
    other = Raster.from_array(VALUES[0, 1, 0].astype("f4") / 7, "yx", name="other")
    inputs = map_channels(PLANE, TWO, [0, other])
    found = read(inputs)
    assert found.dtype == np.result_type("u2", "f4")
    np.testing.assert_array_equal(found[0], VALUES[0, 0, 0])
    np.testing.assert_array_equal(found[1], VALUES[0, 1, 0].astype("f4") / 7)
    # A plain array and an image with one channel do as well.
    plain = map_channels(PLANE, TWO, [0, VALUES[0, 1, 0]])
    np.testing.assert_array_equal(read(plain), VALUES[0, :2, 0])
    one = Raster.from_array(VALUES[0, 1:2, 0], "cyx")
    np.testing.assert_array_equal(read(map_channels(PLANE, TWO, [one, 0]))[0], VALUES[0, 1, 0])


def test_another_image_without_t_is_the_same_at_every_time():
    movie = IMAGE.plane(c=0, z=0)
    inputs = map_channels(movie, TWO, [0, PLANE])
    assert inputs.leading == "t"
    for t in range(2):
        np.testing.assert_array_equal(read(inputs, (t,)), [VALUES[t, 0, 0], VALUES[0, 0, 0]])


def test_another_image_with_t_goes_along():
    movie, second = IMAGE.plane(c=0, z=0), IMAGE.plane(c=1, z=0)
    inputs = map_channels(movie, TWO, [0, second])
    for t in range(2):
        np.testing.assert_array_equal(read(inputs, (t,)), VALUES[t, :2, 0])


def placed(**placement):
    return Raster.from_array(
        VALUES[0, 1, 0], "yx", name="moved", placement=Placement.build("yx", **placement)
    )


def test_grids_may_differ_by_rounding_and_by_units():
    image = placed(scale=(0.5, 0.5), translate=(10, 20), units="micrometer")
    for other in (
        placed(scale=(0.5, 0.5 + 1e-4), translate=(10.01, 20), units="micrometer"),
        placed(scale=(500, 500), translate=(10_000, 20_000), units="nanometer"),
    ):
        assert len(map_channels(image, TWO, [0, other]).lanes) == 2


@pytest.mark.parametrize(
    ("placement", "distance"),
    [
        ({"translate": (0, 3)}, "3"),
        ({"scale": (1, 2)}, "11"),
        ({"rotate": [[0, -1], [1, 0]]}, ""),
        ({"affine": [[1, 0, 0], [0, 1, -2.5], [0, 0, 1]]}, "2.5"),
    ],
)
def test_images_that_lie_elsewhere_are_named(placement, distance):
    with pytest.raises(InputError, match=f"'b'.*'moved'.*{distance} pixels away.*'plane'.*Align"):
        map_channels(PLANE, TWO, [0, placed(**placement)])


def test_the_same_numbers_in_other_units_are_another_place():
    image = placed(scale=(0.5, 0.5), units="micrometer")
    with pytest.raises(InputError, match="pixels away"):
        map_channels(image, TWO, [0, placed(scale=(0.5, 0.5), units="nanometer")])


SIX = card_of(*(f"phase_z{i:02d}" for i in range(6)))
# Each with words for what came, what was expected or there is, and what to do.
ERRORS = {
    "too few channels": (IMAGE, TWO, None, ["takes 2", "a, b", "c=3", "DAPI", "channels={'a': 0}"]),
    "too many planes": (PLANES, FOCUS, None, ["z=4", "{'phase_z00': 0}", "{'phase': 'z'}"]),
    "no input of that name": (IMAGE, TWO, {"x": 0}, ["'x'", "a, b"]),
    "an input left out": (IMAGE, TWO, {"a": 0}, ["where b come", "c=3", "DAPI, GFP"]),
    "too short a list": (IMAGE, TWO, [0], ["names 1", "takes 2", "a, b"]),
    "too long a list": (IMAGE, TWO, [0, 1, 2], ["names 3", "takes 2", "a, b"]),
    "index beyond": (IMAGE, TWO, [0, 3], ["'b'", "c=3", "'scan'", "0 to 2"]),
    "index before": (IMAGE, TWO, [-4, 0], ["'a'", "c=-4", "0 to 2"]),
    "plane beyond": (PLANES, TWO, [("z", 4), 0], ["'a'", "z=4", "'stack'", "0 to 3"]),
    "no such axis": (PLANE, TWO, [("z", 0), 0], ["'a'", "z", "'plane'", "y=9, x=11"]),
    "unknown channel": (IMAGE, TWO, ["DAPI", "RFP"], ["'b'", "'RFP'", "DAPI, GFP, phase"]),
    "no names": (PLANE, TWO, ["RFP", 0], ["'a'", "'RFP'", "y=9, x=11"]),
    "too few planes": (PLANES, SIX, {"phase": "z"}, ["6 places", "z=4"]),
    "no such axis to fill from": (PLANE, FOCUS, {"phase": "z"}, ["2 places along z", "y=9, x=11"]),
    "nothing": (IMAGE, TWO, [None, 0], ["'a'", "None", "channel or an image"]),
    "truth": (IMAGE, TWO, [True, 0], ["'a'", "True", "channel or an image"]),
    "part of a plane's place": (IMAGE, TWO, [("z", 1), 0], ["'a'", "z=1", "not said which c"]),
    "one fixed, one not": (PLANES, TWO, [("z", 1), 0], ["'b'", "not said which z", "plane(z=0)"]),
    "another with channels": (PLANE, TWO, [0, IMAGE.plane(t=0, z=0)], ["c=3", "one channel"]),
    "another with planes": (PLANE, TWO, [0, PLANES], ["'b'", "'stack'", "which z", "plane(z=0)"]),
    "another of another size": (
        PLANE, TWO, [0, PLANE.crop({"y": slice(1, None)})], ["'b'", "y=8", "y=9", "Crop or"],
    ),
    "a place that is no number": (IMAGE, TWO, [("c", "x"), 0], ["'a'", "'x'", "('c', 0)"]),
    "a place between planes": (PLANES, TWO, [("z", 1.5), ("z", 0)], ["'a'", "1.5", "('z', 0)"]),
    "what is no image": (PLANE, TWO, [0, object()], ["object", "no image", "Give"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_came_what_there_is_and_what_to_do(name):
    image, card, channels, words = ERRORS[name]
    with pytest.raises(InputError) as caught:
        map_channels(image, card, channels)
    text = str(caught.value)
    assert [word for word in words if word not in text] == [], text
    assert text.endswith(".")


def test_lists_of_images_are_no_place():
    both = [VALUES[0, 0, 0], VALUES[0, 1, 0]]
    with pytest.raises(InputError, match=r"'b'.*c=2.*Expected one channel"):
        map_channels(PLANE, TWO, [0, both])


def test_what_does_not_fit_is_refused_before_anything_is_read(monkeypatch):
    def read(*_):
        raise AssertionError("read")

    monkeypatch.setattr("napari_tincture.tiling.inputs.Reader.read", read)
    assert len(map_channels(IMAGE, TWO, [0, 1]).lanes) == 2


@pytest.mark.parametrize("policy", ["error", "background"])
def test_the_policy_for_nan_goes_with_the_inputs(policy):
    assert map_channels(IMAGE, ONE, nonfinite=policy).nonfinite == policy
