"""What `signature` notices, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tincture import open_image
from napari_tincture.io.identity import differences, signature


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (3, 300, 500), np.uint8)


def test_same_pixels_have_the_same_signature_from_array_and_file(tmp_path, pixels):
    np.save(tmp_path / "a.npy", pixels)
    first = signature(open_image(pixels, axes="zyx"))
    second = signature(open_image(tmp_path / "a.npy", axes="zyx"))
    assert second.pop("path") == str(tmp_path / "a.npy")
    assert first.pop("path") is None
    assert first == second


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 150, 250), (2, 299, 499)])
def test_a_changed_spot_is_noticed(pixels, place):
    before = signature(open_image(pixels, axes="zyx"))
    pixels[place] += 1
    assert differences(before, signature(open_image(pixels, axes="zyx")))[0].startswith("sample:")


def test_little_of_a_large_image_is_read():
    class Counting:
        shape, dtype, ndim = (100_000, 100_000), np.dtype(np.uint8), 2
        read = 0

        def __getitem__(self, index):
            block = np.zeros([s.stop - s.start for s in index], np.uint8)
            self.read += block.size
            return block

    source = Counting()
    signature(open_image(source))
    assert 0 < source.read < 40e6


def test_differences_name_what_changed():
    before = {"model": {"weights": "a", "name": "n"}, "tile": 512}
    now = {"model": {"weights": "b", "name": "n"}, "tile": 512, "new": 1}
    assert differences(before, now) == ["model.weights: 'a' → 'b'", "new: None → 1"]


def test_a_spot_that_could_not_be_read_is_no_difference():
    before = {"images": [{"sample": "a", "shape": [3]}]}
    now = {"images": [{"sample": None, "shape": [4]}]}
    assert differences(before, now) == ["images[0].shape[0]: 3 → 4"]
