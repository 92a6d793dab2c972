"""TIFF, OME-TIFF and pyramidal TIFF as rasters, read tile by tile through tifffile."""

from __future__ import annotations

import contextlib
import json
import threading
import weakref
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_tincture import axes as ax
from napari_tincture.errors import InputError, ReadError
from napari_tincture.io import own_metadata
from napari_tincture.layers import RGB_NAMES
from napari_tincture.placement import Placement, micrometres
from napari_tincture.raster import Raster, SourceRef

if TYPE_CHECKING:
    import tifffile

SUFFIXES = (
    ".tif", ".tiff", ".btf", ".tf8", ".svs", ".ndpi", ".scn", ".bif", ".qptiff", ".lsm", ".stk",
)  # fmt: skip


def own_annotation(path: Path) -> Mapping[str, Any] | None:
    """Give our own annotation of an OME-TIFF; None if there is none, or it is no OME-TIFF."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            facts = _ome(file)
    except (tifffile.TiffFileError, OSError, ElementTree.ParseError):
        return None
    own = (facts or {}).get("own")
    return own if isinstance(own, Mapping) else None


class TiffLevel:
    """One pyramid level of a TIFF file as an array that opens the file when it is first read.

    It can be pickled; the copy opens the file for itself.
    """

    def __init__(self, path: str, level: int, like: Any) -> None:
        self._path, self._level = path, level
        self.shape: tuple[int, ...] = tuple(like.shape)
        self.dtype = np.dtype(like.dtype)
        self.ndim = len(self.shape)
        self.chunks: tuple[int, ...] = tuple(like.chunks)
        self._lock = threading.Lock()
        self._array: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self._path, self._level)

    def __getitem__(self, index: tuple[slice, ...]) -> npt.NDArray[Any]:
        with self._lock:
            if self._array is None:
                self._array = self._open()
        try:
            return np.asarray(self._array[index])
        except ValueError as error:
            raise _undecodable(self._path, error) from error

    def _open(self) -> Any:
        import tifffile
        import zarr

        file = tifffile.TiffFile(self._path)
        weakref.finalize(self, file.close)
        return zarr.open(file.series[0].aszarr(level=self._level), mode="r")


def _reopened(path: str, level: int) -> TiffLevel:
    import tifffile

    with tifffile.TiffFile(path) as file:
        return TiffLevel(path, level, _array(file.series[0], level))


def _array(series: tifffile.TiffPageSeries, level: int) -> Any:
    import zarr

    return zarr.open(series.aszarr(level=level), mode="r")


def open_tiff(path: Path, axes: str | None = None) -> Raster:
    """Open the first image of a TIFF file with all its pyramid levels.

    Parameters
    ----------
    path : Path
        A TIFF, OME-TIFF, ImageJ or whole-slide file.
    axes : str, optional
        Needed where the file does not name its axes.

    Returns
    -------
    Raster
        With pixel sizes from OME-XML, ImageJ's or Aperio's metadata; plain resolution tags are
        ignored, as most programs write one that means nothing.

    Raises
    ------
    InputError
        If the file cannot be read or its axes cannot be known.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return _raster(file, path, axes)
    except (tifffile.TiffFileError, OSError, IndexError) as error:
        raise InputError(
            f"{path} cannot be read as TIFF: {error}. Check that it was completely written or "
            "copied, and that it opens in another program."
        ) from error


def _raster(file: tifffile.TiffFile, path: Path, axes: str | None) -> Raster:
    series = file.series[0]
    _check_complete(file, series)
    order = _axes(series, axes)
    levels = [TiffLevel(str(path), i, _array(series, i)) for i in range(len(series.levels))]
    levels = [level for level in levels if level.ndim == len(order)]
    target = ax.canonical(order)
    c = order.find("c")
    rgb = "S" in series.axes and c >= 0 and levels[0].shape[c] in (3, 4) and _is_colour(series)
    facts = _ome(file) or _imagej(file, series) or _aperio(file) or {}
    placement = Placement.build(
        tuple(target), scale=[facts.get("scale", {}).get(a, 1.0) for a in target],
        translate=[facts.get("translate", {}).get(a, 0.0) for a in target],
        units=[facts.get("units", {}).get(a) for a in target],
    )  # fmt: skip
    names = tuple(facts.get("channels", ()))
    count = levels[0].shape[c] if c >= 0 else 1
    options: dict[str, Any] = {
        "name": path.name.removesuffix(path.suffix).removesuffix(".ome"), "rgb": rgb,
        "channels": RGB_NAMES[:count] if rgb else names if len(names) == count else (),
    }  # fmt: skip
    own = own_metadata.raster_options(facts.get("own"), target)
    options |= own
    held = [i for i, axis in enumerate(target) if axis in facts.get("scale", {}) and axis != "t"]
    options["placement"] = own_metadata.reconciled(own.get("placement"), placement, held)
    source = SourceRef("path", str(path.absolute()), {"axes": axes} if axes else {})
    return Raster.from_array(levels, order, source=source, **options)


