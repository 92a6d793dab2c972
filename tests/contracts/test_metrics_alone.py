"""What every metric of one image, without a reference, promises; a new one needs no edit here."""

from __future__ import annotations

import numpy as np
import pytest
from metric_pairs import (
    RANGES,
    block,
    close,
    empty,
    grid,
    lengths,
    pair,
    survey_of,
    surveyed,
    valued,
)  # fmt: skip

from napari_tincture.metrics import stream
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.progress import CancelToken

ALONE = [name for name in metric_names() if find_metric(name).alone]
MAPPED = [name for name in ALONE if find_metric(name).maps]
SHAPE = (29, 37)


def picture(dtype="float64", shape=SHAPE):
    """(3, y, x)"""
    return pair(shape, dtype)[0]


def measured(metric, image, **options):
    return metric.statistic.measure(block(metric, image, image, **options))


def test_there_are_some() -> None:
    assert {"drift", "focus_brenner", "noise"} <= {*ALONE}
    assert not {"ssim", "mse"} & {*ALONE}


@pytest.mark.parametrize("name", ALONE)
def test_columns_and_maps_are_named(name: str) -> None:
    metric = find_metric(name)
    assert metric.alone == metric.statistic.alone
    figures = metric.figures(measured(metric, picture())[0], 1.0)
    assert metric.columns[0] == name
    assert tuple(figures) == metric.columns
    assert {*metric.averaged} <= {*metric.maps} <= {*metric.columns}
    assert all(type(v) is float and np.isfinite(v) and v > 0 for v in figures.values())


@pytest.mark.parametrize("name", ALONE)
def test_a_reference_changes_nothing(name: str, monkeypatch) -> None:
    metric = find_metric(name)
    image, other = picture("uint8"), pair(SHAPE, "float32")[1]
    other[:, 5:9] = np.nan
    monkeypatch.setattr(stream, "AREA", 13)
    (row,), left_out = surveyed([metric], image, None, 255.0)
    assert left_out == 0
    (beside,), _ = surveyed([metric], image, other, 255.0)
    np.testing.assert_array_equal(beside, row)


@pytest.mark.parametrize("name", ALONE)
def test_the_reference_is_measured_like_an_image(name: str, monkeypatch) -> None:
    metric = find_metric(name)
    image, reference = pair(SHAPE)
    image[:, 3, 3] = reference[:, 9, 8] = np.nan
    monkeypatch.setattr(stream, "AREA", 13)
    plan = survey_of([metric, find_metric("ssim")], image, reference, both=True)
    tally = stream.survey(plan, lambda *_: None, CancelToken())
    (row,), left_out = surveyed([metric], reference, None)
    close(tally.rows[stream.Key(stream.REFERENCE, 1, metric.statistic)], row)
    assert tally.left_out == {stream.REFERENCE: left_out, 0: 2}
    assert len(tally.rows) == 3


def test_pairs_and_others_share_a_pass(monkeypatch) -> None:
    image, reference = pair(SHAPE)
    metrics = [find_metric(name) for name in ("mse", *ALONE, "ssim")]
    monkeypatch.setattr(stream, "AREA", 11)
    rows, _ = surveyed(metrics, image, reference)
    for metric, row in zip(metrics, rows, strict=True):
        close(row, metric.statistic.measure(block(metric, image, reference)))


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ALONE)
def test_a_constant_image_has_none_of_it(name: str, value: float, dtype: str) -> None:
    metric = find_metric(name)
    flat = valued(np.full((3, *SHAPE), value), dtype)
    try:
        figures = metric.figures(measured(metric, flat, data_range=RANGES[dtype])[0], RANGES[dtype])
    except Undefined:
        return
    assert figures == pytest.approx(dict.fromkeys(metric.columns, 0.0), abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 40)])
@pytest.mark.parametrize("name", ALONE)
def test_the_smallest_images_have_figures_or_say_why(name: str, shape) -> None:
    metric = find_metric(name)
    (row,), _ = surveyed([metric], picture(shape=shape), None)
    try:
        figures = metric.figures(row[0], 1.0)
    except Undefined:
        return
    assert np.isfinite([*figures.values()]).all()


@pytest.mark.parametrize("name", ALONE)
def test_a_region_without_pixels_is_undefined(name: str) -> None:
    metric = find_metric(name)
    row = measured(metric, picture(), regions=np.zeros(SHAPE, np.int32), count=2)
    assert metric.figures(row[0], 1.0)
    with pytest.raises(Undefined):
        metric.figures(row[1], 1.0)


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", ALONE)
def test_merging_is_associative_and_gives_the_whole(name: str, dtype: str) -> None:
    metric = find_metric(name)
    merge, data_range, image = metric.statistic.merge, RANGES[dtype], picture(dtype)
    a, b, c, d, e, f = (
        measured(metric, image, place=place, data_range=data_range, extra=number)
        for number, place in enumerate(grid(SHAPE, (0.31,), (0.2, 0.73)))
    )
    one = merge(merge(merge(merge(merge(a, b), c), d), e), f)
    other = merge(f, merge(merge(e, d), merge(c, merge(b, a))))
    close(one, other)
    close(one, measured(metric, image, data_range=data_range))
    nothing = empty(metric, (image, image), data_range)
    close(merge(one, nothing), one)
    close(merge(nothing, one), one)


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("area", [3, 13])
@pytest.mark.parametrize("name", ALONE)
def test_streaming_equals_whole(name: str, area: int, dtype: str, monkeypatch) -> None:
    metric = find_metric(name)
    image, data_range = picture(dtype), RANGES[dtype]
    monkeypatch.setattr(stream, "AREA", area)
    whole = measured(metric, image, data_range=data_range)
    expected = metric.figures(whole[0], data_range)
    height, width = SHAPE
    for chunks in (
        None,
        (lengths(height, 7), lengths(width, 11)),
        ((1, height - 1), (width - 2, 2)),
    ):
        (row,), _ = surveyed([metric], image, None, data_range, chunks=chunks)
        close(row, whole)
        close(metric.figures(row[0], data_range), expected)


