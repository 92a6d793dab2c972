"""Maps that are cut on the way give the same core."""

from __future__ import annotations

import pytest
import torch
from models import PLAIN, check_equal, model_of
from networks import EXACT, INEXACT, Fn, conv, unet

from napari_tincture.grid import Grid
from napari_tincture.tiling.engine import Engine
from napari_tincture.tiling.reach import measure, reach_of
from napari_tincture.tiling.trim import same_place, trim_points, trimmed


def windows(model, shape, core):
    torch.manual_seed(1)
    reach = reach_of(model)
    grid = Grid.cut(shape, (core, core), reach.geometry)
    image = torch.rand(1, 2, *shape).contiguous(memory_format=torch.channels_last)
    for tile in grid:
        yield tile, image[:, :, slice(*tile.y.window), slice(*tile.x.window)]


@pytest.mark.parametrize("name", EXACT)
def test_cores_are_those_of_the_whole_window(name):
    model = model_of(EXACT[name]())
    stride = reach_of(model).geometry.stride
    engine = Engine(model, reach_of(model), "cpu")
    if reach_of(model).sites or reach_of(model).geometry.border == "mirror":
        assert trim_points(model.network, 2, reach_of(model)) == ()
        return
    side = 60 // stride * stride or 3 * stride
    for tile, window in windows(model, (5 * side, 3 * side), side):
        with engine.session():
            (whole,) = engine.run([window], ())
            (found,) = engine.run_cores([window], (), [tile])
        expected = whole[(slice(None), *tile.inner)]
        check_equal(found.numpy(), expected.numpy(), PLAIN)


def test_decoders_are_cut_and_what_has_no_join_is_not():
    for name in ("unet", "unet deep", "nested unet"):
        model = model_of(EXACT[name]())
        points = trim_points(model.network, 2, reach_of(model))
        assert points
        assert all(p.radius < reach_of(model).geometry.halo for p in points)
        assert all(p.radius % reach_of(model).geometry.stride == 0 for p in points)
    for name in ("dead relu", "depthwise", "nearest"):
        model = model_of(EXACT[name]())
        assert trim_points(model.network, 2, reach_of(model)) == ()


def test_less_is_computed_behind_a_join():
    model = model_of(unet(depth=3).eval())
    seen = []
    model.network.last.register_forward_hook(lambda _, x, y: seen.append(tuple(y.shape[-2:])))
    engine = Engine(model, reach_of(model), "cpu")
    tile, window = list(windows(model, (288, 288), 96))[4]
    with engine.session():
        engine.run_cores([window], (), [tile])
    assert seen[-1][0] < window.shape[-2]
    assert seen[-1][0] >= 96


@pytest.mark.parametrize("name", INEXACT)
def test_what_is_not_exact_is_left_whole(name):
    network = INEXACT[name][0]().eval()
    assert trim_points(network, 2, measure(network, 2)) == ()


def test_a_network_that_looks_at_the_size_of_its_maps_is_left_whole():
    def forward(self, x):
        y = self.a(x)
        y = torch.cat([y, self.b(y)], 1)
        if y.shape[2:] != x.shape[2:]:
            raise ValueError("sizes differ")
        return self.last(y)

    network = Fn(forward, a=conv(2, 2, 7), b=conv(2, 2, 7), last=conv(4, 1)).eval()
    assert trim_points(network, 2, measure(network, 2)) == ()


def test_a_network_that_adds_its_input_at_the_end_is_left_whole():
    def forward(self, x):
        y = self.a(x)
        return self.last(torch.cat([y, self.b(y)], 1)) + x[:, :1]

    network = Fn(forward, a=conv(2, 2, 7), b=conv(2, 2, 7), last=conv(4, 1)).eval()
    assert trim_points(network, 2, measure(network, 2)) == ()


def test_tiles_that_lie_differently_in_their_windows_make_no_batch():
    model = model_of(EXACT["unet"]())
    tiles = [tile for tile, _ in windows(model, (96, 96), 24)]
    for a in tiles:
        for b in tiles:
            alike = [(s.window_size, s.core[0] - s.window[0], s.core_size) for s in (a.y, a.x)] == [
                (s.window_size, s.core[0] - s.window[0], s.core_size) for s in (b.y, b.x)
            ]
            assert alike == (same_place(a) == same_place(b))


def test_other_steps_than_measured_are_an_error():
    model = model_of(EXACT["unet"]())
    points = trim_points(model.network, 2, reach_of(model))
    tile, window = list(windows(model, (96, 96), 24))[5]
    with (
        torch.inference_mode(),
        pytest.raises(RuntimeError, match="not cat"),
        trimmed(points, tile),
    ):
        EXACT["resnet"]()(window)


def test_the_networks_own_state_is_not_touched():
    network = unet().train()
    state = {k: v.clone() for k, v in network.state_dict().items()}
    trim_points(network, 2, measure(network, 2))
    assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())
