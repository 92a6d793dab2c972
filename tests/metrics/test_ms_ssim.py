"""Multi-scale similarity agrees with torchmetrics, and leaves out what sees no value."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metric_pairs import RANGES, block, figures, pair, use_kernels
from numpy.lib.stride_tricks import sliding_window_view

from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.ms_ssim import LEAST, METRIC

torchmetrics_image = pytest.importorskip("torchmetrics.functional.image")


@pytest.fixture(params=[True, False], ids=["compiled", "torch"], autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use_kernels(request.param, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("part", [1.0, 0.37])
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("shape", [(176, 176), (191, 207), (256, 180), (345, 233)], ids=str)
def test_it_is_torchmetrics(shape: tuple[int, int], dtype: str, part: float) -> None:
    planes, data_range = pair(shape, dtype), part * RANGES[dtype]
    tensors = (torch.from_numpy(v[1].astype(np.float64))[None, None] for v in planes)
    expected = torchmetrics_image.multiscale_structural_similarity_index_measure(
        *tensors, data_range=data_range
    )
    # torchmetrics keeps the weights in single precision.
    found = figures(METRIC, *planes, data_range)["ms_ssim"]
    assert found == pytest.approx(expected.item(), rel=1e-7)


def test_opposite_structures_score_0() -> None:
    noise = np.random.default_rng(0).random((3, 200, 200))
    assert figures(METRIC, noise, 1 - noise, 1.0)["ms_ssim"] == 0


@pytest.mark.parametrize("shape", [(LEAST - 1, 400), (400, LEAST - 1), (5, 5)])
def test_too_small_planes_are_undefined(shape: tuple[int, int]) -> None:
    with pytest.raises(Undefined, match="176 × 176"):
        figures(METRIC, *pair(shape), 1.0)


def test_a_region_without_a_window_at_the_last_scale_is_undefined() -> None:
    # Pixels of the fifth scale have their middles at 40 and 56, of the fourth at 44 and 52.
    regions = np.full((200, 200), -1, np.int32)
    regions[44:56, 44:56] = 0
    row = METRIC.statistic.measure(block(METRIC, *pair((200, 200)), regions=regions))
    with pytest.raises(Undefined, match="scale 5"):
        METRIC.figures(row[0], 1.0)
    regions[44:57, 44:57] = 0
    row = METRIC.statistic.measure(block(METRIC, *pair((200, 200)), regions=regions))
    assert METRIC.figures(row[0], 1.0)["ms_ssim"] > 0


def test_windows_that_see_a_pixel_without_value_are_left_out_and_no_others() -> None:
    planes = pair((213, 251))
    bad = np.zeros(planes[0].shape[1:], bool)
    bad[40, 52] = bad[0, 100] = bad[212, 250] = bad[140:143, 199] = True
    clean = [np.where(bad, 0.0, v) for v in planes]
    row = METRIC.statistic.measure(block(METRIC, *clean, bad=bad))[0]
    for scale, (count, total) in enumerate(counted(*(v[1] for v in clean), bad)):
        assert row[2 * scale] == count
        assert row[2 * scale + 1] == pytest.approx(total, rel=1e-9)


def counted(a, b, bad):
    """Number of windows and sum of their values at every scale, by definition."""
    along = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(along, along) / along.sum() ** 2
    for scale in range(5):
        stack = [a, b, bad.astype(float)]
        if scale == 4:
            stack = [np.pad(v, 5, "reflect") for v in stack]
        wa, wb, seen = (sliding_window_view(v, (11, 11)) for v in stack)
        ma, mb, maa, mbb, mab = (
            (v * weights).sum((2, 3)) for v in (wa, wb, wa * wa, wb * wb, wa * wb)
        )
        value = (2 * (mab - ma * mb) + 9e-4) / (maa - ma**2 + mbb - mb**2 + 9e-4)
        if scale == 4:
            value = value * (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
        free = ~seen.any((2, 3))
        yield free.sum(), value[free].sum()
        a, b, bad = (halved(v.astype(float)) for v in (a, b, bad))
        bad = bad > 0


def halved(values):
    height, width = (n // 2 for n in values.shape)
    whole = values[: 2 * height, : 2 * width]
    return whole.reshape(height, 2, width, 2).mean((1, 3))
