"""Objects across tiles: numbers that tiles agree on, cut objects matched, in bounded memory."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from models import SmallMemory, model_of
from networks import Fn
from scipy import ndimage
from skimage.measure import label

from napari_tincture.errors import TinctureError
from napari_tincture.grid import Grid
from napari_tincture.models import Normalisation
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.job import Plan, TileJob
from napari_tincture.tiling.matching import Matcher, largest_extent, rims_of
from napari_tincture.tiling.object_run import ObjectRunner, too_large
from napari_tincture.tiling.objects import ObjectJob
from napari_tincture.tiling.objects import number_by_first_pixel as by_first_pixel

AS_IT_IS = model_of(Fn(lambda _, x: x), 1, normalisation=Normalisation("none"))
ALL = frozenset(range(1, 1000))


def rectangles(shape: tuple[int, int], count: int, largest: int, seed: int = 0) -> np.ndarray:
    """Rectangles of ones that do not touch each other."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    for _ in range(count):
        y, x = rng.integers(0, shape)
        height, width = rng.integers(1, largest + 1, 2)
        place = np.s_[max(y - 1, 0) : y + height + 1, max(x - 1, 0) : x + width + 1]
        if not mask[place].any():
            mask[y : y + height, x : x + width] = True
    return mask


def parts(maps: np.ndarray) -> np.ndarray:
    return label(maps[0] > 0.5, connectivity=1)


def job_of(image: np.ndarray, halo: int, core: int, region=None, axes="yx", engine=None):
    inputs = map_channels(Raster.from_array(image.astype("f4"), axes), AS_IT_IS.card)
    return ObjectJob(TileJob(inputs, AS_IT_IS, Plan(core, region), engine=engine), parts, halo)


def streamed(job: ObjectJob):
    """All final labels (plane, y, x), each written once, and the facts of the run."""
    planes = list(job.inputs.planes)
    result = np.full((*job.inputs.counts, *job.grid.shape), -1, np.int64)

    def write(index, block):
        assert (result[index] == -1).all(), "written twice"
        result[index] = block

    facts = ObjectRunner(job).stream(write, lambda *_: None, CancelToken())
    assert (result >= 0).all()
    return result.reshape(len(planes), *job.grid.shape), facts


# Numbers by first pixel


@pytest.mark.parametrize("origin", [(0, 0), (7, 11)])
def test_an_object_is_numbered_by_its_first_pixel_in_the_plane(origin):
    mask = rectangles((30, 40), 40, 8)
    local = label(mask, connectivity=1)
    # Numbers of a segmentation are arbitrary: others must give the same.
    shuffled = np.random.default_rng(1).permutation(np.arange(1, local.max() + 1))
    shape = (60, 70)
    found = by_first_pixel(local, origin, shape)
    again = by_first_pixel(np.r_[0, shuffled][local], origin, shape)
    np.testing.assert_array_equal(found, again)
    assert ((found > 0) == mask).all()
    for number in range(1, local.max() + 1):
        y, x = np.argwhere(local == number)[0] + origin
        assert set(found[local == number]) == {np.ravel_multi_index((y, x), shape) + 1}


def test_without_background_or_without_objects():
    assert by_first_pixel(np.zeros((3, 4), int), (5, 5), (9, 9)).tolist() == [[0] * 4] * 3
    assert by_first_pixel(np.full((2, 2), 7), (1, 2), (9, 9)).tolist() == [[12, 12], [12, 12]]


def test_numbers_of_a_plane_of_more_than_2_to_31_pixels():
    found = by_first_pixel(np.ones((1, 1), np.int32), (99_999, 99_999), (100_000, 100_000))
    assert found.dtype == np.int64
    assert found.item() == 10**10


def test_the_type_is_wide_enough_for_all_planes(monkeypatch):
    job = job_of(np.zeros((3, 4, 4)), 2, 4, axes="tyx")
    assert job.dtype == np.int32
    wide = Grid((30_000, 30_000), ((0, 30_000),) * 2, (), (), job.grid.geometry)
    monkeypatch.setitem(job.__dict__, "grid", wide)
    # Three planes of 9 · 10⁸ pixels each.
    assert job.dtype == np.int64


# Union-find


def test_what_is_joined_has_one_name_its_least_in_any_order():
    pairs = [(9, 3), (3, 7), (20, 21), (7, 8), (5, 4), (21, 22), (4, 9), (30, 30)]
    expected = dict.fromkeys((3, 4, 5, 7, 8, 9), 3) | dict.fromkeys((20, 21, 22), 20) | {30: 30}
    for seed in range(30):
        order = random.Random(seed).sample(pairs, len(pairs))
        matcher = Matcher()
        for a, b in order:
            matcher.join(*((a, b) if seed % 2 else (b, a)))
        assert {n: matcher.find(n) for n in expected} == expected
    assert Matcher().find(12) == 12


def test_long_chains_are_found_without_recursion():
    matcher = Matcher()
    for n in range(100_000, 1, -1):
        matcher.join(n, n - 1)
    assert {matcher.find(n) for n in (1, 2, 50_000, 100_000)} == {1}


