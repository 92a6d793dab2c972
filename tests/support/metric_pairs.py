"""Pairs of images, and blocks of them, as metrics take them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from napari_tincture.metrics import stream, windows
from napari_tincture.metrics.metric import Block, Metric
from napari_tincture.progress import CancelToken
from napari_tincture.regrid import Window

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


def grid(shape, rows, columns):
    """Places that cover a plane once; edges are parts of its sides."""
    edges = [
        sorted({0, n, *(int(n * p) for p in parts)})
        for n, parts in zip(shape, (rows, columns), strict=True)
    ]
    return [(slice(*y), slice(*x)) for y in pairwise(edges[0]) for x in pairwise(edges[1])]


def reader(values, valid=None):
    return lambda place: Window(
        values[(slice(None), *place)], None if valid is None else valid[place]
    )


def survey_of(metrics, image, reference, data_range=1.0, valid=None, **rest) -> stream.Survey:
    """Of channel 1; the reference may be None."""
    return stream.Survey(
        shape=image.shape[1:],
        images=[reader(image, valid)],
        reference=None if reference is None else reader(reference),
        channels=[1],
        statistics=list(dict.fromkeys(m.statistic for m in metrics)),
        data_range=data_range,
        **rest,
    )


def surveyed(metrics, image, reference, data_range=1.0, valid=None, regions=None, **rest):
    """Rows of metrics by streaming, and what was left out."""
    at = None if regions is None else (lambda place: regions[place])
    plan = survey_of(metrics, image, reference, data_range, valid, regions=at, **rest)
    tally = stream.survey(plan, lambda *_: None, CancelToken())
    rows = [tally.rows[stream.Key(0, channel(m), m.statistic)] for m in metrics]
    return rows, tally.left_out.get(0, 0)


def empty(metric: Metric, planes, data_range=1.0):
    """The row of a block whose pixels belong to no region."""
    regions = np.full(planes[0].shape[1:], -1, np.int32)
    return metric.statistic.measure(block(metric, *planes, data_range=data_range, regions=regions))


def close(found, expected, relative=1e-9):
    """Equal up to rounding; of numbers that cancel, relative to the greatest."""
    found, expected = (
        np.asarray([*v.values()] if hasattr(v, "values") else v) for v in (found, expected)
    )
    finite = expected[np.isfinite(expected)]
    scale = np.abs(finite).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=relative, atol=relative * 1e-3 * scale)


def lengths(side: int, chunk: int) -> list[int]:
    return [min(chunk, side - start) for start in range(0, side, chunk)]
