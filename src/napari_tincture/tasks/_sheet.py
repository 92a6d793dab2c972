"""From sums to the rows of a comparison's table, and what is to be said beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Metric, Undefined
from napari_tincture.metrics.stream import REFERENCE, Key, Tally
from napari_tincture.metrics.sums import SUMS, Sums
from napari_tincture.tasks._areas import Areas
from napari_tincture.tasks._notes import Notes, by_number
from napari_tincture.tasks._pairs import Pairs

SLACK = 1.05
"""By which the reference may exceed the data range: what is scaled by percentiles overshoots it."""
Extent = tuple[float, float, float, float]
"""Smallest and largest value of an image, and of its reference."""
ChannelRow = tuple[tuple[int | None, ...], Any]
"""Channels that make a row, and its name; None without an axis of channels."""


class Sheet:
    """Rows of a table, one per image, plane, channel and region; and notes."""

    def __init__(
        self, pairs: Pairs, metrics: Sequence[Metric], channels: str, data_range: float
    ) -> None:
        self._pairs, self._metrics = pairs, metrics
        self._channels, self._range = channels, data_range
        self._sources = list(enumerate(pairs.names))
        if any(metric.alone for metric in metrics):
            self._sources.append((REFERENCE, pairs.reference_name))
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for _, name in self._sources}
        self._notes = Notes(pairs.notes)
        self._beyond: dict[str, Extent] = {}
        self._why: dict[int, dict[str, str]] = {}

    @property
    def table(self) -> list[dict[str, Any]]:
        """All rows, image by image."""
        return [row for rows in self._rows.values() for row in rows]

    @property
    def undefined(self) -> dict[tuple[int, str], str]:
        """Why there is no figure, by number of the row and column."""
        return by_number(self.table, self._why)

    @property
    def notes(self) -> list[str]:
        """What a reader of the table must know."""
        beyond = [
            f"Values of {image} reach from {least:.4g} to {most:.4g}, the reference's from "
            f"{low:.4g} to {high:.4g}: together further apart than the data range {self._range:g}."
            for image, (least, most, low, high) in self._beyond.items()
        ]
        return [*beyond, *self._notes]

    def add(self, tally: Tally, place: Mapping[str, int], areas: Areas | None) -> None:
        """Read the rows of one plane off what was summed.

        Raises
        ------
        InputError
            If the reference's values lie much further apart than the data range.
        """
        for number, image in self._sources:
            if left_out := tally.left_out.get(number, 0):
                text = f"{image}: {left_out} pixels of a plane have no value and do not count."
                self._notes.say(text)
            for channels, label in self._channel_rows():
                for region, name in enumerate(areas.names if areas else ("",)):
                    row: dict[str, Any] = {"image": image, **place}
                    row |= {} if label is None else {"channel": label}
                    row |= {"region": name} if name else {}
                    self._fill(row, tally, number, channels, region)
                    self._rows[image].append(row)

    def _fill(
        self, row: dict[str, Any], tally: Tally, number: int, channels: Sequence[int | None],
        region: int,
    ) -> None:  # fmt: skip
        where = ", ".join(map(str, row.values()))
        sums = _sums(tally, number, region)
        if sums:
            self._check(sums, row["image"])
        empty = not all(each.pixels for each in sums)
        why = self._why.setdefault(id(row), {})
        for metric in self._metrics:
            keys = [Key(number, channel, metric.statistic) for channel in channels]
            states = [tally.rows[key][region] for key in keys if key in tally.rows]
            if not states:
                continue
            try:
                if empty and not metric.alone:
                    raise Undefined("no pixel counts")
                values = [metric.figures(state, self._range) for state in states]
            except Undefined as error:
                self._notes.undefined(metric.columns[0], where, str(error))
                values = [dict.fromkeys(metric.columns, math.nan)]
                why |= dict.fromkeys(metric.columns, str(error))
            row |= {c: float(np.mean([v[c] for v in values])) for c in metric.columns}

    def _channel_rows(self) -> Iterator[ChannelRow]:
        count, names = self._pairs.channels
        single = range(count)
        if self._channels != "each":
            yield (*single, None), self._channels
        elif names is None:
            yield (*single, None), None
        else:
            yield from (((index,), names[index]) for index in single)
            if any(metric.statistic.colour for metric in self._metrics):
                yield (None,), "all"

    def _check(self, sums: Sequence[Sums], image: str) -> None:
        low = min(each.reference_least for each in sums)
        high = max(each.reference_most for each in sums)
        if high - low > self._range * SLACK:
            problem = (
                f"Values of the reference lie between {low:g} and {high:g}, further apart than"
            )
            remedy = "the difference between the largest and the smallest possible value."
            raise InputError(
                f"{problem} data_range={self._range:g}. Pass {remedy}",
                panel=f"{problem} the range of {self._range:g}. Enter {remedy}",
            )
        least = min(each.image_least for each in sums)
        most = max(each.image_most for each in sums)
        if max(most, high) - min(least, low) > self._range * (1 + 1e-6):
            before = self._beyond.get(image, (least, most, low, high))
            self._beyond[image] = (
                min(least, before[0]), max(most, before[1]),
                min(low, before[2]), max(high, before[3]),
            )  # fmt: skip


def _sums(tally: Tally, image: int, region: int) -> list[Sums]:
    """Of all channels."""
    return [
        Sums(*rows[region])
        for key, rows in tally.rows.items()
        if key.image == image and key.statistic == SUMS
    ]
