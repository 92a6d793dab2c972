"""What every metric of an image and its reference promises; a new one is tested without an edit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from metric_pairs import (
    RANGES,
    block,
    close,
    empty,
    give_weights,
    grid,
    lengths,
    pair,
    surveyed,
    use_kernels,
    valued,
)  # fmt: skip

from napari_tincture.metrics import stream
from napari_tincture.metrics.metric import Metric, Undefined
from napari_tincture.metrics.registry import find_metric, metric_names

PAIRS = [name for name in metric_names() if not find_metric(name).alone]
MAPPED = [name for name in PAIRS if find_metric(name).maps]
SIDES = (29, 37), (67, 83), (181, 195)
"""Planes, small ones first: a metric is tested on the first that has its figures."""


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        metrics = [find_metric(name) for name in PAIRS]
        give_weights(metrics, tmp_path_factory.mktemp("weights"), patch)
        yield


@pytest.fixture(params=[True, False], ids=["compiled", "torch"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use_kernels(request.param, monkeypatch)


def plane(metric: Metric) -> tuple[int, int]:
    """The smallest shape that has figures."""
    for shape in SIDES:
        try:
            metric.figures(metric.statistic.measure(block(metric, *pair(shape)))[0], 1.0)
        except Undefined:
            continue
        return shape
    raise AssertionError(f"{metric} has no figures up to {SIDES[-1]}")


@pytest.mark.parametrize("name", PAIRS)
def test_columns_and_maps_are_named(name: str) -> None:
    metric = find_metric(name)
    figures = metric.figures(metric.statistic.measure(block(metric, *pair(plane(metric))))[0], 1.0)
    assert metric.columns[0] == name
    assert tuple(figures) == metric.columns
    assert {*metric.averaged} <= {*metric.maps} <= {*metric.columns}
    assert {*metric.perfect} <= {*metric.columns}
    assert all(type(v) is float and np.isfinite(v) for v in figures.values())


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", PAIRS)
def test_an_image_against_itself_scores_best(name: str, dtype: str, monkeypatch) -> None:
    metric = find_metric(name)
    image, reference = pair(plane(metric), dtype)
    # A constant part, where rounding leaves variances that are not zero.
    reference[:, :20, :20] = reference[:, :1, :1]
    monkeypatch.setattr(stream, "AREA", 23)
    (row,), _ = surveyed([metric], reference, reference, RANGES[dtype])
    (other,), _ = surveyed([metric], image, reference, RANGES[dtype])
    figures, others = (metric.figures(r[0], RANGES[dtype]) for r in (row, other))
    for column, figure in figures.items():
        best = metric.perfect.get(column, 1.0 if metric.better == "higher" else 0.0)
        if best is not None:
            assert figure == best, column
        worse = others[column] < figure if metric.better == "higher" else others[column] > figure
        assert worse, column


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", PAIRS)
def test_constant_images_are_best_or_undefined(name: str, dtype: str) -> None:
    metric = find_metric(name)
    shape = plane(metric)
    for value in (0.0, 0.3, 1.0):
        flat = valued(np.full((3, *shape), value), dtype)
        row = metric.statistic.measure(block(metric, flat, flat, data_range=RANGES[dtype]))[0]
        try:
            figures = metric.figures(row, RANGES[dtype])
        except Undefined:
            continue
        for column, figure in figures.items():
            best = metric.perfect.get(column, 1.0 if metric.better == "higher" else 0.0)
            assert best is None or figure == best, column


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_constant_against_others_is_finite_or_undefined(name: str, dtype: str) -> None:
    metric = find_metric(name)
    shape, data_range = plane(metric), RANGES[dtype]
    image, _ = pair(shape, dtype)
    for value in (0.0, 0.3, 1.0):
        flat = valued(np.full((3, *shape), value), dtype)
        for one, other in ((image, flat), (flat, image), (flat, flat[:, ::-1] // 2)):
            row = metric.statistic.measure(block(metric, one, other, data_range=data_range))[0]
            try:
                figures = metric.figures(row, data_range)
            except Undefined:
                continue
            allowed = {*metric.perfect.values()}
            assert all(np.isfinite(v) or v in allowed for v in figures.values()), figures


@pytest.mark.parametrize("name", PAIRS)
def test_a_region_without_pixels_is_undefined(name: str) -> None:
    metric = find_metric(name)
    image, reference = pair(plane(metric))
    regions = np.zeros(reference.shape[1:], np.int32)
    row = metric.statistic.measure(block(metric, image, reference, regions=regions, count=2))
    assert metric.figures(row[0], 1.0)
    with pytest.raises(Undefined):
        metric.figures(row[1], 1.0)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", PAIRS)
def test_merging_is_associative_and_gives_the_whole(name: str, dtype: str) -> None:
    metric = find_metric(name)
    merge, data_range = metric.statistic.merge, RANGES[dtype]
    planes = pair(plane(metric), dtype)
    places = grid(planes[0].shape[1:], (0.31,), (0.2, 0.73))
    parts = [
        metric.statistic.measure(block(metric, *planes, place, data_range, extra=n))
        for n, place in enumerate(places)
    ]
    a, b, c, d, e, f = parts
    one = merge(merge(merge(merge(merge(a, b), c), d), e), f)
    other = merge(f, merge(merge(e, d), merge(c, merge(b, a))))
    whole = metric.statistic.measure(block(metric, *planes, data_range=data_range))
    close(one, other)
    close(one, whole)
    close(merge(one, empty(metric, planes)), one)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("area", [3, 13])
@pytest.mark.parametrize("name", PAIRS)
def test_streaming_equals_whole(name: str, area: int, dtype: str, monkeypatch) -> None:
    metric = find_metric(name)
    planes, data_range = pair(plane(metric), dtype), RANGES[dtype]
    height, width = planes[0].shape[1:]
    # Of large planes larger areas, which are still smaller than the margin.
    monkeypatch.setattr(stream, "AREA", area * (6 if height > SIDES[0][0] else 1))
    whole = metric.statistic.measure(block(metric, *planes, data_range=data_range))
    expected = metric.figures(whole[0], data_range)
    for chunks in (
        None,
        (lengths(height, 7), lengths(width, 11)),
        ((1, height - 1), (width - 2, 2)),
    ):
        (row,), _ = surveyed([metric], *planes, data_range, chunks=chunks)
        close(row, whole)
        close(metric.figures(row[0], data_range), expected)


def test_metrics_together_equal_each_alone(monkeypatch) -> None:
    metrics = [find_metric(name) for name in PAIRS]
    planes = pair(SIDES[-1])
    monkeypatch.setattr(stream, "AREA", 61)
    rows, _ = surveyed(metrics, *planes)
    for metric, row in zip(metrics, rows, strict=True):
        close(row, metric.statistic.measure(block(metric, *planes)))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", PAIRS)
def test_regions_part_the_whole(name: str, monkeypatch) -> None:
    metric = find_metric(name)
    shape = plane(metric)
    planes = pair(shape)
    labels = np.random.default_rng(1).integers(-1, 3, (6, 5)).astype(np.int32)
    regions = np.kron(labels, np.ones((31, 40), np.int32))[: shape[0], : shape[1]].copy()
    regions[::7, ::5] = 2
    monkeypatch.setattr(stream, "AREA", 29)
    (rows,), _ = surveyed([metric], *planes, regions=regions, count=3)
    (together,), _ = surveyed([metric], *planes, regions=np.minimum(regions, 0))
    merge = metric.statistic.merge
    close(merge(rows[[0]], merge(rows[[1]], rows[[2]])), together)
    for number, row in enumerate(rows):
        only = np.where(regions == number, np.int32(0), np.int32(-1))
        (alone,), _ = surveyed([metric], *planes, regions=only)
        close(row[None], alone)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", MAPPED)
def test_maps_have_the_cores_shape_wherever_it_lies(name: str, dtype: str) -> None:
    metric = find_metric(name)
    shape, data_range = plane(metric), RANGES[dtype]
    planes = pair(shape, dtype)
    whole = metric.map(block(metric, *planes, data_range=data_range))
    assert tuple(whole) == metric.maps
    for number, place in enumerate(grid(shape, (0.02, 0.4), (0.5, 0.97))):
        maps = metric.map(block(metric, *planes, place, data_range, extra=number))
        for column, values in maps.items():
            assert values.dtype == np.float32
            # float32, and torch's vectors, which depend on where a row begins
            np.testing.assert_allclose(values, whole[column][place], rtol=2e-6, atol=1e-7)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", MAPPED)
def test_maps_average_to_the_figure(name: str, dtype: str) -> None:
    metric = find_metric(name)
    whole = block(metric, *pair(plane(metric), dtype), data_range=RANGES[dtype])
    figures = metric.figures(metric.statistic.measure(whole)[0], RANGES[dtype])
    inner = tuple(slice(metric.statistic.margin, n - metric.statistic.margin) for n in whole.shape)
    for column in metric.averaged:
        mean = metric.map(whole)[column][inner].mean(dtype=np.float64)
        assert mean == pytest.approx(figures[column], rel=1e-6)


@pytest.mark.parametrize("name", sorted({*PAIRS} - {*MAPPED}))
def test_without_maps_asking_for_one_is_refused(name: str) -> None:
    metric = find_metric(name)
    with pytest.raises(NotImplementedError, match="has no maps"):
        metric.map(block(metric, *pair(SIDES[0])))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", PAIRS)
def test_pixels_without_a_value_are_left_out(name: str, monkeypatch) -> None:
    metric = find_metric(name)
    # Wide windows need room beside such pixels.
    shape = plane(metric)
    image, reference = pair(shape if shape == SIDES[0] else SIDES[-1])
    height, width = image.shape[1:]
    bad = np.zeros((height, width), bool)
    bad[:3, 1] = bad[1, width - 2] = bad[height - 1, width // 2] = True
    monkeypatch.setattr(stream, "AREA", 29)
    lacking, there, wild = (np.where(bad, v, image) for v in (np.nan, np.inf, 0.123))
    (row,), left_out = surveyed([metric], wild, reference, valid=~bad)
    assert left_out == bad.sum()
    assert metric.figures(row[0], 1.0)
    for values in (lacking, there):
        (found,), count = surveyed([metric], values, reference)
        assert count == bad.sum()
        close(found, row)
    (found,), _ = surveyed([metric], wild, np.where(bad, np.nan, reference))
    close(found, row)


@pytest.mark.parametrize("name", [n for n in PAIRS if not find_metric(n).statistic.takes_bad])
def test_nothing_but_what_sees_such_pixels_is_left_out(name: str, monkeypatch) -> None:
    metric = find_metric(name)
    image, reference = pair(plane(metric))
    margin = metric.statistic.margin
    bad = np.zeros(image.shape[1:], bool)
    bad[2, 3] = bad[-1, -4] = True
    seeing = bad.copy()
    for y, x in np.argwhere(bad):
        seeing[max(0, y - margin) : y + margin + 1, max(0, x - margin) : x + margin + 1] = True
    monkeypatch.setattr(stream, "AREA", 29)
    (found,), _ = surveyed([metric], np.where(bad, np.nan, image), reference)
    (expected,), _ = surveyed([metric], image, reference, regions=-seeing.astype(np.int32))
    close(found, expected)
