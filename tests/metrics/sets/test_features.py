from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tincture.errors import InputError, OutputError
from napari_tincture.metrics._priorities import priorities, smallest
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.sets import (
    Features,
    FeatureSet,
    InceptionFeatures,
    find_set_metric,
    patches,
    patching,
    read_statistics,
    set_metric_names,
    write_statistics,
)
from napari_tincture.metrics.sets import network as network_module
from napari_tincture.models.features.inception import Inception
from napari_tincture.raster import Raster

RANDOM = np.random.default_rng(0)
VALUES = (RANDOM.normal(size=(97, 12)) @ RANDOM.normal(size=(12, 12)) + 1000).astype(np.float32)


def _taken(values: np.ndarray, sizes: Sequence[int], **options: int) -> Features:
    features = Features(**options)
    for part in np.split(values, np.cumsum(sizes)):
        features.add(part)
    return features


@pytest.mark.parametrize("sizes", [(), (1,), (1, 0, 95), (30, 30, 30), [7] * 13])
def test_moments_are_those_of_the_whole_in_any_batches(sizes: Sequence[int]) -> None:
    result = _taken(VALUES, sizes).result()
    wide = VALUES.astype(np.float64)
    np.testing.assert_allclose(result.mean, wide.mean(axis=0), rtol=1e-14)
    # The mean is some hundred times the deviation: a sum of squares would lose these digits.
    np.testing.assert_allclose(result.covariance, np.cov(wide, rowvar=False), rtol=1e-9)
    assert result.count == 97


@pytest.mark.parametrize("keep", [0, 1, 20, 97, 500])
def test_parts_merge_to_the_whole_with_the_same_sample(keep: int) -> None:
    whole = _taken(VALUES, (10, 50), keep=keep, seed=3).result()
    parts = [
        _taken(VALUES[start:stop], (4,), keep=keep, seed=3, first=start)
        for start, stop in [(60, 97), (0, 25), (25, 60)]
    ]
    joined = Features(keep=keep, seed=3)
    for part in parts:
        joined.merge(part)
    result = joined.result()
    np.testing.assert_allclose(result.covariance, whole.covariance, rtol=1e-9)
    if keep == 0:
        assert result.sample is None
        assert whole.sample is None
        return
    assert result.sample is not None
    assert len(result.sample) == min(keep, 97)
    np.testing.assert_array_equal(result.sample, whole.sample)
    rows = {tuple(row) for row in VALUES.tolist()}
    assert {tuple(row) for row in result.sample.tolist()} <= rows


def test_what_follows_a_merged_part_counts_on() -> None:
    whole = _taken(VALUES, (50,), keep=10).result()
    joined = _taken(VALUES[:30], (), keep=10)
    joined.merge(_taken(VALUES[30:50], (), keep=10, first=30))
    joined.add(VALUES[50:])
    np.testing.assert_array_equal(joined.result().sample, whole.sample)


def test_every_feature_is_as_likely_to_be_kept() -> None:
    # 2000 samples of 5 of 20: each is expected 500 times, deviation √(2000 · 1/4 · 3/4) = 19.
    numbers = np.arange(20)
    counts = np.zeros(20)
    for seed in range(2000):
        counts[smallest(priorities(numbers, seed), 5)] += 1
    assert np.abs(counts - 500).max() < 5 * 19.4


def test_parts_that_cannot_be_merged() -> None:
    with pytest.raises(InputError, match=r"first=…"):
        _taken(VALUES[:9], ()).merge(_taken(VALUES[9:], ()))
    with pytest.raises(InputError, match="one seed"):
        Features(seed=1).merge(Features(seed=2))
    with pytest.raises(InputError, match="length 3 cannot join those of length 12"):
        _taken(VALUES, ()).add(np.zeros((2, 3)))


def test_features_that_are_none() -> None:
    with pytest.raises(InputError, match=r"got shape \(4,\)"):
        Features().add(np.zeros(4))
    with pytest.raises(InputError, match="not finite"):
        Features().add([[1.0, np.nan]])
    with pytest.raises(InputError, match="keep=-1"):
        Features(keep=-1)
    with pytest.raises(InputError, match=r"\(3,\) and \(2, 2\)"):
        FeatureSet(np.zeros(3), np.zeros((2, 2)))


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_have_no_covariance(count: int) -> None:
    with pytest.raises(Undefined, match=f"{count} images"):
        _taken(VALUES[:count], ()).result()


