"""What a metric of label images is: tables counted region by region, and figures made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from napari_tincture.metrics.metric import Undefined

Better = Literal["higher", "lower"]


class Figures(dict[str, float | None]):
    """Figures by name, in the order of a table; None for one that the images do not have.

    Attributes
    ----------
    undefined : dict of str to str
        Why, by the names of those that are None.
    """

    def __init__(self) -> None:
        self.undefined: dict[str, str] = {}

    def take(self, name: str, figure: Callable[[], float]) -> None:
        """Add a figure, or why there is none."""
        try:
            self[name] = figure()
        except Undefined as error:
            self[name], self.undefined[name] = None, str(error)

    def take_parts(self, name: str, parts: Sequence[str], figure: Callable[[], object]) -> None:
        """Add all that one call gives, or why it gives nothing."""
        try:
            found = figure()
        except Undefined as error:
            self.update(dict.fromkeys(whole := [f"{name}_{part}" for part in parts]))
            self.undefined.update(dict.fromkeys(whole, str(error)))
        else:
            self.update({f"{name}_{part}": getattr(found, part) for part in parts})


Count = Callable[..., Sequence[Any]]
"""Counts two label images (y, x), one table per region; called as `overlaps_of`."""


class LabelMetric(ABC):
    """Figures of labels against those of a reference."""

    count: Count
    """What is counted; metrics with the same count share one pass."""
    lower: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the columns of which less is better."""
    neither: ClassVar[tuple[str, ...]] = ()
    """Beginnings of those that are no judgement."""

    @abstractmethod
    def figures(self, table: Any) -> Figures:
        """Read the figures off the table of a region."""

    def better(self, column: str) -> Better | None:
        """Which of two figures of a column speaks for the image."""
        if column.startswith(self.neither):
            return None
        return "lower" if column.startswith(self.lower) else "higher"
