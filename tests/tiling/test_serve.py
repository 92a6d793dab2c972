"""The server computes what is asked for, as the stream would, and remembers it on disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models import SmallMemory, image_of, model_of
from networks import EXACT, Fn

import napari_tincture as nt
from napari_tincture.io import tile_cache
from napari_tincture.models import Normalisation
from napari_tincture.tiling.live import LivePyramid
from napari_tincture.tiling.live_job import live_job, remember
from napari_tincture.tiling.serve import TileServer

PATIENCE = 20
IMAGE = image_of((2, 150, 130))
CORE = 32


class Counted(SmallMemory):
    """An engine that counts the windows that it has run to the end."""

    def __init__(self, model):
        super().__init__(model, 10**9)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def network(self, batch):
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        self.check()
        return super().network(batch)


class Live:
    """A pyramid and its server, and waiting for what they say."""

    def __init__(self, raster, model, on_disk=True):
        self.parts = live_job(raster)
        self.engine = self.parts.maps._engine = Counted(model)
        if on_disk:
            remember(self.parts)
        self._news = threading.Condition()
        self.pyramid = LivePyramid(self.parts.layout, self._hear)
        self.server = TileServer(*self._arguments())
        self.server.start()
        self.pyramid.connect(self.server)

    def _arguments(self):
        return self.parts.job, self.parts.maps, self.parts.layout, self.pyramid

    def _hear(self):
        with self._news:
            self._news.notify_all()

    def wait(self, condition):
        with self._news:
            assert self._news.wait_for(condition, PATIENCE), self.pyramid.status

    def look(self, y, x, plane=(), level=0):
        self.pyramid.look(plane, (y, x), level)

    def see(self, y, x, plane=()):
        self.look(y, x, plane)
        self.wait(lambda: not self.pyramid.status.queued)
        return self.pyramid.mosaic.read(plane, 0, slice(*y), slice(*x))

    def close(self):
        self.pyramid.close()
        self.server.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(tile_cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def live():
    """Open live results; all are closed at the end."""
    opened = []

    def open_live(raster, model, **options):
        opened.append(Live(raster, model, **options))
        return opened[-1]

    yield open_live
    for each in opened:
        each.engine.gate.set()
        each.close()
        assert not each.server.alive


def maps_of(_, x):
    """Object, border and depth: what is bright, with a pixel around."""
    inside = F.max_pool2d(x, 3, 1, 1)
    return torch.cat([inside, torch.zeros_like(x), x], 1)


def stained(model, image=IMAGE, **options):
    return nt.stain(nt.Raster.from_array(image, "cyx"), model, tile=CORE, **options)


WHOLE = (0, 150), (0, 130)


def test_tiles_have_the_bits_of_the_stream(live, plain):
    raster = stained(plain)
    found = live(raster, plain).see(*WHOLE)
    expected = np.asarray(stained(plain))
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


def test_only_what_was_on_screen_is_computed_and_once(live, plain):
    raster = stained(plain)
    each = live(raster, plain)
    for start in (0, 10, 40, 0, 40):
        each.see((start, start + 40), (0, 30))
    assert len(each.engine.sizes) == 3
    each.see(*WHOLE)
    assert len(each.engine.sizes) == len(each.parts.job.grid)
    assert each.pyramid.status.done == each.pyramid.status.total


def test_a_tile_that_left_the_screen_is_given_up_for_one_on_it(live, plain):
    each = live(stained(plain), plain)
    each.engine.gate.clear()
    each.look((0, 30), (0, 30))
    assert each.engine.entered.wait(PATIENCE)
    each.look((100, 120), (100, 120))
    each.engine.gate.set()
    each.wait(lambda: not each.pyramid.status.queued)
    assert not each.pyramid.mosaic.holds((), 0, (0, 0))
    assert each.pyramid.mosaic.holds((), 0, (3, 3))
    assert len(each.engine.sizes) == 1


def test_another_day_shows_what_was_computed(live, plain, cache):
    raster = stained(plain)
    first = live(raster, plain)
    expected = first.see((0, 60), (0, 60))
    first.close()
    second = live(stained(plain), plain)
    # Small copies come by themselves: the overview is there before anyone looks.
    second.wait(lambda: second.pyramid.status.done == 4)
    assert np.isfinite(second.pyramid.mosaic.lowest).any()
    np.testing.assert_array_equal(second.see((0, 60), (0, 60)), expected)
    assert second.engine.sizes == []
    second.see((0, 80), (0, 60))
    assert len(second.engine.sizes) == 2


def test_another_image_or_network_has_its_own_cache(live, plain):
    live(stained(plain), plain).see(*WHOLE)
    other = live(stained(plain, IMAGE + 1), plain)
    other.see((0, 30), (0, 30))
    assert len(other.engine.sizes) == 1
    network = EXACT["unet"]()
    next(network.parameters()).data += 1
    retrained = model_of(network)
    again = live(stained(retrained), retrained)
    again.see((0, 30), (0, 30))
    assert len(again.engine.sizes) == 1


def test_a_torn_file_is_as_good_as_none(live, plain, cache):
    first = live(stained(plain), plain)
    expected = first.see((0, 30), (0, 30))
    first.close()
    (file,) = list(cache.rglob("*.tile"))
    assert not list(cache.rglob("*.part"))
    file.write_bytes(file.read_bytes()[:-100])
    second = live(stained(plain), plain)
    np.testing.assert_array_equal(second.see((0, 30), (0, 30)), expected)
    assert len(second.engine.sizes) == 1


def test_values_begin_with_samples_and_settle(live, normed):
    raster = stained(normed, context="exact")
    each = live(raster, normed, on_disk=False)
    each.see((0, 30), (0, 30))
    each.wait(lambda: each.pyramid.status.sampled == 0 and each.pyramid.values is not None)
    found = each.see(*WHOLE)
    streamed = stained(normed, context="exact")
    np.testing.assert_array_equal(found, np.asarray(streamed).reshape(found.shape))
    # Nobody else is given provisional values.
    assert not raster.runner.job.known


def test_settled_values_are_there_the_next_day(live, normed):
    first = live(stained(normed, context="exact"), normed)
    first.see((0, 30), (0, 30))
    first.wait(lambda: first.pyramid.values is not None)
    expected = first.see(*WHOLE)
    first.close()
    second = live(stained(normed, context="exact"), normed)
    np.testing.assert_array_equal(second.see(*WHOLE), expected)
    assert second.engine.sizes == []
    assert second.pyramid.values == first.pyramid.values


def test_objects_are_those_of_the_lazy_result(live):
    step = {"largest": 20, "min_size": 4, "threshold": 0.6, "seed_threshold": 0.6}
    model = model_of(
        Fn(maps_of), 1, 3, task="segment", instances=step, normalisation=Normalisation("none")
    )
    image = image_of((100, 90), "float32")

    def raster():
        return nt.segment(nt.Raster.from_array(image, "yx"), model, tile=CORE)

    each = live(raster(), model)
    found = each.see((0, 100), (0, 90))[0]
    assert found.max() > 0
    np.testing.assert_array_equal(found, raster().data.compute(scheduler="synchronous"))
    assert len(each.engine.sizes) == len(each.parts.job.grid)
    each.close()
    again = live(raster(), model)
    np.testing.assert_array_equal(again.see((0, 100), (0, 90))[0], found)
    assert again.engine.sizes == []


def test_classes_are_those_of_the_lazy_result(live):
    model = model_of(EXACT["unet"](), task="segment")
    image = nt.Raster.from_array(image_of((2, 100, 90)), "cyx")
    raster = nt.segment(image, model, output="classes", tile=CORE)
    parts = live_job(raster)
    pyramid = LivePyramid(parts.layout, lambda: None)
    for i, j in pyramid.mosaic.tiles(((0, 100), (0, 90))):
        pyramid.arrived((), (i, j), parts.job.block((), (i, j)))
    found = pyramid.mosaic.read((), 0, slice(0, 100), slice(0, 90))[0]
    np.testing.assert_array_equal(found, np.asarray(raster))


def test_planes_and_regions(live, plain):
    image = nt.Raster.from_array(image_of((3, 2, 150, 130)), "tcyx")
    raster = nt.stain(image, plain, tile=CORE, region={"y": (7, 90), "x": (11, 130)})
    each = live(raster, plain)
    found = each.see((0, 83), (0, 119), (1,))
    np.testing.assert_array_equal(found[0], np.asarray(raster).reshape(3, 83, 119)[1])


def test_an_error_is_told(live, plain):
    image = IMAGE.astype(np.float32)
    image[:, 5, 5] = np.nan
    each = live(stained(plain, image), plain)
    each.look((0, 30), (0, 30))
    each.wait(lambda: each.pyramid.status.problem)
    assert "nonfinite='background'" in each.pyramid.status.problem
    assert each.pyramid.status.queued == 0


def test_an_image_that_is_only_read_cannot_be_live():
    with pytest.raises(nt.InputError, match="without live=True"):
        live_job(nt.Raster.from_array(IMAGE, "cyx"))


def test_the_oldest_job_leaves_the_disk_first(tmp_path: Path):
    caches = []
    for number in range(3):
        cache = tile_cache.TileCache(tmp_path, {"number": number}, 10**6)
        cache.open()
        cache.use((), {"stats": [], "shares": []})
        cache.put(((), (0, 0)), np.zeros(1000, np.uint8))
        cache.flush()
        caches.append(cache)
        time_of_use = 1_000_000 + number
        os.utime(cache.folder, (time_of_use, time_of_use))
    tile_cache.trim(tmp_path, 3000, keep=caches[0].folder)
    assert [cache.folder.exists() for cache in caches] == [True, False, True]


def test_a_disk_that_cannot_be_written_is_as_good_as_none(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    cache = tile_cache.TileCache(blocked, {}, 10**6)
    cache.open()
    cache.use((), {"stats": [], "shares": []})
    cache.put(((), (0, 0)), np.zeros(10, np.uint8))
    cache.flush()
    assert cache.get(((), (0, 0))) is not None
    cache.clear()
    assert cache.get(((), (0, 0))) is None


def test_no_cache_on_disk_where_none_is_wanted(live, plain, monkeypatch, cache):
    monkeypatch.setenv(tile_cache.VARIABLE, "")
    each = live(stained(plain), plain)
    each.see((0, 30), (0, 30))
    assert not cache.exists()
