"""Raster: an image or label map of any size, with its axes and its place in the world.

Importing this module loads neither dask nor napari; arrays are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture import axes as ax
from napari_tincture.arrays import Index, as_dask, block_slices, in_memory, memory_of, read
from napari_tincture.call import Call, make
from napari_tincture.checkpoint import Checkpoint
from napari_tincture.errors import InputError
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.runner import Runner, Write
from napari_tincture.source import SourceRef

if TYPE_CHECKING:
    import dask.array as da

LayerData = tuple[Any, dict[str, Any], str]
_TOLD = ("name", "channels", "display", "provenance", "order", "placement")
"""What may be said of a result otherwise than its task does."""
__all__ = ["Index", "LayerData", "Raster", "SourceRef"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raster:
    """An immutable image or label map: pyramid levels, axes and placement.

    Attributes
    ----------
    levels : tuple of dask.array.Array
        Finest first, all with the same axes.
    axes : str
        A subsequence of ``tczyx`` that ends in ``yx``. A colour image is ``cyx`` with `rgb` set.
    placement : Placement
        Where level 0 lies, over all axes.
    kind : {"image", "labels"}
        Labels are integers.
    name : str
        As a layer is named.
    rgb : bool
        Whether c holds red, green, blue (and alpha).
    channels : tuple of str
        Names along c, or of the only channel; empty if unknown.
    display : mapping
        ``colours`` (names or ``#rrggbb``) and ``limits`` ([low, high]), lists over channels, and
        ``planes`` (names along z); any may be missing.
    provenance : mapping
        How the raster was made, JSON-serialisable.
    order : str
        The axes in the order in which the source, and so `to_layer`, has them.
    source : SourceRef or None
        How another process opens it; None if only this process can.
    runner : Runner or None
        Who streams level 0 instead of dask.
    call : Call or None
        How another process makes a result again.

    Raises
    ------
    InputError
        If axes, shapes, channels or data type cannot be used, or the image is empty.
    """

    levels: tuple[da.Array, ...]
    axes: str
    placement: Placement
    kind: Literal["image", "labels"] = "image"
    name: str = ""
    rgb: bool = False
    channels: tuple[str, ...] = ()
    display: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    order: str = ""
    source: SourceRef | None = None
    runner: Runner | None = None
    call: Call | None = None

    def __reduce__(self) -> Any:
        """Travel as what it is made of, as far as that can be opened or made again elsewhere."""
        if self.call is not None:
            described = {name: getattr(self, name) for name in _TOLD}
            return make, (self.call, described)
        if self.source is not None and self.runner is None:
            from napari_tincture.io.open import described_source

            return described_source(self).open, ()
        return partial(Raster, **{f.name: getattr(self, f.name) for f in fields(self)}), ()

    def __post_init__(self) -> None:
        if not self.levels:
            raise InputError(f"Raster {self.name!r} has no levels; give at least one array.")
        ax.check_axes(self.axes, self.shape)
        _check_fields(self)

    @classmethod
    def from_array(cls, array: Any, axes: str, **options: Any) -> Raster:
        """Make a raster from one array, or a list of pyramid levels, without reading it.

        Parameters
        ----------
        array : array-like or list of array-like
            numpy, dask, zarr, or anything with shape, dtype, ndim and ``__getitem__``.
        axes : str
            Its axes in any order; they are put into canonical order.
        **options
            Other attributes of `Raster`. A placement, if given, is in canonical order too.
        """
        levels = array if isinstance(array, (list, tuple)) else [array]
        axes = ax.check_axes(axes, levels[0].shape)
        order = ax.canonical(axes)
        options.setdefault("placement", Placement.build(tuple(order)))
        options.setdefault("order", axes)
        arrays = tuple(as_dask(level, axes) for level in levels)
        return cls(levels=arrays, axes=order, **options)

    @property
    def data(self) -> da.Array:
        """Level 0."""
        return self.levels[0]

    @property
    def memory(self) -> npt.NDArray[Any] | None:
        """Level 0 as the numpy array that it was made from, if so."""
        return memory_of(self.data)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of level 0, in the order of `axes`."""
        return tuple(int(n) for n in self.levels[0].shape)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis of level 0."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of all levels."""
        dtype: np.dtype[Any] = self.levels[0].dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @property
    def scale(self) -> tuple[float, ...]:
        """Pixel size per axis, in `units`."""
        return self.placement.scale

    @property
    def translate(self) -> tuple[float, ...]:
        """Position of the first pixel per axis, in `units`."""
        return self.placement.translate

    @property
    def rotate(self) -> npt.NDArray[np.float64]:
        """Rotation, n × n."""
        return np.array(self.placement.rotate)

    @property
    def shear(self) -> npt.NDArray[np.float64]:
        """Shear, n × n triangular."""
        return np.array(self.placement.shear)

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """Last transform, (n + 1) × (n + 1)."""
        return np.array(self.placement.affine)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit per axis; ``pixel`` where nothing is known."""
        return self.placement.units

    @property
    def axis_labels(self) -> tuple[str, ...]:
        """Label per axis."""
        return self.placement.axis_labels

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """Pixel size (y, x) in µm; None where the units are no lengths."""
        y, x = self.placement.pixel_size(-2), self.placement.pixel_size(-1)
        return None if y is None or x is None else (y, x)

    def crop(self, region: Mapping[str, slice]) -> Raster:
        """Cut out a region, which stays where it is in the world.

        Parameters
        ----------
        region : mapping of axis letter to slice
            In pixels of level 0, without step; axes left out are kept whole.
        """
        from napari_tincture.crop import crop

        return crop(self, region)

    def plane(self, **index: int) -> Raster:
        """Take single planes, ``plane(t=0, z=3)``; these axes disappear."""
        from napari_tincture.crop import plane

        return plane(self, index)

    def read(self, index: Index, level: int = 0) -> npt.NDArray[Any]:
        """Read a window of a level into memory, C-contiguous."""
        return read(self.levels[level], index, in_memory)

    def stream(
        self,
        write: Write,
        *,
        progress: bool | Progress | None = None,
        cancel: CancelToken | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Mapping[str, Any]:
        """Call ``write(index, block)`` for blocks that cover level 0 once, in bounded memory.

        Of a `checkpoint`, only for blocks that cover what it misses.

        Returns
        -------
        mapping
            What only the run could tell, for the provenance; empty without a runner.

        Raises
        ------
        Cancelled
            If `cancel` was raised; blocks written so far stay written.
        """
        report, token = as_callback(progress), cancel or CancelToken()
        if self.runner is not None:
            return self.runner.stream(write, report, token, checkpoint) or {}
        blocks = block_slices(self.data) if checkpoint is None else checkpoint.missing
        report(0, len(blocks))
        for done, index in enumerate(blocks, start=1):
            token.check()
            write(index, read(self.data, index, in_memory))
            report(done, len(blocks))
        return {}

    def compute(
        self, progress: bool | Progress | None = None, cancel: CancelToken | None = None
    ) -> npt.NDArray[Any]:
        """Give the whole of level 0 as a new numpy array."""
        result = np.empty(self.shape, self.dtype)
        self.stream(result.__setitem__, progress=progress, cancel=cancel)
        return result

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        memory = self.memory
        result = self.compute() if memory is None or copy else memory
        return result if dtype is None else result.astype(dtype, copy=False)

    def save(
        self,
        path: str | Path,
        *,
        progress: bool | Progress | None = None,
        cancel: CancelToken | None = None,
        overwrite: bool = False,
        client: Any = None,
        version: Literal["0.5", "0.4"] | None = None,
    ) -> Path:
        """Stream to disk with all pyramid levels, in bounded memory.

        A run that ends early, by whatever cause, is continued by the same call and gives the same
        bytes. Until the result is complete it waits beside `path`, in a folder ``….partial``.

        Parameters
        ----------
        path : str or Path
            ``.zarr`` gives OME-Zarr, ``.tif`` and ``.tiff`` OME-TIFF. Labels of an OME-Zarr image
            go to ``<image>.ome.zarr/labels/<name>``.
        overwrite : bool
            Whether what is at `path`, or was begun there with other settings, is replaced.
        client : distributed.Client, optional
            Whose workers compute and write; they share this file system.
        version : {"0.5", "0.4"}, optional
            Of OME-Zarr: sharded zarr format 3, or format 2 with a file per chunk. 0.5, or that of
            the store that `path` lies in.

        Raises
        ------
        OutputError
            If the path exists (without `overwrite`), cannot be written, or the disk is full; if
            another process writes there; if what was begun there was begun with another image,
            model or settings; if the image changes meanwhile.
        """
        from napari_tincture.io.save import save

        return save(
            self, Path(path), progress=progress, cancel=cancel, overwrite=overwrite,
            client=client, version=version,
        )  # fmt: skip

    def to_layer(self) -> LayerData:
        """Give ``(data, options, type)`` of a napari layer in the same place."""
        from napari_tincture.layers import to_layer

        return to_layer(self)

    def add_to(self, viewer: Any, *, live: bool = False) -> Any:
        """Add to a napari viewer.

        Parameters
        ----------
        viewer : napari.Viewer
            Gets the layer.
        live : bool
            Of a lazy result, compute what is on screen, in a thread that ends with the layer; one
            layer per channel.

        Returns
        -------
        napari layer
            The first one.

        Raises
        ------
        InputError
            If the image is not computed, and `live` means nothing.
        """
        if live:
            from napari_tincture.widgets._live_open import add_live

            return add_live(viewer, self)
        data, options, kind = self.to_layer()
        return getattr(viewer, f"add_{kind}")(data, **options)


def _check_fields(raster: Raster) -> None:
    problem = ""
    c = raster.sizes.get("c", 1)
    if not ax.is_canonical(raster.axes):
        problem = f"axes {raster.axes!r} are not in the order of '{ax.CANONICAL}'"
    elif 0 in raster.shape:
        problem = f"it is empty, shape {raster.shape}"
    elif any(len(level.shape) != raster.ndim for level in raster.levels):
        problem = "its levels differ in their number of axes"
    elif raster.placement.ndim != raster.ndim:
        problem = f"its placement has {raster.placement.ndim} axes, it has {raster.ndim}"
    elif raster.channels and len(raster.channels) != c:
        problem = f"{len(raster.channels)} channel names {raster.channels} for {c} channels"
    elif raster.kind == "labels" and raster.dtype.kind not in "biu":
        problem = f"labels must be integers, they are {raster.dtype}"
    elif raster.rgb and c not in (3, 4):
        problem = f"a colour image has 3 or 4 channels, this one has {c}"
    if problem:
        raise InputError(f"Image {raster.name!r} cannot be used: {problem}.")
