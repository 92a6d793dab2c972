"""The cache stays within its bytes, keeps what was used last, and gives nothing to write to."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_tincture.tiling.cache import BlockCache


def held(cache, keys):
    return {key: block for key in keys if (block := cache.get(key)) is not None}


def test_the_bytes_are_bounded():
    rng, cache = np.random.default_rng(0), BlockCache(10_000)
    for key in range(300):
        cache.put(key % 70, np.zeros(int(rng.integers(1, 4000)), np.uint8))
        assert sum(block.nbytes for block in held(cache, range(70)).values()) <= 10_000
    assert held(cache, range(70))


def test_the_least_recently_used_leaves_first():
    cache = BlockCache(3)
    for key in "abc":
        cache.put(key, np.zeros(1, np.uint8))
    cache.get("a")
    cache.put("d", np.zeros(1, np.uint8))
    assert set(held(cache, "abcd")) == {"a", "c", "d"}


def test_a_key_put_again_counts_once():
    cache = BlockCache(10)
    for _ in range(5):
        cache.put("a", np.zeros(6, np.uint8))
    cache.put("b", np.zeros(4, np.uint8))
    assert set(held(cache, "ab")) == {"a", "b"}


def test_what_is_larger_than_the_cache_is_not_kept():
    cache = BlockCache(10)
    cache.put("a", np.zeros(3, np.uint8))
    cache.put("b", np.zeros(11, np.uint8))
    assert set(held(cache, "ab")) == {"a"}


def test_blocks_are_read_only_and_can_be_forgotten():
    cache = BlockCache(10)
    cache.put("a", np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        cache.get("a")[0] = 1
    cache.clear()
    assert cache.get("a") is None
    cache.put("a", np.zeros(10, np.uint8))
    assert cache.get("a") is not None


def test_threads_may_share_it():
    cache, errors = BlockCache(500), []

    def use(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(300):
                key = int(rng.integers(40))
                block = cache.get(key)
                assert block is None or (block == key).all()
                cache.put(key, np.full(int(rng.integers(1, 60)), key, np.uint8))
        except AssertionError as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(block.nbytes for block in held(cache, range(40)).values()) <= 500
