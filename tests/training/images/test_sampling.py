from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_tincture.errors import InputError
from napari_tincture.models.card import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.training.images.augment import Augment, places_of, random_matrix, sample_at
from napari_tincture.training.images.crops import turned
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.images.prefetch import prefetched
from napari_tincture.training.images.sampling import Sampler, Sampling

RAW = Normalisation()
TURNS = Augment(flips=(True, True), rot90=True)
BENDS = Augment(flips=(True, True), rot90=True, rotate=20, scale=(0.8, 1.3), elastic=1.5)


def numbered(height: int, width: int, first: int = 0) -> np.ndarray:
    """Every pixel tells where it is."""
    return (first + np.arange(height * width)).reshape(height, width).astype(np.float32)


def domain(*images: Any, **options: Any) -> Domain:
    return Domain.open(list(images), normalisation=RAW, **options)


class Recorded:
    """An array that remembers which windows were read."""

    def __init__(self, height: int, width: int) -> None:
        self.shape, self.dtype, self.ndim = (height, width), np.dtype(np.float32), 2
        self.reads: list[tuple[int, int]] = []

    def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
        y, x = (np.arange(n)[s] for n, s in zip(self.shape, index, strict=True))
        self.reads.append((len(y), len(x)))
        return (y[:, None] * 1e-3 + x[None]).astype(np.float32)


def test_a_batch_depends_on_seed_step_and_rank_alone() -> None:
    images = domain(numbered(40, 50), numbered(30, 60))
    how = Sampling(crop=16, batch=3, augment=BENDS, seed=5)
    batch = Sampler(how, images, images)(7)
    other = Sampler(how, images, images)
    other(3)
    for key, value in other(7).items():
        assert torch.equal(value, batch[key])
    assert (batch["a"].shape, batch["a"].dtype) == ((3, 1, 16, 16), torch.float32)
    assert not torch.equal(batch["a"], batch["b"])
    assert not torch.equal(batch["a"], other(8)["a"])
    assert not torch.equal(batch["a"], Sampler(how, images, rank=1, ranks=2)(7)["a"])
    assert not torch.equal(batch["a"], Sampler(Sampling(crop=16, batch=3, seed=6), images)(7)["a"])


def test_prefetched_batches_are_the_same() -> None:
    sampler = Sampler(Sampling(crop=16, augment=BENDS), domain(numbered(40, 50)))
    with prefetched(sampler, range(5)) as next_batch:
        for step in range(5):
            assert torch.equal(next_batch(step)["a"], sampler(step)["a"])


@pytest.mark.parametrize("augment", [Augment(), TURNS])
def test_crops_cover_the_whole_field(augment: Augment) -> None:
    height, width, size = 26, 30, 8
    sampler = Sampler(Sampling(crop=size, batch=3000, augment=augment), domain(numbered(26, 30)))
    seen = sampler(0)["a"].long().flatten()
    hits = torch.bincount(seen, minlength=height * width).reshape(height, width).numpy()
    assert hits.min() > 0
    inner = hits[size:-size, size:-size]
    expected = 3000 * size**2 / ((height - size + 1) * (width - size + 1))
    assert inner.mean() == pytest.approx(expected, rel=0.05)  # three standard errors
    assert inner.std() < 0.08 * expected


def test_turns_and_flips_move_pixels_without_changing_them() -> None:
    crops = Sampler(Sampling(crop=5, batch=200, augment=TURNS), domain(numbered(5, 5)))(0)["a"]
    forms = {tuple(crop.flatten().tolist()) for crop in crops}
    image = numbered(5, 5)
    turned = [np.rot90(each, k) for k in range(4) for each in (image, image[::-1])]
    assert forms == {tuple(form.ravel().tolist()) for form in turned}


def test_turning_equals_interpolating_at_whole_pixels() -> None:
    image = torch.from_numpy(numbered(5, 5))[None]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        matrix = random_matrix(TURNS, rng)
        expected = sample_at(image, places_of(5, matrix, (2, 2), TURNS, rng))
        torch.testing.assert_close(turned(image, matrix), expected, atol=1e-4, rtol=0)


def test_only_the_window_of_a_crop_is_read() -> None:
    array = Recorded(5000, 4000)
    sampler = Sampler(Sampling(crop=32, batch=4, augment=TURNS), domain(array))
    sampler(0)
    assert array.reads == [(32, 32)] * 4
    array.reads.clear()
    Sampler(Sampling(crop=32, batch=20, augment=BENDS), domain(array))(0)
    assert len(array.reads) == 20
    # 32 px, zoomed out by 0.8, turned by 20° either way and bent by some pixels.
    assert max(map(max, array.reads)) < 32 / 0.8 * 1.3 + 20


