"""Measuring objects: area, place, shape and intensity, in physical units."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.layers import RGB_NAMES
from napari_tincture.object_table import ObjectTable
from napari_tincture.placement import micrometres
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Index, Raster
from napari_tincture.regrid import OnGrid, pixel_map
from napari_tincture.tasks._object_sums import PlaneSums, Sums, sums_of

__all__ = ["ObjectSums", "ObjectTable", "measure_objects"]

Plane = tuple[int, ...]
FIGURES = ("mean", "min", "max", "sum")


def measure_objects(
    labels: Any,
    image: Any = None,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> ObjectTable:
    """Measure every object of every plane, in one pass and in bounded memory.

    Parameters
    ----------
    labels
        A result of `segment` or `link`, which is computed now, or labels as `open_image` accepts
        them: (t, z, y, x), integers, 0 is background.
    image
        Whose intensities are measured: as `open_image` accepts it. It is read where the labels lie
        in the world, bilinearly if its pixels lie elsewhere; t and z as the labels have them, or
        none. An object's pixels outside it have no intensity.

    Returns
    -------
    ObjectTable
        One row per object and plane, plane after plane, by number. As `skimage.measure.regionprops`
        defines them; lengths are in µm where the labels have a pixel size, else in pixels, and
        centroids then are positions in the world (µm) or in the plane (pixels, 0 is the centre of
        the first one).

    Raises
    ------
    InputError
        If the labels are no integers or have channels, or the image does not fit them.
    Cancelled
        If `cancel` was raised.
    """
    given = open_image(labels)
    sums = ObjectSums(given, None if image is None else open_image(image))
    given.stream(sums.add, progress=progress, cancel=cancel)
    return sums.table()


class ObjectSums:
    """What blocks of labels add up to.

    Parameters
    ----------
    labels
        Of which blocks will come; not read here.
    image
        Read where they come.

    Raises
    ------
    InputError
        If they do not fit each other.
    """

    def __init__(self, labels: Raster, image: Raster | None) -> None:
        _check(labels, image)
        self.labels, self.image = labels, image
        self._readers: dict[Plane, OnGrid] = {}
        self._sums: dict[Plane, PlaneSums] = {}

    def add(self, index: Index, block: npt.NDArray[Any]) -> None:
        """Take a block (t, z, y, x) of final labels."""
        y, x = index[-2:]
        for at in product(*map(range, block.shape[:-2])):
            plane = tuple(s.start + i for s, i in zip(index, at, strict=False))
            values, valid = self._values(plane, y, x)
            part = sums_of(block[at], (y.start, x.start), values, valid)
            self._sums.setdefault(plane, PlaneSums()).add(part)

    def table(self) -> ObjectTable:
        """Figures of all that came."""
        found = {plane: sums.total() for plane, sums in sorted(self._sums.items())}
        lengths = [len(sums["label"]) for sums in found.values()]
        joined: Sums = {
            name: np.concatenate([sums[name] for sums in found.values()])
            for name in next(iter(found.values()))
        }
        planes = {
            axis: np.repeat([plane[i] for plane in found], lengths)
            for i, axis in enumerate(self.labels.axes[:-2])
        }
        columns, unit = _figures(joined, planes, self.labels)
        return ObjectTable({**columns, **_intensities(joined, self._channels)}, unit)

    @property
    def _channels(self) -> tuple[str, ...]:
        """Endings of the columns of intensities."""
        if self.image is None:
            return ()
        count = self.image.sizes.get("c", 1)
        if count == 1:
            return ("",)
        names = self.image.channels or (RGB_NAMES[:count] if self.image.rgb else range(count))
        return tuple(f"_{name}" for name in names)

    def _values(
        self, plane: Plane, y: slice, x: slice
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
        if self.image is None:
            return np.zeros((0, y.stop - y.start, x.stop - x.start)), None
        if plane not in self._readers:
            at = dict(zip(self.labels.axes, plane, strict=False))
            own = {a: i for a, i in at.items() if a in self.image.axes}
            image = self.image.plane(**own) if own else self.image
            grid = self.labels.plane(**at) if at else self.labels
            self._readers[plane] = OnGrid(image, pixel_map(image, grid), grid.shape[-2:])  # type: ignore[arg-type]
        values, valid = self._readers[plane]((y, x))
        return values, valid


def _check(labels: Raster, image: Raster | None) -> None:
    if labels.dtype.kind not in "iu" or "c" in labels.axes:
        raise InputError(
            f"Labels {labels.name!r} are of type {labels.dtype} with axes {labels.axes!r}; "
            "expected integers without an axis of channels. Segment the image first."
        )
    if image is None:
        return
    if image.kind == "labels":
        raise InputError(f"{image.name!r} holds labels; give the image whose intensities count.")
    wanted, found = labels.sizes, image.sizes
    if any(found[axis] != wanted.get(axis) for axis in "tz" if axis in found):
        planes = [{a: n for a, n in sizes.items() if a in "tz"} for sizes in (found, wanted)]
        raise InputError(
            f"Image {image.name!r} has planes {planes[0]}, labels {labels.name!r} {planes[1]}. "
            "Crop one of them, image.crop({'z': …}), or take one plane, image.plane(z=…)."
        )
    placed = any(unit != "pixel" for raster in (labels, image) for unit in raster.units[-2:])
    if not placed and image.placement.translate[-2:] == labels.placement.translate[-2:]:
        _check_sides(labels, image)


def _check_sides(labels: Raster, image: Raster) -> None:
    """Refuse other sides where nothing says that the image lies elsewhere."""
    if labels.shape[-2:] != image.shape[-2:] and labels.scale[-2:] == image.scale[-2:]:
        sides = [" × ".join(map(str, raster.shape[-2:])) for raster in (image, labels)]
        raise InputError(
            f"Image {image.name!r} has {sides[0]} pixels, labels {labels.name!r} {sides[1]}, and "
            "nothing says where they lie. Give the image that was segmented, or state scale= and "
            "translate= with open_image."
        )


def _figures(
    sums: Sums, planes: dict[str, npt.NDArray[Any]], labels: Raster
) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Columns of all that labels alone tell, and the unit of length."""
    index = np.stack([*planes.values(), sums["y"], sums["x"]], axis=1)
    centre, metric, unit = _measure_of(labels, index)
    area = sums["pixels"] * np.sqrt(np.linalg.det(metric))
    return {
        "label": sums["label"], **planes, "area": area,
        "centroid_y": centre[:, 0], "centroid_x": centre[:, 1],
        **{f"{side}_px": sums[side] for side in ("top", "left", "bottom", "right")},
        "equivalent_diameter": np.sqrt(4 * area / np.pi),
        "eccentricity": _eccentricity(sums, metric),
    }, unit  # fmt: skip


