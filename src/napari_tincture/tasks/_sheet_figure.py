"""The figure of a process sheet, through matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from napari_tincture.errors import OutputError
from napari_tincture.io.output import writing
from napari_tincture.raster import Raster
from napari_tincture.tasks._pictures import picture_of

COLUMNS = ("input", "image", "reconstruction", "cycle_error", "realism")
BELOW = {"image": "heatmap", "reconstruction": "heatmap back"}
TITLES = {
    "input": "image", "image": "stain", "heatmap": "heat map of the stain",
    "reconstruction": "reconstruction", "heatmap back": "heat map of the reconstruction",
}  # fmt: skip
SIDE = 2.6
"""Of a picture in inches."""
ROUND = (1, 2, 5)


@dataclass(frozen=True)
class Row:
    """One direction.

    Attributes
    ----------
    name
        Of the image.
    way
        "forward" or "backward".
    planes
        (c, y, x) or (y, x) by name: "input", "heatmap back", and outputs of `stain`.
    figures
        Mean and standard deviation of maps.
    calibrated
        Whether realism is a share.
    pixel_size
        µm along y and x, if known.
    """

    name: str
    way: str
    planes: Mapping[str, Raster]
    figures: Mapping[str, tuple[float, float]]
    calibrated: bool
    pixel_size: tuple[float, float] | None


def write_sheet(rows: list[Row], title: str, target: Path) -> Path:
    """Draw rows below each other, and write the figure.

    Raises
    ------
    OutputError
        If matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError(
            "A process sheet needs matplotlib: pip install 'napari-tincture[report]'."
        ) from error
    columns = [name for name in COLUMNS if any(name in row.planes for row in rows)]
    lines = [line for row in rows for line in _lines(row, columns)]
    height, width = rows[0].planes["input"].shape[-2:]
    tall = SIDE * min(max(height / width, 0.4), 2.0) + 0.45
    size = (SIDE * len(columns) + 0.3, tall * len(lines) + 0.5)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    axes = figure.subplots(len(lines), len(columns), squeeze=False)
    for places, (row, names) in zip(axes, lines, strict=True):
        for place, name in zip(places, names, strict=True):
            place.set_axis_off()
            if name in row.planes:
                _draw(place, row, name)
    figure.suptitle("\n".join(wrap(title, 28 * len(columns))), fontsize=10, parse_math=False)
    with writing(target):
        figure.savefig(target)
    return target


def _lines(row: Row, columns: list[str]) -> list[tuple[Row, list[str]]]:
    """The row's pictures, and below them its heat maps, if there are any."""
    below = [BELOW.get(name, "") for name in columns]
    lines = [(row, columns)]
    return [*lines, (row, below)] if any(name in row.planes for name in below) else lines


def _draw(place: Any, row: Row, name: str) -> None:
    plane = row.planes[name]
    if name in TITLES and not name.startswith("heatmap"):
        place.imshow(picture_of(plane), interpolation="nearest")
    else:
        values, ((low, high),) = np.asarray(plane), plane.display["limits"]
        if name == "realism" and not row.calibrated:  # scores, of any size
            low, high = np.percentile(values, (1, 99))
        (colours,) = plane.display["colours"]
        drawn = place.imshow(values, cmap=colours, vmin=low, vmax=high)
        place.figure.colorbar(drawn, ax=place, shrink=0.7, pad=0.02).ax.tick_params(labelsize=6)
    place.set_title(_title(row, name), fontsize=8, parse_math=False)
    if name == "input" and row.pixel_size is not None:
        _scale_bar(place, plane, row.pixel_size[1])


def _title(row: Row, name: str) -> str:
    if name == "input":
        return f"{row.way}: {row.name}" if row.name else row.way
    if name in TITLES:
        return TITLES[name]
    mean, spread = row.figures[name]
    if name == "realism":
        return f"realism {mean:.2f}" + ("" if row.calibrated else "\n(score, not calibrated)")
    return f"{name.replace('_', ' ')} {mean:.3f} ± {spread:.3f}"


def _scale_bar(place: Any, plane: Raster, pixel: float) -> None:
    """A bar of a round number of µm, about a quarter as wide as the image."""
    left, right = place.get_xlim()
    bottom, top = place.get_ylim()
    um_per_drawn = pixel * plane.shape[-1] / abs(right - left)
    wanted = abs(right - left) * um_per_drawn / 4
    power = 10.0 ** np.floor(np.log10(wanted))
    length = max(n * power for n in ROUND if n * power <= wanted)
    x0 = left + 0.05 * (right - left)
    y0 = bottom + 0.06 * (top - bottom)
    ends = [x0, x0 + length / um_per_drawn]
    place.plot(ends, [y0, y0], color="black", linewidth=4, solid_capstyle="butt")
    place.plot(ends, [y0, y0], color="white", linewidth=2.4, solid_capstyle="butt")
    place.text(
        sum(ends) / 2, y0 + 0.03 * (top - bottom), f"{length:g} µm", color="white", fontsize=7,
        ha="center", va="bottom", bbox={"facecolor": "black", "alpha": 0.5, "pad": 1, "lw": 0},
    )  # fmt: skip
