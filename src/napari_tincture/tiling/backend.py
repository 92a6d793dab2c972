"""What a live pyramid and those who compute its tiles say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from napari_tincture.tiling.live_layout import Block, Plane, TileIndex


class Backend(Protocol):
    """Who computes tiles, somewhere else; no method waits.

    Every request is answered by `LivePyramid.arrived`, `dropped` or `failed`, in any thread.
    """

    def request(self, plane: Plane, index: TileIndex, urgent: bool) -> None:
        """Compute a tile; one that nobody waits for is not `urgent`."""

    def revoke(self, plane: Plane, index: TileIndex) -> None:
        """Drop a tile if possible."""

    def close(self) -> None:
        """Forget all requests; nothing need be answered any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStatus:
    """How far a live result is.

    Attributes
    ----------
    done, total
        Tiles that were computed, and all.
    queued
        Tiles on screen that are still to come.
    seconds
        Until they have come; None as long as nobody can tell.
    overview
        So much is on screen that nothing is computed.
    finishing
        The rest is being computed, too.
    sampled
        Planes whose values of the whole image are still those of a few samples.
    problem
        Why nothing comes, or empty.
    """

    done: int
    total: int
    queued: int
    seconds: float | None
    overview: bool
    finishing: bool
    sampled: int
    problem: str


class Answers(Protocol):
    """Who hears of tiles; see the methods of these names of `LivePyramid`."""

    def arrived(
        self,
        plane: Plane,
        index: TileIndex,
        block: Block,
        *,
        level: int = 0,
        seconds: float | None = None,
    ) -> None:
        """A tile is there."""

    def dropped(self, plane: Plane, index: TileIndex) -> None:
        """A revoked tile was not computed."""

    def failed(self, plane: Plane, index: TileIndex, problem: str) -> None:
        """A tile cannot be computed."""

    def know(self, plane: Plane, place: str, values: Mapping[str, Any], settled: bool) -> None:
        """This is what a plane's tiles take from the whole image."""

    def settle(self, plane: Plane, stale: bool) -> None:
        """A plane's values are final."""
