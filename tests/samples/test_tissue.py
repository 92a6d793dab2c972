"""Label maps of tissue that are made up have the structures of real ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_tincture.errors import InputError
from napari_tincture.samples.tissue import (
    GLIA,
    INTERIOR,
    JUNCTION,
    MEMBRANE,
    MITOCHONDRION,
    NAMES,
    SYNAPSE,
    tissue_labels,
)


def test_every_class_has_about_its_share() -> None:
    labels = np.concatenate([tissue_labels(512, seed) for seed in range(3)])
    shares = np.bincount(labels.ravel(), minlength=len(NAMES)) / labels.size
    # As in sections of larval neural tissue, which have 0.73, 0.12, 0.05, 0.03, 0.07 and 0.01.
    for value, (low, high) in {
        INTERIOR: (0.5, 0.85), MEMBRANE: (0.06, 0.2), JUNCTION: (0.01, 0.08), GLIA: (0.005, 0.1),
        MITOCHONDRION: (0.03, 0.15), SYNAPSE: (0.001, 0.01),
    }.items():  # fmt: skip
        assert low < shares[value] < high, (NAMES[value], shares)


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(tissue_labels(200, 4), tissue_labels(200, 4))
    assert (tissue_labels(200, 4) != tissue_labels(200, 5)).mean() > 0.1


def test_membranes_close_around_cells_and_mitochondria_keep_off_them() -> None:
    labels = tissue_labels(512, 0)
    inside, cells = ndimage.label(np.isin(labels, (INTERIOR, MITOCHONDRION, SYNAPSE)))
    assert cells > 30
    assert np.bincount(inside.ravel())[1:].max() < labels.size / 4
    around = ndimage.binary_dilation(labels == MITOCHONDRION, iterations=2)
    assert not (around & np.isin(labels, (MEMBRANE, JUNCTION))).any()


@pytest.mark.parametrize("size", [1, 2, 33])
def test_small_maps(size: int) -> None:
    assert tissue_labels(size, 0).shape == (size, size)


def test_no_size_is_refused() -> None:
    with pytest.raises(InputError, match="side 0"):
        tissue_labels(0, 0)