@pytest.mark.parametrize("name", ALONE)
def test_resumed_equals_uninterrupted(name: str, monkeypatch) -> None:
    metric = find_metric(name)
    monkeypatch.setattr(stream, "AREA", 5)
    plan = survey_of([metric], picture(), None, chunks=(lengths(29, 6), lengths(37, 9)))
    key = stream.Key(0, 1, metric.statistic)
    kept = []
    whole = stream.survey(
        plan, lambda *_: None, CancelToken(),
        keep=lambda t: kept.append(stream.Tally({**t.rows}, {**t.left_out}, t.done)),
    )  # fmt: skip
    assert len(kept) > 3
    for tally in kept:
        resumed = stream.survey(plan, lambda *_: None, CancelToken(), tally)
        np.testing.assert_array_equal(resumed.rows[key], whole.rows[key])


@pytest.mark.parametrize("name", ALONE)
def test_regions_part_the_whole(name: str, monkeypatch) -> None:
    metric = find_metric(name)
    labels = np.random.default_rng(1).integers(-1, 3, (6, 5)).astype(np.int32)
    regions = np.kron(labels, np.ones((5, 8), np.int32))[: SHAPE[0], : SHAPE[1]].copy()
    regions[::7, ::5] = 2
    monkeypatch.setattr(stream, "AREA", 9)
    (rows,), _ = surveyed([metric], picture(), None, regions=regions, count=3)
    (together,), _ = surveyed([metric], picture(), None, regions=np.minimum(regions, 0))
    merge = metric.statistic.merge
    close(merge(rows[[0]], merge(rows[[1]], rows[[2]])), together)
    for number, row in enumerate(rows):
        only = np.where(regions == number, np.int32(0), np.int32(-1))
        (single,), _ = surveyed([metric], picture(), None, regions=only)
        close(row[None], single)


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("name", MAPPED)
def test_maps_have_the_cores_shape_wherever_it_lies(name: str, dtype: str) -> None:
    metric, image = find_metric(name), picture(dtype)
    whole = metric.map(block(metric, image, image, data_range=RANGES[dtype]))
    assert tuple(whole) == metric.maps
    more = metric.map_margin - metric.statistic.margin
    for number, place in enumerate(grid(SHAPE, (0.04, 0.4), (0.5, 0.97))):
        part = block(metric, image, image, place, RANGES[dtype], extra=more + number)
        for column, values in metric.map(part).items():
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, whole[column][place], rtol=2e-6)


@pytest.mark.parametrize("name", sorted({*ALONE} - {*MAPPED}))
def test_without_maps_asking_for_one_is_refused(name: str) -> None:
    metric = find_metric(name)
    with pytest.raises(NotImplementedError, match="has no maps"):
        metric.map(block(metric, picture(), picture()))


def holes():
    bad = np.zeros(SHAPE, bool)
    bad[:3, 1] = bad[1, SHAPE[1] - 2] = bad[SHAPE[0] - 1, SHAPE[1] // 2] = True
    return bad


@pytest.mark.parametrize("name", ALONE)
def test_pixels_without_a_value_are_left_out(name: str, monkeypatch) -> None:
    metric, bad = find_metric(name), holes()
    monkeypatch.setattr(stream, "AREA", 13)
    lacking, there, wild = (np.where(bad, v, picture()) for v in (np.nan, np.inf, 0.123))
    (row,), left_out = surveyed([metric], wild, None, valid=~bad)
    assert left_out == bad.sum()
    assert metric.figures(row[0], 1.0)
    for values in (lacking, there):
        (found,), count = surveyed([metric], values, None)
        assert count == bad.sum()
        close(found, row)


@pytest.mark.parametrize("name", [n for n in ALONE if not find_metric(n).statistic.takes_bad])
def test_nothing_but_what_sees_such_pixels_is_left_out(name: str, monkeypatch) -> None:
    metric, bad = find_metric(name), holes()
    margin = metric.statistic.margin
    seeing = bad.copy()
    for y, x in np.argwhere(bad):
        seeing[max(0, y - margin) : y + margin + 1, max(0, x - margin) : x + margin + 1] = True
    monkeypatch.setattr(stream, "AREA", 13)
    (found,), _ = surveyed([metric], np.where(bad, np.nan, picture()), None)
    (expected,), _ = surveyed([metric], picture(), None, regions=-seeing.astype(np.int32))
    close(found, expected)
