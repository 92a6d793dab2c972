from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from napari_tincture.errors import InputError
from napari_tincture.training.images.augment import (
    Augment,
    flip_relief,
    folded,
    gaussian_blur,
    places_of,
    random_crop,
    random_matrix,
    sample_at,
    sample_labels,
    vary_values,
)

EVERYTHING = Augment(
    flips=(True, True),
    rot90=True,
    rotate=30,
    scale=(0.7, 1.4),
    elastic=2,
    elastic_alpha=20,
    elastic_sigma=3,
    gain=(0.5, 2),
    offset=0.1,
    noise=0.1,
    gamma=(0.5, 2),
    blur=2,
    focus=1,
    drop=0.2,
)


def picture(channels: int = 3, height: int = 50, width: int = 60) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).random((channels, height, width))).float()


def _places(image: torch.Tensor, crop: torch.Tensor) -> int:
    windows = np.lib.stride_tricks.sliding_window_view(image.numpy(), crop.shape[1:], (1, 2))
    equal = np.isclose(windows, crop.numpy()[:, None, None], atol=1e-4).all((0, -1, -2))
    return int(equal.sum())


def test_nothing_allowed_gives_a_plain_crop() -> None:
    image = picture()
    for seed in range(5):
        crop = random_crop(image, 16, Augment(), np.random.default_rng(seed))
        assert _places(image, crop) == 1


@pytest.mark.parametrize(
    "augment", [Augment(flips=(True, False)), Augment(flips=(False, True)), Augment(rot90=True)]
)
def test_flips_and_quarter_turns_move_pixels_without_mixing_them(augment: Augment) -> None:
    image = picture()
    turned = [torch.rot90(image, k, (1, 2)) for k in range(4)]
    forms = (
        turned if augment.rot90 else [image, image.flip(1) if augment.flips[0] else image.flip(2)]
    )
    seen = set()
    for seed in range(30):
        crop = random_crop(image, 16, augment, np.random.default_rng(seed))
        hits = [i for i, form in enumerate(forms) if _places(form, crop)]
        assert len(hits) == 1
        seen.add(hits[0])
    assert seen == set(range(len(forms)))


def test_input_and_target_stay_aligned() -> None:
    plane = picture(1)
    pair = torch.cat([plane, 1 - plane])
    for seed in range(10):
        crop = random_crop(pair, 24, EVERYTHING, np.random.default_rng(seed))
        torch.testing.assert_close(crop[0], 1 - crop[1], atol=1e-5, rtol=0)


def test_the_same_draws_give_the_same_crop() -> None:
    image = picture()
    crops = [
        vary_values(random_crop(image, 20, EVERYTHING, rng), EVERYTHING, rng)
        for rng in (np.random.default_rng([3, 7]), np.random.default_rng([3, 7]))
    ]
    assert torch.equal(*crops)


def test_crops_larger_than_the_image_are_mirrored() -> None:
    crop = random_crop(picture(1, 10, 12), 32, EVERYTHING, np.random.default_rng(0))
    assert crop.shape == (1, 32, 32)
    assert bool(crop.isfinite().all())


def test_zoom_changes_sizes_by_its_factor() -> None:
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(80.0), indexing="ij")
    slope = torch.stack([y, x])
    crop = random_crop(slope, 16, Augment(scale=(2.0, 2.0)), np.random.default_rng(0))
    torch.testing.assert_close(crop[1].diff(dim=1), torch.full((16, 15), 0.5), atol=1e-3, rtol=0)


def test_no_value_changes_by_default() -> None:
    image = picture()
    assert torch.equal(vary_values(image, Augment(), np.random.default_rng(0)), image)


def test_gain_and_offset_are_one_affine_map() -> None:
    image = picture()
    augment = Augment(gain=(0.5, 2.0), offset=0.3)
    varied = vary_values(image, augment, np.random.default_rng(0))
    gain = (varied[0, 0, 0] - varied[0, 0, 1]) / (image[0, 0, 0] - image[0, 0, 1])
    assert 0.5 <= float(gain) <= 2.0
    torch.testing.assert_close(
        varied - gain * image, (varied - gain * image).mean().expand(3, 50, 60), atol=1e-4, rtol=0
    )


