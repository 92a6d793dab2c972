"""How close images are to a reference, on whole images, through scikit-image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster
from napari_tincture.tasks._run import as_region

Plane = npt.NDArray[np.float64]
Metric = Callable[[Plane, Plane, float], float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of several images against one reference.

    Attributes
    ----------
    table
        One dict per image, plane and channel: ``image``; ``t``, ``z`` and ``channel`` where the
        reference has these axes, t and z as they count in the whole; then one figure per metric.
    settings
        What the figures rest on: data range, region, number of pixels.
    """

    table: list[dict[str, Any]]
    settings: Mapping[str, Any]

    def to_dataframe(self) -> Any:
        """The table as a pandas DataFrame; needs pandas."""
        import pandas

        return pandas.DataFrame(self.table)

    def __str__(self) -> str:
        names = list(self.table[0])
        rows = [[_text(row[name]) for name in names] for row in self.table]
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in [names, *rows]
        ]
        return "\n".join(lines)


def compare(
    images: Any,
    reference: Any,
    *,
    metrics: Sequence[str] = ("ssim", "psnr", "mse", "pearson"),
    region: Any = None,
    data_range: float | None = None,
) -> Comparison:
    """Compare images with a reference of the same grid, in memory.

    Parameters
    ----------
    images
        One image or a list of them; whatever `open_image` accepts.
    reference
        The reference; same sizes along all axes.
    metrics
        Some of "ssim" (scikit-image's default, a uniform 7 × 7 window), "psnr" (dB), "mse",
        "pearson".
    region
        Part of the images in pixels, as in `stain`.
    data_range
        Difference between the largest and the smallest possible value. None takes it from the
        reference's integer type; for floating point it must be given. Nothing is rescaled.

    Returns
    -------
    Comparison
        One row per image, plane and channel.

    Raises
    ------
    InputError
        If sizes differ, values are not finite, a metric is unknown, or the data range is; or if
        there is no image.
    """
    target = open_image(reference)
    several = images if isinstance(images, list | tuple) else [images]
    if not several:
        raise InputError("Got an empty list of images; give one or more to compare.")
    chosen = {name: _metric(name) for name in metrics}
    span = _data_range(target, data_range)
    bounds = as_region(region, target)
    truth = _values(target, bounds)
    table = []
    for number, image in enumerate(several, start=1):
        other = open_image(image)
        _check_sizes(other, target)
        row = {"image": other.name or f"image {number}"}
        values = _values(other, bounds)
        for place in np.ndindex(truth.shape[:-2]):
            figures = {name: f(values[place], truth[place], span) for name, f in chosen.items()}
            table.append({**row, **_named(target, place, bounds), **figures})
    settings = {"data_range": span, "region": bounds, "pixels": int(np.prod(truth.shape[-2:]))}
    return Comparison(table, settings)


def _metric(name: str) -> Metric:
    if name not in _METRICS:
        raise InputError(f"Unknown metric {name!r}; known are {', '.join(_METRICS)}.")
    return _METRICS[name]


def _ssim(a: Plane, b: Plane, data_range: float) -> float:
    from skimage.metrics import structural_similarity

    if min(a.shape) < 7:
        raise InputError(f"SSIM needs at least 7 × 7 pixels, got {a.shape[0]} × {a.shape[1]}.")
    return float(structural_similarity(b, a, data_range=data_range))


def _psnr(a: Plane, b: Plane, data_range: float) -> float:
    from skimage.metrics import peak_signal_noise_ratio

    # Equal images have an infinite ratio, of which there is nothing to warn.
    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(b, a, data_range=data_range))


def _mse(a: Plane, b: Plane, _: float) -> float:
    from skimage.metrics import mean_squared_error

    return float(mean_squared_error(b, a))


def _pearson(a: Plane, b: Plane, _: float) -> float:
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


_METRICS: dict[str, Metric] = {"ssim": _ssim, "psnr": _psnr, "mse": _mse, "pearson": _pearson}


def _data_range(reference: Raster, given: float | None) -> float:
    if given is not None:
        if not given > 0:
            raise InputError(f"data_range={given}: expected a positive number.")
        return float(given)
    if reference.dtype.kind in "iu":
        limits = np.iinfo(reference.dtype)
        return float(limits.max) - float(limits.min)
    raise InputError(
        f"Reference {reference.name!r} is of type {reference.dtype}, which does not tell the range "
        "of its values. Pass data_range=, for example 1.0 for values between 0 and 1."
    )


def _check_sizes(image: Raster, reference: Raster) -> None:
    if image.sizes != reference.sizes:
        raise InputError(
            f"Image {image.name!r} has {image.sizes}, reference {reference.name!r} has "
            f"{reference.sizes}. Expected equal sizes: crop or resample one of them."
        )


def _values(image: Raster, bounds: Mapping[str, tuple[int, int]]) -> npt.NDArray[np.float64]:
    part = image.crop({a: slice(*edges) for a, edges in bounds.items()}) if bounds else image
    values = np.asarray(part).astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise InputError(
            f"{bad} of {values.size} values of image {image.name!r} are NaN or infinite. Repair "
            "them, or choose a region without them."
        )
    return values


def _named(
    reference: Raster, place: tuple[int, ...], bounds: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for axis, index in zip(reference.axes, place, strict=False):
        if axis == "c":
            names["channel"] = reference.channels[index] if reference.channels else index
        else:
            names[axis] = index + bounds.get(axis, (0, 0))[0]
    return names


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
