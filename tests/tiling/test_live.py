"""A live pyramid computes what is looked at, once, nearest first, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tincture.tiling.live import MOST_ON_SCREEN, SLOTS, LivePyramid
from napari_tincture.tiling.live_layout import LiveLayout

SIDE = 32
COUNT = 20


class Kitchen:
    """A backend that does what the test says, when it says so."""

    def __init__(self):
        self.pyramid = None
        self.orders = []
        self.cooked = []
        self.revoked = []
        self.closed = False

    def request(self, plane, index, urgent):
        assert not self.closed
        self.orders.append((plane, index, urgent))

    def revoke(self, plane, index):
        self.revoked.append((plane, index))

    def close(self):
        self.closed = True

    def cook(self, count=1):
        """Answer the oldest orders, as a kitchen with one cook does."""
        for _ in range(count):
            plane, index, _ = self.orders.pop(0)
            if (plane, index) in self.revoked:
                self.revoked.remove((plane, index))
                self.pyramid.dropped(plane, index)
                continue
            self.cooked.append((plane, index))
            block = np.full((1, SIDE, SIDE), index[0] * COUNT + index[1], np.float32)
            self.pyramid.arrived(plane, index, block, seconds=2.0)

    def cook_all(self):
        while self.orders:
            self.cook()


@pytest.fixture
def news():
    return []


@pytest.fixture
def kitchen(news):
    layout = LiveLayout(
        leading="z", counts=(3,), rows=(SIDE,) * COUNT, columns=(SIDE,) * COUNT, channels=1,
        dtype=np.dtype("float32"),
    )  # fmt: skip
    kitchen = Kitchen()
    kitchen.pyramid = LivePyramid(layout, lambda: news.append(1))
    kitchen.pyramid.connect(kitchen)
    return kitchen


def screen(y, x, height=3, width=3):
    """Pixels of so many tiles from tile (y, x) on."""
    return (y * SIDE, (y + height) * SIDE), (x * SIDE, (x + width) * SIDE)


def test_the_nearest_to_the_centre_come_first_and_each_once(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((1,), screen(4, 5), 0)
    assert len(kitchen.orders) == SLOTS
    kitchen.cook_all()
    tiles = [index for _, index in kitchen.cooked]
    assert tiles[0] == (5, 6)
    assert set(tiles[1:5]) == {(4, 6), (5, 5), (5, 7), (6, 6)}
    assert sorted(tiles) == [(i, j) for i in (4, 5, 6) for j in (5, 6, 7)]
    pyramid.look((1,), screen(4, 5), 0)
    assert kitchen.orders == []
    pyramid.look((1,), screen(5, 5), 0)
    kitchen.cook_all()
    assert sorted(index for _, index in kitchen.cooked[9:]) == [(7, 5), (7, 6), (7, 7)]


def test_what_left_the_screen_is_dropped(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    kitchen.cook()
    pyramid.look((0,), screen(10, 10), 0)
    assert len(kitchen.revoked) == SLOTS
    kitchen.cook_all()
    seen = {(i, j) for i in (10, 11, 12) for j in (10, 11, 12)}
    assert {index for _, index in kitchen.cooked[1:]} == seen
    assert pyramid.status.queued == 0


def test_a_revoked_tile_that_came_back_is_computed(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    pyramid.look((0,), screen(10, 10), 0)
    pyramid.look((0,), screen(0, 0), 0)
    kitchen.cook_all()
    assert sorted(index for _, index in kitchen.cooked) == [
        (i, j) for i in range(3) for j in range(3)
    ]


def test_a_tile_that_was_too_far_to_be_revoked_is_kept(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    ((plane, index), *_) = [order[:2] for order in kitchen.orders]
    pyramid.look((0,), screen(10, 10), 0)
    kitchen.orders.pop(0)
    kitchen.revoked.remove((plane, index))
    pyramid.arrived(plane, index, np.ones((1, SIDE, SIDE), np.float32))
    kitchen.cook_all()
    pyramid.look((0,), screen(0, 0), 0)
    kitchen.cook_all()
    assert (plane, index) not in kitchen.cooked


def test_an_overview_computes_nothing(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0, COUNT, COUNT), 0)
    assert COUNT * COUNT > MOST_ON_SCREEN
    assert kitchen.orders == []
    assert pyramid.status.overview
    pyramid.look((0,), screen(0, 0), 0)
    assert not pyramid.status.overview


def test_a_hidden_layer_computes_nothing(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    pyramid.look_away()
    kitchen.cook_all()
    assert kitchen.cooked == []
    assert pyramid.status.queued == 0


def test_the_rest_is_computed_behind_what_is_on_screen(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    pyramid.finish()
    kitchen.cook(9)
    assert sorted(index for _, index in kitchen.cooked) == [
        (i, j) for i in range(3) for j in range(3)
    ]
    assert pyramid.status.finishing
    assert not any(urgent for *_, urgent in kitchen.orders)
    pyramid.look((2,), screen(8, 8), 0)
    assert len(kitchen.revoked) == SLOTS
    kitchen.cook(SLOTS)
    kitchen.cook(9)
    assert all(plane == (2,) for plane, _ in kitchen.cooked[9:18])
    kitchen.cook_all()
    assert len(kitchen.cooked) == len(set(kitchen.cooked)) == 3 * COUNT * COUNT
    assert pyramid.status.done == pyramid.status.total
    assert not pyramid.status.finishing


def test_finishing_can_be_ended(kitchen):
    pyramid = kitchen.pyramid
    pyramid.finish()
    kitchen.cook(3)
    pyramid.finish(False)
    kitchen.cook_all()
    assert len(kitchen.cooked) == 3


def test_the_status_says_how_long_the_screen_needs(kitchen, news):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    assert pyramid.status.seconds is None
    kitchen.cook()
    assert pyramid.status.seconds == 16
    assert pyramid.status.queued == 8
    assert pyramid.status.done == 1
    assert len(news) >= 2


def test_a_tile_that_fails_is_told_and_not_asked_for_again(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0, 1, 1), 0)
    kitchen.orders.clear()
    pyramid.failed((0,), (0, 0), "InputError: the file is gone")
    assert "file is gone" in pyramid.status.problem
    pyramid.look((0,), screen(0, 0, 1, 1), 0)
    assert kitchen.orders == []


def test_settled_values_replace_the_tiles(kitchen):
    pyramid = kitchen.pyramid
    pyramid.know((0,), "0", {"stats": []}, False)
    pyramid.look((0,), screen(0, 0), 0)
    kitchen.cook_all()
    assert pyramid.status.sampled == 1
    pyramid.know((0,), "0", {"stats": [1]}, True)
    pyramid.settle((0,), True)
    assert pyramid.status.sampled == 0
    assert np.isfinite(pyramid.mosaic.read((0,), 0, slice(0, 9), slice(0, 9))).all()
    kitchen.cook_all()
    assert len(kitchen.cooked) == 18
    pyramid.settle((0,), False)
    assert kitchen.orders == []
    assert pyramid.values is None
    for plane in (1, 2):
        pyramid.know((plane,), str(plane), {}, True)
    assert pyramid.values == {"0": {"stats": [1]}, "1": {}, "2": {}}


def test_another_backend_goes_on_where_the_first_was_lost(kitchen):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    kitchen.cook(2)
    pyramid.lose("The worker ended.")
    assert pyramid.status.problem == "The worker ended."
    other = Kitchen()
    other.pyramid = pyramid
    pyramid.connect(other)
    other.cook_all()
    assert len(set(kitchen.cooked) | set(other.cooked)) == 9
    assert not set(kitchen.cooked) & set(other.cooked)
    assert pyramid.status.problem == ""


def test_nothing_is_done_for_a_closed_layer(kitchen, news):
    pyramid = kitchen.pyramid
    pyramid.look((0,), screen(0, 0), 0)
    pyramid.close()
    assert kitchen.closed
    heard = len(news)
    plane, index, _ = kitchen.orders[0]
    pyramid.arrived(plane, index, np.ones((1, SIDE, SIDE), np.float32))
    pyramid.dropped(*kitchen.orders[1][:2])
    pyramid.look((0,), screen(5, 5), 0)
    assert len(news) == heard
    assert not pyramid.mosaic.holds((0,), 0, index)
