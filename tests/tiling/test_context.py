"""Values of the whole image: by lock-step, by passes, replayed; always the whole network's."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from greenlet import greenlet
from networks import EXACT, REDUCTIONS, Fn, conv, reducing
from torch.utils._python_dispatch import _get_current_dispatch_mode

from napari_tincture.errors import Cancelled, ModelError
from napari_tincture.grid import Grid
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.context import (
    collect_by_passes,
    difference,
    frozen,
    lock_step,
    merge,
)
from napari_tincture.tiling.reach import measure
from napari_tincture.tiling.reductions import Extremum, Moments

SIZE = (48, 36)


class Setting:
    """A network, measured; an image of a legal size; its tiles; the whole image's result."""

    def __init__(self, network, size=SIZE, core=16):
        torch.manual_seed(0)
        self.network, self.image = network, torch.rand(1, 2, *size)
        self.reach = measure(network, 2)
        self.tiles = list(Grid.cut(size, (core, core), self.reach.geometry))
        self.mode = torch.inference_mode
        self.reads = 0
        with torch.inference_mode():
            self.whole = network(self.image)

    def read(self, tile):
        self.reads += 1
        return self.image[:, :, slice(*tile.y.window), slice(*tile.x.window)].contiguous()

    def empty(self):
        return torch.full_like(self.whole, torch.nan)

    def lock_step(self, **options):
        result = self.empty()

        def put(tile, output):
            result[(..., *tile.kept)] = output[(..., *tile.inner)]

        options = {"read": self.read, "network": self.network, "deliver": put, **options}
        with self.mode():
            found = lock_step(self.reach.sites, self.tiles, **options)
        return found, result

    def replay(self, values):
        result = self.empty()
        with self.mode():
            for tile in self.tiles:
                window = self.read(tile)
                with frozen(self.reach.sites, values):
                    output = self.network(window)
                result[(..., *tile.kept)] = output[(..., *tile.inner)]
        return result

    def check(self, result):
        # Relative to the spread of the output; float32 sums over tiles differ in their last digits.
        gap = (result - self.whole).abs().max() / self.whole.std()
        assert float(gap) < 2e-5


def thread_state():
    return (
        torch._C._dispatch_tls_local_include_set(),
        torch._C._dispatch_tls_local_exclude_set(),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
    )


@pytest.fixture(autouse=True)
def nothing_is_left_behind(monkeypatch):
    """No tile stays suspended, and torch is as it was."""
    started, before = [], thread_state()

    class Watched(greenlet):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(weakref.ref(self))

    monkeypatch.setattr("napari_tincture.tiling.context.greenlet", Watched)
    yield
    assert _get_current_dispatch_mode() is None
    assert thread_state() == before
    tasks = [task for task in (ref() for ref in started) if task is not None]
    assert [task for task in tasks if task] == []


@pytest.mark.parametrize("name", REDUCTIONS)
def test_all_ways_give_the_whole_networks_result(name):
    setting = Setting(reducing(name))
    found, result = setting.lock_step()
    assert len(found.values) == len(setting.reach.sites) > 0
    setting.check(result)
    setting.check(setting.replay(found.values))
    passes = collect_by_passes(setting.reach.sites, setting.tiles, setting.read, setting.network)
    assert passes.halves_differ == found.halves_differ
    for a, b in zip(found.values, passes.values, strict=True):
        assert difference(a, b) == 0
    setting.check(setting.replay(passes.values))


@pytest.mark.parametrize("name", [name for name, s in EXACT.items() if s.sites])
def test_published_blocks_are_exact_in_lock_step(name):
    setting = Setting(EXACT[name](), size=(96, 60), core=24)
    found, result = setting.lock_step()
    setting.check(result)
    setting.check(setting.replay(found.values))


@pytest.mark.parametrize("name", ["mean", "instance norm", "group norm", "batch norm in training"])
def test_grad_mode_of_the_caller_does_not_matter(name):
    setting = Setting(reducing(name))
    for mode in (torch.no_grad, torch.enable_grad):
        setting.mode = mode
        found, result = setting.lock_step()
        setting.check(result)
        setting.check(setting.replay(found.values))


def test_one_pass_reads_every_window_once():
    setting = Setting(reducing("one after the other"))
    setting.lock_step()
    assert setting.reads == len(setting.tiles)


def test_tiles_larger_than_the_image_and_of_one_stride():
    for core in (1, 2, 1000):
        setting = Setting(reducing("instance norm"), size=(10, 14), core=core)
        setting.check(setting.lock_step()[1])


