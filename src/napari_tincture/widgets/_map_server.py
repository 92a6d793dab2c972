"""A thread that computes the tiles of a lazy map where someone looks; it needs no torch."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from napari_tincture.arrays import in_this_thread
from napari_tincture.raster import Raster
from napari_tincture.tiling.backend import Answers
from napari_tincture.tiling.live import LivePyramid
from napari_tincture.tiling.live_layout import LiveLayout, Plane, TileIndex
from napari_tincture.widgets._live import LiveView

Item = tuple[Plane, TileIndex]


class MapServer:
    """The backend of a live pyramid of a map: chunks of its array are the tiles."""

    def __init__(self, raster: Raster, layout: LiveLayout, answers: Answers) -> None:
        self._raster, self._layout, self._answers = raster, layout, answers
        self._edges = layout.edges()
        self._changed = threading.Condition()
        self._urgent: deque[Item] = deque()
        self._later: deque[Item] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tincture-map")
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it may still compute."""
        return self._thread.is_alive()

    def request(self, plane: Plane, index: TileIndex, urgent: bool) -> None:
        """Compute a tile soon; one that is not urgent when nothing else is to do."""
        with self._changed:
            (self._urgent if urgent else self._later).append((plane, index))
            self._changed.notify()

    def revoke(self, plane: Plane, index: TileIndex) -> None:
        """Drop a tile that still waits."""
        with self._changed:
            for waiting in (self._urgent, self._later):
                if (plane, index) in waiting:
                    waiting.remove((plane, index))
                    break
            else:
                return  # it is under way, or has been answered
        self._answers.dropped(plane, index)

    def close(self) -> None:
        """Stop within a tile, without waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            plane, index = item
            try:
                began = time.perf_counter()
                block = self._block(plane, index)
            except Exception as error:  # noqa: BLE001 - told where the layer is
                self._answers.failed(plane, index, f"{type(error).__name__}: {error}")
            else:
                seconds = time.perf_counter() - began
                self._answers.arrived(plane, index, block, seconds=seconds)

    def _next(self) -> Item | None:
        with self._changed:
            while not self._closed:
                for waiting in (self._urgent, self._later):
                    if waiting:
                        return waiting.popleft()
                self._changed.wait()
            return None

    def _block(self, plane: Plane, index: TileIndex) -> Any:
        place: dict[str, Any] = dict(zip(self._layout.leading, plane, strict=True))
        for axis, edges, i in zip("yx", self._edges, index, strict=True):
            place[axis] = [slice(*pair) for pair in pairwise(edges)][i]
        at = tuple(place.get(axis, slice(None)) for axis in self._raster.axes)
        block = in_this_thread(self._raster.data[at])
        return block if "c" in self._raster.axes else block[None]


def open_live(viewer: Any, raster: Raster) -> list[Any]:
    """Show a lazy map in a viewer, one layer per channel, computed where someone looks."""
    rows, columns = raster.data.chunks[-2:]
    leading = "".join(axis for axis in raster.axes if axis in "tz")
    layout = LiveLayout(
        leading=leading, counts=tuple(raster.sizes[axis] for axis in leading), rows=rows,
        columns=columns, channels=raster.sizes.get("c", 1), dtype=raster.dtype,
    )  # fmt: skip
    news = _News()
    pyramid = LivePyramid(layout, news)

    def behind(channel: int | None) -> Raster:
        return raster if channel is None else raster.plane(c=channel)

    view = LiveView(viewer, pyramid, raster, behind)
    news.listener = view.hear
    pyramid.connect(MapServer(raster, layout, pyramid))
    return list(view.layers)


class _News:
    """Passes on news as soon as somebody listens."""

    def __init__(self) -> None:
        self.listener: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.listener is not None:
            self.listener()
