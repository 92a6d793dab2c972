"""How much of a job is computed at once: less and less where memory does not suffice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from napari_tincture.device import release_memory
from napari_tincture.errors import DeviceError, TinctureWarning
from napari_tincture.grid import Grid, Tile
from napari_tincture.tiling.listener import Listener


class Portions:
    """Tiles per batch, and parts per tile.

    Parameters
    ----------
    grid
        Whose tiles are divided.
    name
        Of the model, for warnings.
    fitting
        Gives the number of tiles that memory should hold at once; asked on first use, because it
        needs the device.
    divisible
        Whether a tile may be computed in parts.

    Attributes
    ----------
    halvings : int
        How often every tile is halved.
    events : list of str
        What want of memory made of the plan, for the provenance.
    listener : Listener
        Hears of every change.
    """

    def __init__(
        self, grid: Grid, name: str, fitting: Callable[[], int], *, divisible: bool
    ) -> None:
        self._grid, self._name, self._fitting, self._divisible = grid, name, fitting, divisible
        self._batch: int | None = None
        self.halvings = 0
        self.events: list[str] = []
        self.listener = Listener()

    @property
    def batch(self) -> int:
        """Tiles that are run at once."""
        if self._batch is None:
            self._batch = self._fitting()
        return self._batch

    @batch.setter
    def batch(self, count: int) -> None:
        self._batch = count

    def of(self, tile: Tile) -> list[Tile]:
        """The tiles, halved as often as memory has asked for, that make up a tile."""
        return self._halved(tile, self.halvings)

    def note(self, event: str) -> None:
        """Record what memory forced the job to do, and warn the user of it."""
        self.events.append(event)
        self.listener.shrunk(self.to_json())
        warnings.warn(f"{self._name}: {event}", TinctureWarning, stacklevel=3)

    def shrink(self, message: str, tile: Tile) -> None:
        """Take less memory from now on: halve the batch, and then the tiles.

        Raises
        ------
        DeviceError
            If there is nothing left to halve; it repeats `message`.
        """
        release_memory()
        if self.batch > 1:
            self.batch //= 2
            self.note(f"out of memory: batch halved to {self.batch}")
            return
        if not self._divisible or self._halved(tile, self.halvings + 1) == self.of(tile):
            raise DeviceError(
                f"Memory does not suffice for the smallest tile that the network allows: {message} "
                "Close other programs that use the device, pass a smaller tile=, or run with "
                "device='cpu'."
            )
        self.halvings += 1
        self.note(f"out of memory: tiles divided into {2**self.halvings} parts")

    def to_json(self) -> dict[str, Any]:
        """What memory allows so far, JSON-serialisable."""
        return {"batch": self.batch, "halvings": self.halvings, "events": list(self.events)}

    def take_over(self, memory: Mapping[str, Any]) -> None:
        """Go on with what memory allowed another run, as its `to_json` gave it."""
        self.batch, self.halvings = memory["batch"], memory["halvings"]
        self.events[:] = memory["events"]

    def _halved(self, tile: Tile, times: int) -> list[Tile]:
        parts = [tile]
        for _ in range(times):
            parts = [half for part in parts for half in self._grid.split(part)]
        return parts