def _measure_of(
    labels: Raster, index: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], str]:
    """Places (n, 2) of pixels (n, axes), products of the pixel's sides (2, 2), and the unit."""
    lengths = [micrometres(unit) for unit in labels.units]
    if lengths[-2] is None or lengths[-1] is None:
        return index[:, -2:], np.eye(2), "pixel"
    matrix = labels.placement.matrix()
    # Other axes count only where they are lengths: a rotation never mixes in time.
    to_um = np.array([length or 0.0 for length in lengths])
    world = (index @ matrix[:-1, :-1].T + matrix[:-1, -1]) * to_um
    sides = matrix[:-1, -3:-1] * to_um[:, None]
    return world[:, -2:], sides.T @ sides, "um"


def _eccentricity(sums: Sums, metric: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From the eigenvalues of the covariance of the pixels' places in the world."""
    yy, xx, yx = (sums[name] / sums["pixels"] for name in ("yy", "xx", "yx"))
    half = (yy * metric[0, 0] + xx * metric[1, 1] + 2 * yx * metric[0, 1]) / 2
    determinant = np.maximum(yy * xx - yx**2, 0) * np.linalg.det(metric)
    root = np.sqrt(np.maximum(half**2 - determinant, 0))
    largest = half + root
    # 1 - smallest / largest; single pixels have neither.
    share = np.divide(2 * root, largest, out=np.zeros_like(root), where=largest > 0)
    result: npt.NDArray[np.float64] = np.sqrt(share)
    return result


def _intensities(sums: Sums, channels: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    columns: dict[str, npt.NDArray[Any]] = {}
    none = sums["weight"] == 0
    for number, ending in enumerate(channels):
        total, low, high = (sums[name][:, number] for name in ("sum", "low", "high"))
        mean = np.divide(total, sums["weight"], out=np.full(len(total), np.nan), where=~none)
        low, high, total = (np.where(none, np.nan, values) for values in (low, high, total))
        for name, values in zip(FIGURES, (mean, low, high, total), strict=True):
            columns[f"intensity_{name}{ending}"] = values
    return columns
