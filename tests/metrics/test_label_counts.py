from __future__ import annotations

import math

import numpy as np
import pytest
from label_pairs import only

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.counts import (
    concordance,
    covered,
    limits_of_agreement,
    object_counts,
    of_classes,
)
from napari_tincture.metrics.metric import Undefined


def test_counts_and_stained_objects() -> None:
    nuclei = np.array([1, 1, 1, 1, 2, 2, 2, 0, 3, 3, 9, 9])
    stain = np.array([5, 5, 0, 0, 6, 5, 0, 1, 0, 0, 8, 8])
    overlap = only(nuclei, stain)
    assert object_counts(overlap) == (4, 4)
    assert object_counts(overlap).difference == 0
    # Half of object 1 is not more than half; object 2 lies on two labels together.
    assert covered(overlap) == (2, 4)
    assert covered(overlap).percent == 50.0
    assert covered(overlap, part=0.4) == (3, 4)
    shares = of_classes(overlap)
    assert list(shares) == [0, 1, 5, 6, 8]
    assert {label: share.some for label, share in shares.items()} == {0: 1, 1: 0, 5: 0, 6: 0, 8: 1}
    assert shares[8].percent == 25.0
    with pytest.raises(InputError, match=r"part=0\.3"):
        of_classes(overlap, 0.3)


def test_no_objects_have_no_percentage() -> None:
    share = covered(only(np.zeros(4, int), np.ones(4, int)))
    assert share == (0, 0)
    with pytest.raises(Undefined, match="no objects"):
        _ = share.percent


def test_limits_of_agreement_and_concordance() -> None:
    rng = np.random.default_rng(0)
    expected = rng.integers(20, 200, 30)
    found = expected + rng.integers(-9, 14, 30)
    apart = (found - expected).tolist()
    mean = sum(apart) / 30
    deviation = math.sqrt(sum((d - mean) ** 2 for d in apart) / 29)
    limits = limits_of_agreement(found, expected)
    plain = (mean, deviation, mean - 1.96 * deviation, mean + 1.96 * deviation)
    np.testing.assert_allclose(limits, plain, rtol=1e-12)
    assert concordance(expected, expected) == 1.0
    assert concordance(expected, -expected) < 0


@pytest.mark.parametrize("seed", range(3))
def test_concordance_equals_torchmetrics(seed) -> None:
    import torch
    from torchmetrics.functional import concordance_corrcoef

    expected = np.random.default_rng(seed).normal(50, 20, 40)
    found = expected * 0.9 + np.random.default_rng(seed + 10).normal(3, 5, 40)
    # By the formula, for theirs mixes moments with 1/n and 1/(n - 1)…
    x, y = found - found.mean(), expected - expected.mean()
    apart = (found.mean() - expected.mean()) ** 2
    plain = 2 * (x * y).mean() / ((x * x).mean() + (y * y).mean() + apart)
    assert concordance(found, expected) == pytest.approx(plain, rel=1e-12)
    # … which is the same where the means are equal.
    theirs = float(concordance_corrcoef(torch.from_numpy(x), torch.from_numpy(y)))
    assert concordance(x, y) == pytest.approx(theirs, rel=1e-6)


def test_series_that_do_not_do() -> None:
    with pytest.raises(Undefined, match="two images"):
        limits_of_agreement([3], [4])
    with pytest.raises(Undefined, match="two images"):
        concordance([], [])
    with pytest.raises(Undefined, match="same number"):
        concordance([3, 3], [3, 3])
    with pytest.raises(InputError, match="one per image"):
        concordance([3, 3], [3])
    with pytest.raises(InputError, match="NaN"):
        limits_of_agreement([3, float("nan")], [3, 4])
