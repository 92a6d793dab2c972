"""From sums to the rows of a comparison's table, and what is to be said beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Metric, Undefined
from napari_tincture.metrics.stream import Key, Tally
from napari_tincture.metrics.sums import SUMS, Sums
from napari_tincture.tasks._areas import Areas
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
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in pairs.names}
        self._notes = dict.fromkeys(pairs.notes)
        self._undefined: dict[tuple[str, str], list[str]] = {}
        self._beyond: dict[str, Extent] = {}

    @property
    def table(self) -> list[dict[str, Any]]:
        """All rows, image by image."""
        return [row for rows in self._rows.values() for row in rows]

    @property
    def notes(self) -> list[str]:
        """Each once, however many rows it is about."""
        beyond = [
            f"Values of {image} reach from {least:g} to {most:g}, the reference's from {low:g} to "
            f"{high:g}: together further apart than the data range {self._range:g}."
            for image, (least, most, low, high) in self._beyond.items()
        ]
        undefined = [
            f"{column} of {_listed(rows)} is undefined: {why}."
            for (column, why), rows in self._undefined.items()
        ]
        return [*self._notes, *beyond, *undefined]

    def add(self, tally: Tally, place: Mapping[str, int], areas: Areas | None) -> None:
        """Read the rows of one plane off what was summed.

        Raises
        ------
        InputError
            If the reference's values lie much further apart than the data range.
        """
        regions = list(enumerate(areas.names)) if areas else [(0, "")]
        for number, image in enumerate(self._pairs.names):
            if left_out := tally.left_out.get(number, 0):
                text = f"{image}: {left_out} pixels of a plane have no value and do not count."
                self._notes.setdefault(text)
            for channels, label in self._channel_rows():
                for region, name in regions:
                    row: dict[str, Any] = {"image": image, **place}
                    row |= {} if label is None else {"channel": label}
                    row |= {"region": name} if name else {}
                    where = ", ".join(map(str, row.values()))
                    sums = _sums(tally, number, region)
                    self._check(sums, image)
                    row |= self._figures(tally, number, channels, region, where, sums)
                    self._rows[image].append(row)

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

    def _figures(
        self, tally: Tally, image: int, channels: Sequence[int | None], region: int, where: str,
        sums: Sequence[Sums],
    ) -> dict[str, float]:  # fmt: skip
        found: dict[str, float] = {}
        for metric in self._metrics:
            keys = [Key(image, channel, metric.statistic) for channel in channels]
            states = [tally.rows[key][region] for key in keys if key in tally.rows]
            try:
                if not all(each.pixels for each in sums):
                    raise Undefined("no pixel counts")
                values = [metric.figures(state, self._range) for state in states]
            except Undefined as error:
                self._undefined.setdefault((metric.columns[0], str(error)), []).append(where)
                values = [dict.fromkeys(metric.columns, math.nan)]
            if states:
                found |= {c: float(np.mean([v[c] for v in values])) for c in metric.columns}
        return found

    def _check(self, sums: Sequence[Sums], image: str) -> None:
        low = min(each.reference_least for each in sums)
        high = max(each.reference_most for each in sums)
        if high - low > self._range * SLACK:
            raise InputError(
                f"Values of the reference lie between {low:g} and {high:g}, further apart than "
                f"data_range={self._range:g}. Pass the difference between the largest and the "
                "smallest possible value."
            )
        least = min(each.image_least for each in sums)
        most = max(each.image_most for each in sums)
        if max(most, high) - min(least, low) > self._range * (1 + 1e-6):
            before = self._beyond.get(image, (least, most, low, high))
            self._beyond[image] = (
                min(least, before[0]), max(most, before[1]),
                min(low, before[2]), max(high, before[3]),
            )  # fmt: skip


def _listed(rows: Sequence[str]) -> str:
    return rows[0] if len(rows) == 1 else f"{rows[0]} and {len(rows) - 1} other rows"


def _sums(tally: Tally, image: int, region: int) -> list[Sums]:
    """Of all channels."""
    return [
        Sums(*rows[region])
        for key, rows in tally.rows.items()
        if key.image == image and key.statistic == SUMS
    ]
