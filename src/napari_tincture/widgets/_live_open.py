"""Opening live layers: of the worker, or of a thread of this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import numpy as np

from napari_tincture.arrays import as_dask
from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.tiling.live import LivePyramid
from napari_tincture.widgets._live import LiveView
from napari_tincture.worker.live_client import LiveLink
from napari_tincture.worker.sources import Behind, build


def add_live(viewer: Any, raster: Raster) -> Any:
    """Add a lazy result that a thread of this process computes where someone looks.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets one layer, or one per channel.
    raster
        A result of `stain` or `segment`.

    Returns
    -------
    napari layer
        The first one.

    Raises
    ------
    InputError
        If the image is not computed.
    """
    from napari_tincture.tiling.live_job import live_job, remember
    from napari_tincture.tiling.serve import TileServer

    live = live_job(raster)
    remember(live)
    news = _News()
    pyramid = LivePyramid(live.layout, news)
    server = TileServer(live.job, live.maps, live.layout, pyramid)

    view = LiveView(viewer, pyramid, raster, partial(_channel, raster))
    news.listener = view.hear
    server.start()
    pyramid.connect(server)
    return view.layers[0]


class _News:
    """Passes on news as soon as somebody listens."""

    def __init__(self) -> None:
        self.listener: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.listener is not None:
            self.listener()


def _channel(raster: Raster, channel: int | None) -> Raster:
    return raster if channel is None else raster.plane(c=channel)


def open_view(viewer: Any, live: LiveLink) -> LiveView:
    """Show a live layer that the worker has opened."""
    assert live.pyramid is not None
    shown = _shown_by(live)

    def behind(channel: int | None) -> Raster:
        made_of = Behind(live.settings, live.inputs, channel)
        return replace(_channel(shown, channel), runner=made_of)

    view = LiveView(viewer, live.pyramid, shown, behind, live.close)
    live.changed = view.hear
    return view


def _shown_by(live: LiveLink) -> Raster:
    """What the whole result would be; its pixels are in the worker."""
    assert live.pyramid is not None
    layout, axes = live.pyramid.layout, live.attributes["axes"]
    height, width = layout.shape
    sizes = dict(zip(layout.leading, layout.counts, strict=True))
    sizes |= {"c": layout.channels, "y": height, "x": width}
    shape = tuple(sizes[axis] for axis in axes)
    level = as_dask(_Elsewhere(shape, layout.dtype), axes)
    return build([level], live.attributes)


class _Elsewhere:
    """An array that only the worker can read."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)

    def __getitem__(self, _: Any) -> NoReturn:
        raise InputError(
            "A live layer is computed in another process and known here in parts only. Save it "
            "from its panel, or choose it as the layer of a panel."
        )
