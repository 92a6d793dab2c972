from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tincture.diffusion.subjects import LabelMap, Nothing, Picture, Subject

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(-1, 4, (13, 18)).astype(np.int16)
EDGES = RNG.random((13, 18)) < 0.3
SUBJECTS = {
    "classes": LabelMap(CLASSES, 4),
    "classes with edges": LabelMap(CLASSES, 4, EDGES),
    "picture": Picture(RNG.random((3, 13, 18), np.float32)),
    "nothing": Nothing((13, 18)),
}
CHANNELS = {"classes": 4, "classes with edges": 5, "picture": 3, "nothing": 0}


@pytest.fixture(params=SUBJECTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def subject(name: str) -> Subject:
    return SUBJECTS[name]


def test_a_window_shows_what_is_there(subject: Subject, name: str) -> None:
    whole = subject.condition(slice(0, 13), slice(0, 18))
    assert whole.shape == (CHANNELS[name], 13, 18)
    assert whole.dtype == torch.float32
    part = subject.condition(slice(2, 9), slice(5, 18))
    assert torch.equal(part, whole[:, 2:9, 5:18])


def test_beyond_the_edges_it_is_mirrored(subject: Subject) -> None:
    whole = subject.condition(slice(0, 13), slice(0, 18)).numpy()
    found = subject.condition(slice(-20, 16), slice(3, 30)).numpy()
    wanted = np.pad(whole, ((0, 0), (20, 3), (0, 12)), mode="reflect")[:, :, 3:]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 32])
def test_sides_of_smaller_ones_are_rounded_up(subject: Subject, factor: int) -> None:
    smaller = subject.coarser(factor)
    assert smaller.shape == (-(-13 // factor), -(-18 // factor))
    assert type(smaller) is type(subject)
    if factor == 1:
        assert not subject.changed(smaller).any()


def test_nothing_changes_of_itself(subject: Subject) -> None:
    changed = subject.changed(subject)
    assert changed.shape == (13, 18)
    assert changed.dtype == bool
    assert not changed.any()


def test_classes_are_channels_and_none_has_none() -> None:
    found = SUBJECTS["classes"].condition(slice(0, 13), slice(0, 18)).numpy()
    np.testing.assert_array_equal(found.sum(0), CLASSES >= 0)
    for number in range(4):
        np.testing.assert_array_equal(found[number], number == CLASSES)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_classes_of_even_squares_stay(factor: int) -> None:
    large = LabelMap(np.kron(CLASSES, np.ones((factor, factor), np.int16)), 4)
    np.testing.assert_array_equal(large.coarser(factor).classes, CLASSES)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_edges_have_no_gaps_where_they_were_without(factor: int) -> None:
    edges = np.zeros((13, 18), bool)
    for place in range(13):
        edges[place, place : place + 2] = True
        smaller = LabelMap(CLASSES, 4, edges).coarser(factor).edges
        blocks = {(y // factor, x // factor) for y, x in np.argwhere(edges)}
        assert {(int(y), int(x)) for y, x in np.argwhere(smaller)} == blocks


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_smaller_pictures_are_means_of_squares(factor: int) -> None:
    picture = SUBJECTS["picture"]
    found = picture.coarser(factor).values
    tall, wide = 13 // factor, 18 // factor
    for y in range(tall):
        for x in range(wide):
            square = picture.values[:, y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            # A sum of up to 16 numbers in float32.
            np.testing.assert_allclose(found[:, y, x], square.mean((1, 2)), rtol=1e-6)
    assert found.dtype == np.float32


def test_changes_are_found_where_they_are() -> None:
    classes, edges, values = CLASSES.copy(), EDGES.copy(), SUBJECTS["picture"].values.copy()
    classes[3, 4] += 1
    edges[7, 8] ^= True
    values[1, 9, 9] += 1
    for subject, places in (
        (LabelMap(classes, 4), {(3, 4)}),
        (LabelMap(classes, 4, edges), {(3, 4), (7, 8)}),
        (Picture(values), {(9, 9)}),
    ):
        before = {4: SUBJECTS["classes"], 5: SUBJECTS["classes with edges"], 3: SUBJECTS["picture"]}
        known = before[len(subject.condition(slice(0, 1), slice(0, 1)))]
        found = {(int(y), int(x)) for y, x in np.argwhere(known.changed(subject))}
        assert found == places