def test_a_map_finer_than_the_image_is_reduced_too():
    def forward(self, x):
        y = torch.nn.functional.instance_norm(self.up(x))
        return self.down(y)

    network = Fn(
        forward, up=torch.nn.ConvTranspose2d(2, 4, 2, 2), down=conv(4, 1, 4, stride=2, padding=1)
    )
    setting = Setting(network.eval())
    assert setting.reach.exact
    setting.check(setting.lock_step()[1])


def test_outputs_are_delivered_in_the_order_of_the_tiles():
    setting, delivered = Setting(reducing("mean")), []
    setting.lock_step(deliver=lambda tile, _: delivered.append(tile))
    assert delivered == setting.tiles


class Boom(Exception):
    """Something that goes wrong in one tile."""


@pytest.mark.parametrize("where", [0, 3, 8])
@pytest.mark.parametrize("stage", ["read", "network", "late", "deliver"])
@pytest.mark.parametrize("error", [Boom, torch.OutOfMemoryError, KeyboardInterrupt])
def test_an_error_in_one_tile_unwinds_all(where, stage, error):
    setting = Setting(reducing("one after the other"))
    calls = {"n": -1}

    def fail(when):
        if when:
            raise error("boom")

    def read(tile):
        fail(stage == "read" and setting.tiles.index(tile) == where)
        return setting.read(tile)

    def forward(x):
        calls["n"] += 1
        number = calls["n"]
        fail(stage == "network" and number == where)
        y = setting.network(x)
        fail(stage == "late" and number == where)
        return y

    def deliver(tile, output):
        fail(stage == "deliver" and setting.tiles.index(tile) == where)

    with pytest.raises(error):
        setting.lock_step(read=read, network=forward, deliver=deliver)
    # The next run starts as if nothing had been.
    setting.check(setting.lock_step()[1])


@pytest.mark.parametrize("after", [0, 1, 5, 13])
def test_cancelling_ends_all_tiles(after):
    setting, token = Setting(reducing("one after the other")), CancelToken()
    steps = {"n": 0}

    def check():
        steps["n"] += 1
        if steps["n"] > after:
            token.cancel()
        token.check()

    with pytest.raises(Cancelled):
        setting.lock_step(check=check)
    assert steps["n"] == after + 1
    steps["n"], token = 0, CancelToken()
    with pytest.raises(Cancelled):
        collect_by_passes(setting.reach.sites, setting.tiles, setting.read, setting.network, check)


def test_no_feature_map_outlives_an_error():
    setting, refs = Setting(reducing("mean")), []

    def forward(x):
        refs.append(weakref.ref(x))
        if len(refs) == 5:
            raise Boom
        return setting.network(x)

    with pytest.raises(Boom) as caught:
        setting.lock_step(network=forward)
    del caught
    gc.collect()
    assert [r for r in refs if r() is not None] == []


def test_a_network_that_takes_other_steps_than_when_measured_is_told():
    setting = Setting(reducing("mean"))
    other = reducing("amax")
    with pytest.raises(ModelError, match="steps depend on the data"):
        setting.lock_step(network=other)
    fewer = conv(2, 1)
    with pytest.raises(ModelError, match="fewer reductions"):
        setting.lock_step(network=fewer)
    with pytest.raises(ModelError, match="fewer reductions"):
        collect_by_passes(setting.reach.sites, setting.tiles, setting.read, fewer)


def test_values_of_halves_that_agree_and_that_do_not():
    even = torch.rand(1, 4, 64, 64)
    uneven = even.clone()
    uneven[..., 32:] += 3
    for image, low, high in ((even, 0.0, 0.1), (uneven, 0.9, 4.0)):
        shares = [Moments.of(part, (2, 3)) for part in image.split(32, 3)]
        assert low <= difference(*shares) < high
        peaks = [Extremum(part.amax((2, 3), keepdim=True), True) for part in image.split(32, 3)]
        assert (difference(*peaks) > 0.5) == (image is uneven)


def test_a_difference_does_not_depend_on_scale_or_offset():
    torch.manual_seed(0)
    a, b = torch.randn(2, 1, 3, 32, 32, dtype=torch.float64)
    plain = difference(*(Moments.of(v, (2, 3)) for v in (a, b)))
    moved = difference(*(Moments.of(1e3 * v + 1e4, (2, 3)) for v in (a, b)))
    assert moved == pytest.approx(plain, rel=1e-6)


def test_the_merge_of_all_tiles_is_the_whole():
    values = torch.rand(1, 2, 30, 40, dtype=torch.float64)
    whole = Moments.of(values, (2, 3))
    merged = merge([Moments.of(part, (2, 3)) for part in values.split(7, 3)])
    torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(merged.variance, whole.variance, rtol=1e-12, atol=0)