def test_matching_joins_best_partners_that_share_half_of_the_smaller():
    def joined(mine, theirs, edges=(ALL, ALL)):
        matcher = Matcher()
        matcher.match(np.array(mine), np.array(theirs), *edges)
        return matcher.find(10) == matcher.find(20)

    assert joined([[0, 10, 10, 10]], [[0, 20, 20, 20]])
    # The smaller one lies half within the larger.
    assert joined([[10] * 8 + [0] * 2], [[0] * 6 + [20] * 4])
    assert not joined([[10] * 8 + [0] * 3], [[0] * 6 + [20] * 5])
    # Another one is the better partner.
    assert not joined([[10, 10, 10, 10, 10]], [[20, 20, 30, 30, 30]])
    assert not joined([[10, 10, 11, 11, 11]], [[20, 20, 20, 20, 20]])
    # Nothing is joined with the background, nor what does not reach the edge between the cores.
    assert not joined([[10, 10, 0, 0]], [[0, 0, 20, 20]])
    assert not joined([[10, 10]], [[20, 20]], (frozenset(), ALL))
    assert not joined([[10, 10]], [[20, 20]], (ALL, frozenset()))


def test_matching_does_not_depend_on_who_asks():
    rng = np.random.default_rng(3)
    for _ in range(50):
        mine, theirs = rng.integers(0, 4, (2, 6, 6))
        theirs[theirs > 0] += 10
        first, second = Matcher(), Matcher()
        first.match(mine, theirs, ALL, ALL)
        second.match(theirs, mine, ALL, ALL)
        assert all(first.find(n) == second.find(n) for n in range(15))


# Rims


@pytest.mark.parametrize(("core", "halo"), [(8, 3), (8, 20), (5, 5), (30, 4)])
@pytest.mark.parametrize("region", [None, ((3, 29), (2, 37))])
def test_rims_of_neighbours_cover_the_same_pixels(core, halo, region):
    """With the position of every pixel for a label, common parts of two rims must be equal."""
    job = job_of(np.zeros((31, 40)), halo, core, region)
    grid = job.grid
    places = np.arange(np.prod(grid.shape)).reshape(grid.shape) + 1
    rims = {t.index: rims_of(t, places[slice(*t.y.window), slice(*t.x.window)]) for t in grid}
    met = 0
    for i, j in rims:
        for side, opposite, other in (
            ("right", "left", (i, j + 1)),
            ("bottom", "top", (i + 1, j)),
        ):
            assert (other in rims) == (side in rims[i, j])
            if other not in rims:
                continue
            mine, theirs = rims[i, j].pop(side), rims[other].pop(opposite)
            a, b = mine.common(theirs)
            np.testing.assert_array_equal(a, b)
            first, second = grid[i, j].kept, grid[other].kept
            before, after = places[first], places[second]
            if side == "right":
                before, after = before.T, after.T
            # What reaches the edge: the outermost lines of both cores.
            assert mine.at_edge == set(before[-1].tolist())
            assert theirs.at_edge == set(after[0].tolist())
            assert {*before[-1].tolist(), *after[0].tolist()} <= set(a.ravel().tolist())
            met += 1
    rows, columns = grid.counts
    assert met == rows * (columns - 1) + columns * (rows - 1)
    assert not any(rims.values())


# Whole


@pytest.mark.parametrize("core", [7, 16, 25, 60, 1000])
@pytest.mark.parametrize("seed", range(2))
def test_tiles_number_as_the_whole_image_is_numbered(core, seed):
    mask = rectangles((83, 97), 300, 9, seed)
    whole = label(mask, connectivity=1)
    found, facts = streamed(job_of(mask, 12, core))
    np.testing.assert_array_equal(found[0], whole)
    assert facts["objects"] == whole.max() > 60
    assert "warning" not in facts


@pytest.mark.parametrize("core", [8, 13, 20])
def test_objects_larger_than_the_halo_are_joined_and_told(core):
    mask = np.zeros((64, 70), bool)
    mask[3:60, 5:9] = mask[56:60, 5:66] = True  # an L through many tiles
    mask[10:50, 20:60] = True
    mask[0, 0] = mask[63, 69] = True
    found, facts = streamed(job_of(mask, 6, core))
    np.testing.assert_array_equal(found[0], label(mask, connectivity=1))
    assert facts["objects"] == 4
    assert "more than the halo of 6 pixels" in facts["warning"]


def test_what_a_window_cuts_at_its_far_end_is_joined_with_nothing():
    """There a segmentation may take two objects for one; both are seen whole from elsewhere."""
    image = np.zeros((10, 64))
    image[4:8, 11:18] = 1
    # Touches it, begins above it, and is cut by the third tile's window of columns 10 to 39.
    image[3:8, 8:11] = image[2, 10] = 2

    def segment(maps):
        both = maps[0] > 0
        cut = both[:, 0].any()
        return label(both) if cut else label(maps[0].astype(int))

    job = job_of(image, 10, 10)
    job.segment = segment
    found, facts = streamed(job)
    expected = np.where(image == 2, 1, np.where(image == 1, 2, 0))
    np.testing.assert_array_equal(found[0], expected)
    assert facts["objects"] == 2


