from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from napari_tincture.errors import InputError
from napari_tincture.training.corruption import Corruption


def images(count: int = 4, side: int = 100) -> Tensor:
    return torch.rand(count, 2, side, side, generator=torch.Generator().manual_seed(1))


def changed(seed: int = 0, **settings: Any) -> tuple[Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Corruption(**settings)(images())


def share(found: Tensor, expected: float, count: float) -> None:
    # Five standard deviations of a binomial share.
    assert abs(float(found.float().mean()) - expected) < 5 * (expected / count) ** 0.5


def test_noise_is_as_strong_and_impulses_as_many_as_asked() -> None:
    image = images()
    noisy, masked = changed(mode="denoising", noise=0.3, impulses=0.0)
    assert not masked.any()
    # Of 80,000 draws the standard deviation is known to 0.25 %.
    assert float((noisy - image).std()) == pytest.approx(0.3, rel=0.0125)
    struck, _ = changed(mode="denoising", noise=0.0, impulses=0.2)
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    both = (struck == low).all(1), (struck == high).all(1)
    for each in both:
        share(each, 0.1, each.numel())
    assert torch.equal(struck.movedim(1, -1)[~(both[0] | both[1])],
                       image.movedim(1, -1)[~(both[0] | both[1])])  # fmt: skip


def test_holes_are_squares_of_the_mean_side_by_side() -> None:
    image = images()
    holed, masked = changed(mode="masked", holes=0.3, hole=5, particles=0)
    share(masked, 0.3, masked.numel() / 25)
    mean = image.mean((2, 3), keepdim=True)
    assert torch.equal(holed, torch.where(masked > 0, mean, image))
    for axis in (2, 3):
        edges = masked.diff(dim=axis).nonzero()[:, axis]
        assert len(edges) > 50
        assert len((edges % 5).unique()) == 1


def test_particles_lie_on_the_image() -> None:
    image = images()
    covered, masked = changed(mode="masked", holes=0.0, hole=9, particles=3)
    free = (masked == 0).expand_as(image)
    assert torch.equal(covered[free], image[free])
    assert ((covered >= 0) & (covered <= 1)).all()
    for number in range(4):
        values = covered[number, 0][masked[number, 0] > 0].unique()
        assert 1 <= len(values) <= 3, "one value each"
        assert 3 <= masked[number].sum() < 3 * 81


def test_plain_is_plain_and_draws_are_torch_s() -> None:
    plain, masked = changed(mode="plain")
    assert torch.equal(plain, images())
    assert not masked.any()
    for mode in ("denoising", "masked"):
        one, same, other = (changed(seed, mode=mode)[0] for seed in (3, 3, 4))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "torn"}, "'torn'.*plain, denoising, masked"),
        ({"impulses": 1.5}, "impulses from 0 to 1"),
        ({"holes": 1.0}, "holes from 0 to less than 1"),
        ({"mode": "masked", "holes": 0.0, "particles": 0}, "masks nothing"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Corruption(**settings)