def test_refocused_stacks_hold_planes_of_the_stack() -> None:
    image = picture(7)
    varied = vary_values(image, Augment(focus=1, drop=0.3), np.random.default_rng(5))
    for z, plane in enumerate(varied):
        near = image[max(z - 2, 0) : z + 3]
        assert any(torch.equal(plane, other) for other in near)


@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_blur_is_scipys(sigma: float) -> None:
    image = picture(2)
    expected = ndimage.gaussian_filter(
        image.numpy(), (0, sigma, sigma), mode="mirror", radius=int(np.ceil(3 * sigma))
    )
    np.testing.assert_allclose(gaussian_blur(image, sigma).numpy(), expected, atol=1e-5)


def test_relief_is_its_own_inverse() -> None:
    image, target = picture(2), picture(1)
    always = np.random.default_rng(2)
    flipped = [flip_relief(image, target, Augment(relief=True), always) for _ in range(20)]
    changed = [pair for pair in flipped if not torch.equal(pair[0], image)]
    assert 0 < len(changed) < 20
    assert torch.equal(-changed[0][0].flip(1), image)
    assert torch.equal(changed[0][1].flip(1), target)


def test_places_are_turned_moved_and_bent() -> None:
    augment = Augment(rotate=40, scale=(0.5, 2.0), elastic=10.0, elastic_knots=3)
    rng = np.random.default_rng(0)
    matrix = random_matrix(augment, rng)
    vectors = np.random.default_rng(1).normal(size=(1, 2, 3, 3)) * 10.0
    bend = functional.interpolate(
        torch.from_numpy(vectors), size=(21, 21), mode="bicubic", align_corners=True
    )
    y, x = np.mgrid[:21, :21] - 10
    expected = np.stack([x, y], -1) @ matrix.T + [50.0, 60.0] + bend[0].permute(1, 2, 0).numpy()
    found = places_of(21, matrix, (50.0, 60.0), augment, np.random.default_rng(1))
    # Sums of a few float32 numbers of some tens.
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=3e-5)


def test_labels_come_from_the_nearest_pixels_of_the_same_places() -> None:
    size, height, width = 40, 30, 34
    augment = Augment(rotate=45, elastic=5.0, elastic_knots=3)
    rng = np.random.default_rng(4)
    places = places_of(size, random_matrix(augment, rng), (15.0, 14.0), augment, rng)
    labels = torch.arange(height * width).view(height, width) + 2**40
    rounded = folded(places, (height, width)).round()
    assert not torch.equal(rounded, places.round())  # some are beyond the edge
    # Images at whole places are the pixels there; labels too large for float32 are exact.
    image = torch.stack([v.float() for v in torch.meshgrid(
        torch.arange(height), torch.arange(width), indexing="ij")])  # fmt: skip
    y, x = sample_at(image, rounded).round().long()
    mirrored = sample_labels(labels, places)
    assert torch.equal(mirrored, labels[y, x])
    assert torch.equal(sample_labels(torch.stack([labels, -labels]), places)[1], -mirrored)
    shown = functional.grid_sample(
        torch.ones(1, 1, height, width),
        (2 * places.round() / torch.tensor([width - 1.0, height - 1.0]) - 1)[None],
        mode="nearest", padding_mode="zeros", align_corners=True,
    )[0, 0]  # fmt: skip
    assert 0 < shown.mean() < 1
    known = torch.where(shown > 0, mirrored, -1)
    assert torch.equal(sample_labels(labels, places, outside=-1), known)


def test_bends_without_a_size_are_refused() -> None:
    with pytest.raises(InputError, match="elastic_sigma"):
        Augment(elastic_alpha=30.0)
    with pytest.raises(InputError, match="elastic_knots=1"):
        Augment(elastic=10.0, elastic_knots=1)