def test_an_object_over_the_corner_of_four_tiles_is_one():
    mask = np.zeros((32, 32), bool)
    mask[13:19, 14:18] = True
    for halo in (8, 1):
        found, facts = streamed(job_of(mask, halo, 16))
        np.testing.assert_array_equal(found[0], mask)
        assert facts["objects"] == 1


def test_planes_go_on_counting():
    masks = np.stack([rectangles((40, 50), 60, 8, seed) for seed in range(3)])
    job = job_of(masks, 10, 16, axes="tyx")
    found, facts = streamed(job)
    offset = 0
    for mask, labels in zip(masks, found, strict=True):
        whole = label(mask, connectivity=1)
        np.testing.assert_array_equal(labels, np.where(mask, whole + offset, 0))
        offset += whole.max()
    assert facts["objects"] == offset


def test_blocks_have_numbers_of_their_own_in_every_plane():
    mask = rectangles((40, 50), 60, 8)
    job = job_of(np.stack([mask, mask, mask]), 10, 16, axes="zyx")
    seen = [set(), set(), set()]
    for plane, tile in itertools.product(job.inputs.planes, job.grid):
        block = job.block(plane, tile.index)
        assert ((block[0] > 0) == mask[tile.kept]).all()
        seen[plane[0]] |= set(np.unique(block[block > 0]).tolist())
    count = label(mask, connectivity=1).max()
    assert [len(s) for s in seen] == [count] * 3
    assert len(set().union(*seen)) == 3 * count


def test_largest_extent_counts_objects_of_cores_only():
    mask = np.zeros((40, 40), bool)
    mask[20, 12:38] = True
    _, facts = streamed(job_of(mask, 30, 10))
    assert "warning" not in facts
    _, facts = streamed(job_of(mask, 25, 10))
    assert "26 pixels across" in facts["warning"]
    assert too_large(8, 8) == {}


def test_cancelled_between_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    token = CancelToken()
    told = []

    def progress(done, total):
        told.append((done, total))
        if done == 3:
            assert list(tmp_path.iterdir())
            token.cancel()

    job = job_of(np.zeros((40, 40)), 4, 10)
    with pytest.raises(Exception, match="ancel"):
        ObjectRunner(job).stream(lambda *_: pytest.fail("written"), progress, token)
    assert told == [(n, 16) for n in range(4)]
    assert not list(tmp_path.iterdir())


# The walk


@pytest.mark.parametrize("shape", [(5, 5), (64, 200), (200, 64), (90, 90)])
@pytest.mark.parametrize("blocks", [1, 9, 30, 10_000])
def test_the_walk_visits_every_tile_once(shape, blocks):
    job = job_of(np.zeros(shape), 4, 10)
    job.maps.cache = BlockCache(blocks * 400)
    visited = list(job.walk())
    assert len(visited) == len(job.grid)
    assert set(visited) == {tile.index for tile in job.grid}


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [12, 18, 30])
def test_a_small_cache_costs_little_more_than_the_edges_of_strips(blocks):
    engine = SmallMemory(AS_IT_IS, 10**9)
    mask = rectangles((120, 400), 300, 8)
    job = job_of(mask, 10, 10, engine=engine)
    job.maps.cache = limited = BlockCache(blocks * 400)
    found, _ = streamed(job)
    np.testing.assert_array_equal(found[0], label(mask, connectivity=1))
    assert limited._bytes <= limited.limit
    # Each strip of columns computes those to its left and right again.
    rows, columns = job.grid.counts
    strips = -(-columns // (blocks // 3 - 2))
    assert len(engine.sizes) <= rows * (columns + 2 * (strips - 1))


def test_a_cache_that_holds_all_computes_each_block_once():
    engine = SmallMemory(AS_IT_IS, 10**9)
    job = job_of(rectangles((60, 60), 50, 8), 10, 10, engine=engine)
    streamed(job)
    assert len(engine.sizes) == len(job.grid)
    for tile in job.grid:
        job.block((), tile.index)
    assert len(engine.sizes) == len(job.grid)


def test_extents_are_those_of_bounding_boxes():
    mask = rectangles((50, 60), 40, 9)
    labels = by_first_pixel(label(mask, connectivity=1), (0, 0), mask.shape)
    job = job_of(mask, 10, 1000)
    boxes = ndimage.find_objects(label(mask, connectivity=1))
    expected = max(s.stop - s.start for box in boxes for s in box)
    assert largest_extent(labels, job.grid[0, 0]) == expected
    assert largest_extent(np.zeros_like(labels), job.grid[0, 0]) == 0


def test_temporary_labels_that_were_deleted_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def progress(done, total):
        if done == total:
            for chunk in tmp_path.glob("*/tiles/1-*.npz"):
                chunk.unlink()

    job = job_of(np.zeros((40, 40)), 4, 10)
    with pytest.raises(TinctureError, match="temporary file"):
        ObjectRunner(job).stream(lambda *_: None, progress, CancelToken())
