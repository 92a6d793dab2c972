"""Pairs of images, and blocks of them, as metrics take them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from napari_tincture.metrics import windows
from napari_tincture.metrics.metric import Block, Metric

RANGES = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0, "float64": 1.0}


def use_kernels(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With numba, where it is there, or without."""
    if compiled and not windows.fused():
        pytest.skip("numba is not installed")
    monkeypatch.setattr(windows, "fused", lambda: compiled)
    monkeypatch.setattr("napari_tincture.metrics.sums.fused", lambda: compiled)


def give_weights(metrics: Iterable[Metric], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights for metrics that need a file of the user."""
    import torch

    for needs in {metric.needs for metric in metrics if metric.needs is not None}:
        torch.manual_seed(0)
        file = folder / f"{needs.variable}.pth"
        torch.save(needs.build().state_dict(), file)
        monkeypatch.setenv(needs.variable, str(file))


def pair(shape: tuple[int, int], dtype: str = "float64", seed: int = 0):
    """Two images (3, y, x) that are alike, over the whole range of values."""
    random = np.random.default_rng(seed)
    y, x = (np.linspace(0, 9, n) for n in shape)
    waves = np.sin(y)[:, None] * np.cos(x) * np.array([0.3, 0.4, 0.5])[:, None, None] + 0.5
    reference = np.clip(waves + 0.1 * random.normal(size=(3, *shape)), 0, 1)
    image = np.clip(0.8 * reference + 0.1 + 0.1 * random.normal(size=(3, *shape)), 0, 1)
    return tuple(valued(v, dtype) for v in (image, reference))


def valued(values, dtype: str):
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return np.round(values * RANGES[dtype]).astype(dtype)


def channel(metric: Metric):
    return None if metric.statistic.colour else 1


def block(metric: Metric, image, reference, place=None, data_range=1.0, extra=0, **rest) -> Block:
    """A place of two planes (3, y, x), with the metric's margin around it and some more."""
    shape = reference.shape[1:]
    place = place or tuple(slice(0, n) for n in shape)
    margin = metric.statistic.margin + extra
    window = tuple(
        slice(max(0, s.start - margin), min(n, s.stop + margin))
        for s, n in zip(place, shape, strict=True)
    )
    core = tuple(
        slice(s.start - w.start, s.stop - w.start) for s, w in zip(place, window, strict=True)
    )
    chosen = slice(None) if metric.statistic.colour else channel(metric)
    values = (v[(chosen, *window)] for v in (image, reference))
    return Block(*values, core, place, shape, data_range, **rest)


def figures(metric: Metric, image, reference, data_range: float) -> dict[str, float]:
    """Of whole planes (3, y, x)."""
    row = metric.statistic.measure(block(metric, image, reference, data_range=data_range))
    return dict(metric.figures(row[0], data_range))
