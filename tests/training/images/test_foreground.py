from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_tincture import samples
from napari_tincture.models.card import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.training.images import foreground as module
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.foreground import Foreground
from napari_tincture.training.images.sampling import Sampler, Sampling

RNG = np.random.default_rng(0)


def glass(height: int = 480, width: int = 480, noise: float = 3) -> np.ndarray:
    return 220 + RNG.normal(scale=noise, size=(height, width))


def with_cells(image: np.ndarray, value: float, first: int, last: int) -> np.ndarray:
    """A block of cells on 5 % of the image."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    spots = ((y % 24 - 12) ** 2 + (x % 24 - 12) ** 2 < 80) & (y >= first) & (y < last)
    spots &= (x >= first) & (x < last)
    return np.where(spots, value, image)


def foreground(domain: Domain, place: int = 0) -> np.ndarray:
    """The map of a picture, a value for each of its pixels."""
    picture = domain.pictures[place]
    found = Foreground(domain.pictures).coverage(picture)
    cells = np.diff(np.diff(found.integral, axis=0), axis=1)
    y, x = (
        (np.arange(n) / side).astype(int) for n, side in zip(picture.shape, found.cell, strict=True)
    )
    return cells[y][:, x] > 0.5


@pytest.mark.parametrize("index", [0, 1, 2])
def test_nuclei_are_found(index: int) -> None:
    labels = np.asarray(samples.nuclei_labels(index)) > 0
    found = foreground(Domain.open(samples.nuclei(index)))
    near = ndimage.binary_dilation(labels, iterations=10)
    assert found[labels].mean() > 0.9
    assert found[~near].mean() < 0.05


def test_blood_is_darker_than_glass() -> None:
    for image, share in ((samples.blood_smear(), 0.56), (samples.unstained_blood(), 0.124)):
        found = foreground(Domain.open(image))
        values = np.asarray(image)
        grey = values.mean(axis=0) if image.rgb else values
        assert found.mean() == pytest.approx(share, abs=0.02)
        assert grey[found].mean() < grey[~found].mean() - 20


@pytest.mark.parametrize(("cells", "sign"), [(120.0, 1), (30.0, -1)])
def test_empty_glass_does_not_dominate(cells: float, sign: int) -> None:
    image = with_cells(sign * glass(960, 960), sign * cells, 100, 320)
    domain = Domain.open(image, normalisation=Normalisation())
    for wanted in (0.0, 0.5, 1.0):
        crops = Sampler(Sampling(crop=64, batch=400, foreground=wanted), domain)(0)["a"]
        empty = (crops.numpy() * sign > 180).mean((1, 2, 3)) > 0.999
        by_chance = 1 - (220 + 64) ** 2 / (960 - 64) ** 2
        assert empty.mean() == pytest.approx((1 - wanted) * by_chance, abs=0.06)


def test_an_empty_image_among_others_is_passed_over() -> None:
    full, empty = with_cells(glass(), 120, 0, 480), glass()
    domain = Domain.open([full, empty, empty], normalisation=Normalisation())
    assert not foreground(domain, 1).any()
    crops = Sampler(Sampling(crop=64, batch=200, foreground=1.0), domain)(0)["a"]
    assert (crops.amin((1, 2, 3)) < 130).all()


def test_where_nothing_is_glass_everything_counts() -> None:
    assert foreground(Domain.open(glass())).all()
    assert foreground(Domain.open(np.zeros((100, 100)))).all()


def test_a_channel_counts_by_its_own_spread() -> None:
    bright, faint = 1000 * RNG.normal(size=(256, 256)), RNG.normal(size=(256, 256))
    faint[64:128, 64:128] += 40
    found = foreground(Domain.open(Raster.from_array(np.stack([bright, faint]), "cyx")))
    assert found[64:128, 64:128].all()
    assert found.mean() == pytest.approx(1 / 16, abs=0.01)


def test_coarse_levels_serve_for_large_images(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slide:
        """A bright square on dark, of which only small windows may be read."""

        def __init__(self, side: int) -> None:
            self.shape, self.dtype, self.ndim = (side, side), np.dtype(np.uint16), 2

        def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
            y, x = (np.arange(n)[s] / n for n, s in zip(self.shape, index, strict=True))
            assert len(y) * len(x) <= 1100 * 2200
            inside = (np.abs(y - 0.5) < 0.125)[:, None] & (np.abs(x - 0.5) < 0.125)
            return np.where(inside, 900, 10).astype(np.uint16)

    pyramid = Raster.from_array([Slide(32768), Slide(8192), Slide(2048)], "yx")
    monkeypatch.setattr(module, "SAMPLES", 16)
    for image in (pyramid, Raster.from_array(Slide(32768), "yx")):
        (picture,) = Domain.open(image).pictures
        found = Foreground([picture]).coverage(picture)
        share = found.share(np.array([14000, 0]), np.array([14000, 0]), (4000, 4000))
        np.testing.assert_allclose(share, [1, 0], atol=1e-9)