def test_statistics_survive_the_disk(tmp_path: Path) -> None:
    features = _taken(VALUES, ()).result()
    path = write_statistics(tmp_path / "reference.npz", features)
    with np.load(path) as file:
        assert set(file.files) == {"mu", "sigma"}
        np.testing.assert_array_equal(file["mu"], features.mean)
    found = read_statistics(path)
    np.testing.assert_array_equal(found.covariance, features.covariance)
    assert found.sample is None
    assert find_set_metric("fid").figures(found, features)["fid"] == pytest.approx(0, abs=1e-9)
    with pytest.raises(Undefined, match="not kept"):
        find_set_metric("kid").figures(found, features)
    assert [p.name for p in tmp_path.iterdir()] == ["reference.npz"]


def test_files_that_are_no_statistics(tmp_path: Path) -> None:
    path = tmp_path / "statistics.npz"
    with pytest.raises(InputError, match="cannot be read"):
        read_statistics(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot be read"):
        read_statistics(path)
    np.savez(path, mu=np.zeros(3))
    with pytest.raises(InputError, match=r"lacks \['sigma'\].*holds \['mu'\]"):
        read_statistics(path)
    np.savez(path, mu=np.zeros(3), sigma=np.full((3, 3), np.nan))
    with pytest.raises(InputError, match=r"statistics\.npz.*not finite"):
        read_statistics(path)
    with pytest.raises(OutputError, match=r"saved as \.npz"):
        write_statistics(tmp_path / "a.txt", _taken(VALUES, ()).result())


def test_names() -> None:
    assert set_metric_names() == ("feature_recall", "fid", "kid")
    for name in set_metric_names():
        assert find_set_metric(name).columns[0] == name
    with pytest.raises(InputError, match="known are feature_recall, fid, kid"):
        find_set_metric("lpips")


@pytest.fixture(scope="module")
def extract() -> InceptionFeatures:
    torch.manual_seed(0)
    return InceptionFeatures(Inception(), dims=64, device="cpu")


def test_integers_and_fractions_have_the_same_features(
    extract: InceptionFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = RANDOM.integers(0, 256, (3, 3, 20, 30), dtype=np.uint8)
    found = extract(images)
    assert found.shape == (3, 64)
    assert found.dtype == np.float32
    with torch.inference_mode():
        expected = extract._network(torch.from_numpy(images / np.float32(255)), 64).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(extract(images / 255), found, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(extract(torch.from_numpy(images)), found, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(network_module, "BATCH", 2)
    np.testing.assert_allclose(extract(images), found, rtol=1e-5, atol=1e-6)
    assert extract(images[:0]).shape == (0, 64)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((3, 8, 8), np.uint8), r"\(b, 3, y, x\), got shape \(3, 8, 8\)"),
        (np.zeros((1, 1, 8, 8), np.uint8), "repeat grey"),
        (np.zeros((1, 3, 8, 8), np.uint16), "these are uint16"),
        (np.full((1, 3, 8, 8), 1.5), r"in \[1\.5, 1\.5\]"),
        (np.full((1, 3, 8, 8), np.nan, np.float32), r"in \[nan, nan\]"),
    ],
)
def test_images_that_have_no_features(
    extract: InceptionFeatures, images: np.ndarray, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        extract(images)


@pytest.mark.parametrize("area", [1, 12, 4096])
def test_patches_cover_the_image_once(area: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "AREA", area)
    pixels = RANDOM.integers(0, 256, (4, 23, 31), dtype=np.uint8)
    found = np.concatenate([*patches(Raster.from_array(pixels, "cyx", rgb=True), 6)])
    expected = {
        pixels[:3, y : y + 6, x : x + 6].tobytes() for y in range(0, 18, 6) for x in range(0, 30, 6)
    }
    assert found.shape == (15, 3, 6, 6)
    assert {patch.tobytes() for patch in found} == expected


def test_images_that_cannot_be_cut() -> None:
    colour = Raster.from_array(np.zeros((3, 8, 8), np.uint8), "cyx", rgb=True)
    with pytest.raises(InputError, match=r"9 pixels lies in image '' of \(8, 8\)"):
        next(patches(colour, 9))
    with pytest.raises(InputError, match="is no RGB image"):
        next(patches(Raster.from_array(np.zeros((8, 8), np.uint8), "yx"), 4))