@pytest.mark.parametrize("side", [24, 64])
def test_bent_crops_are_those_of_the_whole_image(side: int) -> None:
    image = np.random.default_rng(0).random((side, side + 8)).astype(np.float32)
    sampler = Sampler(Sampling(crop=24, batch=8, augment=BENDS), domain(image))
    crops = sampler._streams[0].crops
    for seed in range(8):
        crop = crops.draw(seed, np.random.default_rng(seed))
        assert crop.places is not None
        expected = sample_at(torch.from_numpy(image)[None], crop.places)
        torch.testing.assert_close(crops.read(crop)[0], expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("augment", [TURNS, BENDS, Augment(relief=True), Augment(resize=20)])
def test_pairs_stay_aligned(augment: Augment) -> None:
    a = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    pairs = Pairs(domain(a), domain(a))
    batch = Sampler(Sampling(crop=16, batch=20, augment=augment), pairs=pairs)(0)
    assert set(batch) == {"a", "b"}
    if augment.relief:
        # Upside down, hills become hollows: the input changes its sign, the target does not.
        signs = (batch["a"] / batch["b"]).round().long()
        assert set(signs.unique().tolist()) == {-1, 1}
        batch["a"] = batch["a"].abs()
        batch["b"] = batch["b"].abs()
    assert torch.equal(batch["a"], batch["b"])


def test_pairs_may_come_beside_domains() -> None:
    image = domain(numbered(20, 20))
    how = Sampling(crop=8, batch=3, pair_batch=2)
    batch = Sampler(how, image, image, Pairs(image, image))(0)
    shapes = {key: len(value) for key, value in batch.items()}
    assert shapes == {"a": 3, "b": 3, "pair_a": 2, "pair_b": 2}
    assert torch.equal(batch["pair_a"], batch["pair_b"])
    with pytest.raises(InputError, match="nothing to train on"):
        Sampler(how)


def test_weights_come_with_their_crops() -> None:
    image, weight = numbered(20, 20), np.where(numbered(20, 20) < 100, 3, 1).astype(np.float32)
    weighted = domain(image, np.zeros((20, 20), np.float32), weight=[weight, weight * 0 + 1])
    batch = Sampler(Sampling(crop=6, batch=50, augment=TURNS), weighted)(0)
    real = batch["a"].amax((1, 2, 3)) > 0
    expected = torch.where((batch["a"] < 100) & real[:, None, None, None], 3.0, 1.0)
    assert torch.equal(batch["a_weight"], expected)
    pairs = Pairs(weighted, domain(image, image))
    assert set(Sampler(Sampling(crop=6), pairs=pairs)(0)) == {"a", "b", "weight"}
    beside = Sampler(Sampling(crop=6), weighted, domain(image), pairs)(0)
    assert set(beside) == {"a", "b", "a_weight", "pair_a", "pair_b", "pair_weight"}


def masked(mask: np.ndarray, **options: Any) -> Domain:
    return domain(numbered(*mask.shape), mask=mask, **options)


def test_masked_pixels_are_never_drawn() -> None:
    mask = np.ones((60, 80), np.uint8)
    mask[20:45, 30:60] = 0
    crops = Sampler(Sampling(crop=20, batch=300, augment=TURNS), masked(mask))(0)["a"].long()
    assert (mask.ravel()[crops.flatten().numpy()] == 0).all()
    assert set(torch.unique(crops).tolist()) == set(np.flatnonzero(mask.ravel() == 0).tolist())
    labels = np.where(mask == 0, 7, mask)
    kept = Sampler(Sampling(crop=20, batch=50), masked(labels, keep=[7, 9]))(0)["a"].long()
    assert (labels.ravel()[kept.flatten().numpy()] == 7).all()
    bent = Sampler(Sampling(crop=12, batch=100, augment=BENDS), masked(mask))(0)["a"]
    # Interpolated positions are positions all the same: rows of 80 pixels.
    assert 20 * 80 <= float(bent.min()) <= float(bent.max()) < 45 * 80


def test_a_share_may_be_excluded() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 1
    crops = Sampler(Sampling(crop=16, batch=500, excluded=0.25), masked(mask))(0)["a"].long()
    shares = (mask.ravel()[crops.numpy()]).mean((1, 2, 3))
    assert shares.max() == 0.25


def test_the_only_place_is_found() -> None:
    mask = np.ones((400, 500), np.uint8)
    mask[123:139, 77:93] = 0
    crops = Sampler(Sampling(crop=16, batch=2), masked(mask))(0)["a"]
    assert crops[:, 0, 0, 0].tolist() == [123 * 500 + 77] * 2
    mask[130, 80] = 1
    with pytest.raises(InputError, match="leave no room for a crop of 16 px"):
        Sampler(Sampling(crop=16), masked(mask))(0)


def test_large_masks_are_followed_by_cells() -> None:
    mask = np.zeros((1500, 1100), np.uint8)
    mask[:, 500:] = 1
    mask[700, 20] = 1
    # numpy's float32 holds whole numbers up to 2**24 only.
    crops = Sampler(Sampling(crop=400, batch=20), masked(mask))(0)["a"].long()
    assert (mask.ravel()[crops.flatten().numpy()] == 0).all()


def test_small_images_are_named_or_mirrored() -> None:
    images = [Raster.from_array(numbered(20, n), "yx", name=f"n{n}") for n in (9, 20, 30)]
    with pytest.raises(InputError, match=r"1 of 3 images.*16 px: n9 \(20 × 9\).*at most 9 px"):
        Sampler(Sampling(crop=16), domain(*images))
    crops = Sampler(Sampling(crop=16, batch=20, pad="mirror"), domain(images[0]))(0)["a"]
    padded = np.pad(numbered(20, 9), ((0, 0), (4, 3)), mode="reflect")
    for crop in crops[:, 0]:
        first = int(np.flatnonzero(padded[:, 0] == float(crop[0, 0]))[0])
        np.testing.assert_array_equal(crop, padded[first : first + 16])


def test_every_image_once_per_epoch_also_over_ranks() -> None:
    images = domain(*(numbered(8, 8, 100 * n) for n in range(6)))
    how = Sampling(crop=8, batch=1, order="epoch")
    samplers = [Sampler(how, images, rank=rank, ranks=2) for rank in range(2)]
    drawn = [int(s(step)["a"].min()) // 100 for step in range(6) for s in samplers]
    assert sorted(drawn[:6]) == sorted(drawn[6:]) == list(range(6))
    assert drawn[:6] != drawn[6:]


def test_images_count_by_the_root_of_their_area() -> None:
    images = domain(numbered(8, 8), numbered(24, 24, 1000))
    crops = Sampler(Sampling(crop=8, batch=2000), images)(0)["a"]
    counts = Counter((crops.amin((1, 2, 3)) >= 1000).tolist())
    assert counts[True] / 2000 == pytest.approx(0.75, abs=0.03)


def test_resizing_is_pillows_as_published() -> None:
    image = np.random.default_rng(0).random((64, 50)).astype(np.float32)
    augment = Augment(resize=36)
    crops = Sampler(Sampling(crop=36, augment=augment), domain(image))(0)["a"]
    expected = np.asarray(Image.fromarray(image).resize((36, 36), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(crops[0, 0], np.clip(expected, image.min(), image.max()), atol=1e-5)
    smaller = Sampler(Sampling(crop=30, batch=600, augment=augment), domain(image))(0)["a"]
    assert len(torch.unique(smaller[:, 0, 0, 0])) == 49
    with pytest.raises(InputError, match="resize=36 px hold no crop of 40"):
        Sampling(crop=40, augment=augment)


def test_colours_change_in_inputs_or_in_both_alike() -> None:
    image = domain(np.full((8, 8), 0.2, np.float32))
    pairs = Pairs(image, image)
    for where in ("a", "both"):
        augment = Augment(brightness=0.5, colour_on=where)
        batch = Sampler(Sampling(crop=8, batch=9, augment=augment), pairs=pairs)(0)
        assert len(torch.unique(batch["a"][:, 0, 0, 0])) == 9
        assert torch.equal(batch["a"], batch["b"]) == (where == "both")
        (b,) = Sampler(Sampling(crop=8, batch=9, augment=augment), b=image)(0).values()
        assert len(torch.unique(b)) == (9 if where == "both" else 1)


def test_settings_survive_json_and_nonsense_is_refused() -> None:
    how = Sampling(crop=64, order="epoch", augment=BENDS)
    assert Sampling.from_json(json.loads(json.dumps(how.to_json()))) == how
    with pytest.raises(InputError, match="no sampling"):
        Sampling.from_json({"size": 3})
    for wrong in ({"order": "sorted"}, {"crop": 0}, {"foreground": 2}, {"pad": "zero"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Sampling(**wrong)
