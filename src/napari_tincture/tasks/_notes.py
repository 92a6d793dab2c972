"""What is to be said beside a table: each thing once, however many rows it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


class Notes:
    """Sentences, in the order in which they came up; undefined figures come last."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = dict.fromkeys(texts)
        self._undefined: dict[tuple[str, str], list[str]] = {}

    def say(self, text: str) -> None:
        """Add a sentence."""
        self._texts.setdefault(text)

    def undefined(self, column: str, row: str, why: str) -> None:
        """State that a row has no figure in a column."""
        self._undefined.setdefault((column, why), []).append(row)

    def __iter__(self) -> Iterator[str]:
        yield from self._texts
        for (column, why), rows in self._undefined.items():
            which = rows[0] if len(rows) == 1 else f"{rows[0]} and {len(rows) - 1} other rows"
            yield f"{column} of {which} is undefined: {why}."


def by_number(
    table: Sequence[dict[str, Any]], why: Mapping[int, Mapping[str, str]]
) -> dict[tuple[int, str], str]:
    """Reasons kept by the identity of a row, by its number in the table and column."""
    return {
        (number, column): reason
        for number, row in enumerate(table)
        for column, reason in why.get(id(row), {}).items()
    }
