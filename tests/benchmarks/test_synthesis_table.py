"""Small parts of the table of synthesis, on generated sections."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painters import at_once
from scipy.ndimage import gaussian_filter

import napari_tincture as nt
from benchmarks import synthesis_judge
from benchmarks.synthesis_draw import Way, drawn, flat, mean_greys, one, one_hot
from benchmarks.synthesis_judge import HEAD, TISSUE, Judge, section, squares
from benchmarks.synthesis_table import compared, problems
from benchmarks.synthesis_ways import (
    ABLATION,
    HELD,
    METHODS,
    SIZES,
    diffusion,
    method,
    segmentation,
    write_one_hot,
)
from benchmarks.trained import Unfinished
from napari_tincture.metrics.sets import LearnedFeatures
from napari_tincture.training.images.material import open_material

GREYS = np.array([200.0, 60.0, 40.0, 150.0, 100.0, 20.0])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sections as the data set has them, smaller."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("raw", "classes"):
        (folder / TISSUE / name).mkdir(parents=True)
    from PIL import Image

    for number in range(16):
        rng = np.random.default_rng(number)
        field = gaussian_filter(rng.normal(size=(256, 256)), 8)
        labels = np.digitize(field, np.quantile(field, (0.5, 0.7, 0.8, 0.9, 0.97)))
        image = GREYS[labels] + rng.normal(0, 8, labels.shape)
        for folder_name, values in (("raw", image), ("classes", labels)):
            path = folder / TISSUE / folder_name / f"{number:02}.png"
            Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def hot(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where maps with a channel per class are."""
    return write_one_hot(data, tmp_path_factory.mktemp("hot"))


class Means:
    """Mean and deviation of a square: features that need no training."""

    def __call__(self, images: Any) -> np.ndarray:
        """(b, 3, y, x) to (b, 2)."""
        values = np.asarray(images, np.float32)[:, 0] / 255
        return np.stack([values.mean((1, 2)), values.std((1, 2))], axis=1)


@pytest.fixture(scope="module")
def judge(data: Path) -> Judge:
    """Judges four squares."""
    return Judge(squares(data, range(13, 16)), 4, Means(), nt.load_model("em-membranes"))


def test_squares_cover_their_sections(data: Path) -> None:
    found = squares(data, [13, 14])
    assert len(found.images) == len(found.maps) == 8
    whole = section(data, "raw", 14)
    np.testing.assert_array_equal(found.images[5], whole[:128, 128:])
    assert found.maps[5].shape == (128, 128)


def test_real_images_are_their_own_yardstick(judge: Judge) -> None:
    real = judge.real()
    assert real.fidelity.ratio == 1
    assert real.ssim == 1
    assert np.isinf(real.psnr)
    assert real.kid.low <= real.kid.value <= real.kid.high
    assert str(real).count("|") == HEAD.splitlines()[0].count("|")
    noise = [np.random.default_rng(0).integers(0, 256, (128, 128)).astype(np.uint8)] * 4
    worse = judge.row("noise", noise, 2.0)
    assert worse.kid.value > real.kid.value
    assert worse.fid > real.fid
    assert worse.fidelity.ratio < 1
    # What has not learnt is told from what has.
    assert list(problems(worse, real))
    assert not [one for one in problems(real, worse) if "KID" in one]
    assert "(4 images)" in compared(worse, real)


def test_pieces_are_told_by_their_image(data: Path, judge: Judge) -> None:
    images = [section(data, "raw", number) for number in (0, 1)]
    learned = LearnedFeatures.learn(images, side=64, steps=1, batch=2, device="cpu")
    own = Judge(squares(data, [13]), 2, learned, nt.load_model("em-membranes"))
    values, groups = own._described(own.drawn.images)
    assert len(values) == len(groups) == 18
    assert set(groups) == {0, 1}
    assert "learned from the training images" in own.note()
    assert "of Inception" in judge.note()


def test_images_are_drawn_once_and_within_the_time(tmp_path: Path) -> None:
    maps = [np.full((32, 32), value, np.uint8) for value in (0, 1, 4)]
    deadline = time.monotonic() + 1000
    first, seconds = drawn(at_once(), maps, Way(), tmp_path, deadline, "cpu")
    assert seconds > 0
    for image, labels in zip(first, maps, strict=True):
        np.testing.assert_array_equal(image, one(at_once(), labels, Way(), 0))
    # Time is up, but all is there.
    again, same = drawn(at_once(), maps, Way(), tmp_path, 0, "cpu")
    assert same == seconds
    np.testing.assert_array_equal(np.stack(first), np.stack(again))
    with pytest.raises(Unfinished, match="goes on"):
        drawn(at_once(), maps, Way("ddim", 4), tmp_path, 0, "cpu")
    # Neither images of other maps nor with other guidance are taken for them.
    for way, others in ((Way(), maps[::-1]), (Way(guidance=2.0), maps)):
        with pytest.raises(Unfinished):
            drawn(at_once(), others, way, tmp_path, 0, "cpu")


def test_flat_greys_are_those_of_the_classes(data: Path) -> None:
    images, maps = ([section(data, name, n) for n in range(3)] for name in ("raw", "classes"))
    greys = mean_greys(images, maps)
    np.testing.assert_allclose(greys[:5], GREYS[:5], atol=1)
    painted = flat(maps[0], greys)
    assert set(np.unique(painted)) == set(greys.round().astype(np.uint8))


def test_one_hot_maps_are_images(data: Path, hot: Path) -> None:
    labels = section(data, "classes", 3)
    found = np.asarray(nt.open_image(hot / "03.ome.tif"))
    np.testing.assert_array_equal(found, one_hot(labels))
    assert (found.argmax(0) == labels).all()
    assert (found.sum(0) == 255).all()


@pytest.mark.parametrize("family", METHODS)
def test_methods_learn_from_the_same_sections(family: str, data: Path, hot: Path) -> None:
    for size, sections in SIZES.items():
        recipe = method(family, size, 10, hot)
        assert (recipe.schedule.steps, recipe.sampling.crop, recipe.sampling.batch) == (10, 128, 4)
        material = open_material(recipe, data)
        wanted = {f"{number:02}" for number in sections}
        parts = {"train": wanted, "validation": set(HELD["validation"]), "test": set(HELD["test"])}
        for name, names in parts.items():
            for domain in (getattr(material, name).sources, getattr(material, name).targets):
                assert {picture.name for picture in domain.pictures} == names


def test_variants_differ_in_what_they_are_named_for() -> None:
    built = {}
    for name, options in ABLATION.items():
        recipe = diffusion(name, range(11), 20, **options)
        assert recipe.options["schedule"] == options.get("schedule", "cosine")
        assert recipe.options["predicts"] == options.get("predicts", "velocity")
        networks = recipe.build_networks()
        built[name] = sum(p.numel() for p in networks["forward"].parameters())
    assert len(set(built.values())) >= 4
    base = next(iter(built.values()))
    assert built["3 blocks per level"] > base
    assert built["linear schedule"] == base


def test_the_segmentation_is_the_starters_but_shorter() -> None:
    recipe = segmentation(40)
    assert recipe.schedule.steps == 40
    assert recipe.split == HELD
    assert recipe.sampling.crop == synthesis_judge.SIDE
