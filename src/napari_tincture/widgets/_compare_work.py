"""What the Compare panel does in threads: compare, read maps, write files; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_tincture.errors import OutputError
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks._aligned import lying
from napari_tincture.tasks._boxes import Box
from napari_tincture.tasks._map_places import sample
from napari_tincture.tasks.compare import compare
from napari_tincture.tasks.comparison import Comparison, names_of
from napari_tincture.widgets._compare_plan import Call
from napari_tincture.widgets._map_layers import Prepared, prepare, prepare_image


@dataclass(frozen=True, slots=True)
class Found:
    """What a run gives."""

    comparison: Comparison
    maps: list[Prepared]
    resampled: dict[str, Prepared]
    """By the name of the image, as aligned by optical flow."""


def run_call(
    call: Call, columns: tuple[str, ...], progress: Progress, cancel: CancelToken
) -> Found:
    """Compare, and prepare the maps of some columns."""
    found = compare(**call.arguments, progress=progress, cancel=cancel)
    maps = prepare(found, columns, cancel)
    resampled = {
        name: prepare_image(told["aligned"], found.images[told["aligned"]], cancel)
        for name, told in found.settings.get("alignment", {}).items()
        if found.settings["align"] == "flow" and "aligned" in told
    }
    return Found(found, maps, resampled)


def check_images(
    images: Sequence[Raster], reference: Raster, progress: Progress, cancel: CancelToken
) -> dict[str, Any]:
    """Estimate how images lie, by name, as the settings of a comparison have it."""
    return lying(images, names_of(images), reference, "check", progress, cancel).settings


def map_values(
    plane: Raster, box: Box, shown: Box | None, name: str, _: Progress, cancel: CancelToken
) -> tuple[Any, str]:
    """Values of a map's part, else of what is `shown` of it, else samples; and what they are of."""
    found = sample(plane, box, cancel)
    if found.complete:
        return found.values, name
    if shown is not None:
        near = sample(plane, shown, cancel)
        if near.complete and near.values.size:
            return near.values, f"{name}, on screen"
    return found.values, f"{name}, samples"


def save_as(found: Comparison, path: str, *_: Any) -> str:
    """Write a comparison to a file of the kind that its name says; give what is to be said."""
    writers: dict[str, Callable[[str], Any]] = {
        ".csv": found.to_csv, ".md": found.to_markdown, ".tex": found.to_latex,
        ".html": found.report, ".htm": found.report, ".pdf": found.report,
    }  # fmt: skip
    ending = Path(path).suffix.lower()
    if ending not in writers:
        raise OutputError(f"{path} names no kind of file. End it with {', '.join(writers)}.")
    writers[ending](path)
    return f"Saved {Path(path).name}."