def _check_complete(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Refuse a file that was cut off, whose missing tiles tifffile would give as zeros."""
    size = file.filehandle.size
    ends = [
        offset + count
        for level in series.levels
        for page in (level.pages[0], level.pages[-1])
        if page is not None and page.parent is file
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
    ]
    if max(ends, default=0) > size:
        raise InputError(
            f"{file.filename} is cut off: it has {size} bytes, its pixels end at byte {max(ends)}. "
            "Copy or write it again."
        )


def _axes(series: tifffile.TiffPageSeries, stated: str | None) -> str:
    if stated is not None:
        return ax.check_axes(stated, series.shape)
    letters = [str(a).lower() for a in series.axes]
    if "c" not in letters:
        letters = ["c" if a == "s" else a for a in letters]
    axes = ax.axes_from_labels(letters)
    if axes is None:
        raise ax.unknown_axes(series.shape, str(tuple(series.axes)))
    return axes


def _is_colour(series: tifffile.TiffPageSeries) -> bool:
    return getattr(series.keyframe.photometric, "name", "") in ("RGB", "YCBCR")


def _ome(file: tifffile.TiffFile) -> dict[str, Any] | None:
    """Read pixel sizes, positions, channel names and our own annotation from OME-XML."""
    if not file.is_ome or not file.ome_metadata:
        return None
    root = ElementTree.fromstring(file.ome_metadata)
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    pixels = root.find("Image/Pixels")
    if pixels is None:
        return None
    scale, translate, units = {}, {}, {}
    plane = pixels.find("Plane")
    for axis in "zyx":
        if size := pixels.get(f"PhysicalSize{axis.upper()}"):
            scale[axis] = float(size)
            units[axis] = pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm")
            if plane is not None and plane.get(f"Position{axis.upper()}Unit") == units[axis]:
                translate[axis] = float(plane.get(f"Position{axis.upper()}", "0"))
    if step := pixels.get("TimeIncrement"):
        scale["t"], units["t"] = float(step), pixels.get("TimeIncrementUnit", "s")
    channels = [channel.get("Name") for channel in pixels.findall("Channel")]
    return {
        "scale": scale, "translate": translate, "units": units, "own": _own(root),
        "channels": channels if all(channels) else (),
    }  # fmt: skip


def _own(root: ElementTree.Element) -> Mapping[str, Any] | None:
    for annotation in root.iter("CommentAnnotation"):
        if annotation.get("Namespace") == own_metadata.KEY:
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads(annotation.findtext("Value", ""))  # type: ignore[no-any-return]
    return None


def _imagej(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, Any] | None:
    """Read pixel sizes from ImageJ's metadata, if their unit is a length."""
    metadata = file.imagej_metadata if file.is_imagej else None
    unit = str((metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
    if metadata is None or micrometres(unit) is None:
        return None
    scale: dict[str, float] = {}
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        found = series.keyframe.tags.get(tag)
        if found is not None and found.value[0] and found.value[1]:
            scale[axis] = found.value[1] / found.value[0]
    if "spacing" in metadata:
        scale["z"] = float(metadata["spacing"])
    return {"scale": scale, "units": dict.fromkeys(scale, unit)}


def _aperio(file: tifffile.TiffFile) -> dict[str, Any] | None:
    """Read the microns per pixel of a slide scanned by Aperio (SVS)."""
    if not file.is_svs:
        return None
    fields = dict(
        part.split("=", 1) for part in str(file.pages.first.description).split("|") if "=" in part
    )
    mpp = {key.strip(): value.strip() for key, value in fields.items()}.get("MPP")
    if not mpp:
        return None
    return {"scale": dict.fromkeys("yx", float(mpp)), "units": dict.fromkeys("yx", "micrometer")}


def _undecodable(path: str, error: Exception) -> ReadError:
    return ReadError(
        f"{path} could not be decoded: {error}. JPEG, LZW and other compressed TIFF need the "
        "package imagecodecs: pip install imagecodecs; otherwise the file may be damaged."
    )
