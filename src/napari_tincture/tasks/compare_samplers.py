"""One label map drawn by several samplers and numbers of steps, side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.denoising import USUAL
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._label_map import open_label_map
from napari_tincture.tasks._pairs import Channels, check_pair, data_range_of
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks.compare import compare
from napari_tincture.tasks.comparison import Comparison, names_of
from napari_tincture.tasks.synthesize import synthesize

LARGEST = 512
"""Side in pixels of the middle of a larger map that is drawn where no region is given."""
SETTINGS: tuple[Mapping[str, Any], ...] = (
    {"sampler": "ddim", "steps": 10},
    {"sampler": "ddim", "steps": 40},
    {"sampler": "dpm_solver", "steps": 10},
    {"sampler": "dpm_solver", "steps": 20},
    {"sampler": "heun", "steps": 20},
)
BETTER = {
    "seconds": "lower", "rmse": "lower", "ssim": "higher",
    "reference_ssim": "higher", "reference_psnr": "higher",
}  # fmt: skip
FREE = ("sampler", "steps", "guidance", "style", "style_strength", "sampler_options")
"""What settings may differ in."""


def compare_samplers(
    labels: Any,
    model: Any,
    settings: Sequence[Mapping[str, Any]] = SETTINGS,
    *,
    reference: Any = None,
    region: Any = None,
    largest: int = LARGEST,
    data_range: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    **common: Any,
) -> Comparison:
    """Draw a label map by several settings, from the same noise, and measure them.

    Parameters
    ----------
    labels
        (y, x), integers, as `synthesize` takes them; of a stack, one plane by its `region`.
    model
        A denoiser: a name of `list_models`, a path, or a `Model`.
    settings
        One mapping per image, of "sampler", "steps", "guidance", "style", "style_strength" and
        "sampler_options", as `synthesize` takes them; what it does not name is as usual.
    reference
        A real image of the map, (y, x) or with colours, of the map's size or placed in the world.
    region
        Part of the map in pixels, as in `synthesize`. None: all of it; of a map with a side above
        `largest`, its middle.
    largest
        In pixels.
    data_range
        As in `compare`, for references of another type than the drawn images', which are uint8
        unless `dtype` says otherwise.
    device, precision
        As in `synthesize`.
    progress, cancel
        As in `compare`.
    **common
        Further arguments of `synthesize` for all, such as ``seed`` or ``style``.

    Returns
    -------
    Comparison
        Its `images` are the drawn ones by name, in the order of the settings. Its table has a row
        for each: ``steps``; ``seconds`` that drawing took, after one step that is not counted;
        ``rmse`` (in the images' values) and ``ssim`` with the image of the most steps, the first
        of several; with a reference ``reference_ssim`` and ``reference_psnr`` (dB). A figure of a
        reference says how alike pixels are, which two true images of one map need not be.

    Raises
    ------
    InputError
        If the model draws at once, there are fewer than two settings, one is named twice or cannot
        be right, or there are several planes.
    Cancelled
        If `cancel` was raised.
    """
    found = as_model(model, "synthesize")
    if found.card.denoising is None:
        raise InputError(
            f"Model {found.card.name!r} draws at once; there are no samplers and steps to compare."
        )
    common |= {"device": device, "precision": precision}
    given = open_label_map(labels)
    place, notes = _place(given, region, largest)
    shared = {name: common[name] for name in FREE[:2] if common.get(name) is not None}
    chosen = [{**_setting(each), **shared, **each} for each in settings]
    lazy = [synthesize(given, found, **{**common, **each}, region=place) for each in chosen]
    _check(chosen, lazy)
    real = None
    if reference is not None:
        real = _same_part(open_image(reference), given, lazy[0], place)
        check_pair(lazy[0], real, _channels(real))
        data_range_of(real, lazy, data_range)
    report, token = as_callback(progress), cancel or CancelToken()
    # Loading the weights and first calls of a device are no sampler's time.
    synthesize(given, found, **{**common, "steps": 1}, region=place).compute(None, token)
    names = names_of([replace(lazy[n], name=_name(each)) for n, each in enumerate(chosen)])
    drawn, rows = {}, []
    for number, (name, image) in enumerate(zip(names, lazy, strict=True)):
        start = time.perf_counter()
        image.compute(share(report, number, len(lazy)), token)
        seconds = time.perf_counter() - start
        drawn[name] = replace(image, name=name)  # whose scene keeps what it drew
        rows.append({"image": name, "steps": chosen[number]["steps"], "seconds": seconds})
    finest = max(rows, key=lambda row: row["steps"])["image"]
    _measure(rows, drawn, drawn[finest], ("rmse", "ssim"), "", data_range)
    if real is not None:
        _measure(rows, drawn, real, ("ssim", "psnr"), "reference_", data_range)
    notes = (*notes, f"RMSE and SSIM are with {finest}, which took the most steps.")
    return Comparison(
        table=rows, settings={"model": found.card.name, "region": place, **common}, notes=notes,
        better={name: way for name, way in BETTER.items() if name in rows[0]}, images=drawn,
        reference=drawn[finest],
    )  # fmt: skip


def _setting(given: Mapping[str, Any]) -> dict[str, Any]:
    strange = sorted(set(given) - set(FREE))
    if strange:
        raise InputError(
            f"A setting names {', '.join(strange)}; expected some of {', '.join(FREE)}. What all "
            "have in common, such as seed=7, are arguments of compare_samplers itself."
        )
    return {"sampler": "ddim", "steps": USUAL["steps"], **given}


def _name(setting: Mapping[str, Any]) -> str:
    steps = f"{setting['steps']} step{'s' * (setting['steps'] > 1)}"
    rest = [f"{key} {setting[key]}" for key in FREE[2:] if key in setting]
    return ", ".join([f"{setting['sampler']} {steps}", *rest])


def _check(settings: Sequence[Mapping[str, Any]], images: Sequence[Raster]) -> None:
    if len(settings) < 2:
        raise InputError(f"Got {len(settings)} settings; give two or more to compare.")
    if any(settings.count(each) > 1 for each in settings):
        raise InputError("A setting is given twice; its image would be the same. Leave one out.")
    planes = {axis: n for axis, n in images[0].sizes.items() if axis in "tz" and n > 1}
    if planes:
        raise InputError(
            f"The map has {planes} planes; compare samplers on one of them, such as "
            f"region={{'{next(iter(planes))}': (0, 1)}}."
        )


def _place(given: Raster, region: Any, largest: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is drawn, in pixels, and what is to be said of it."""
    bounds = as_region(region, given)
    sizes = given.sizes
    if bounds or max(sizes["y"], sizes["x"]) <= largest:
        return dict(bounds), ()
    middle = {}
    for axis in "yx":
        side = min(sizes[axis], largest)
        start = (sizes[axis] - side) // 2
        middle[axis] = (start, start + side)
    text = f"Drawn is the middle of the map, {largest} px a side; region= chooses another part."
    return middle, (text,)


def _same_part(reference: Raster, given: Raster, drawn: Raster, place: Mapping[str, Any]) -> Raster:
    """The drawn part of an image that has the map's pixels; others are compared by the world."""
    if [reference.sizes[a] for a in "yx"] != [given.sizes[a] for a in "yx"]:
        return reference
    part = reference.crop({a: slice(*place[a]) for a in "yx" if a in place})
    return replace(part, placement=drawn.placement) if part.axes == drawn.axes else part


def _channels(target: Raster) -> Channels:
    return "mean" if "c" in target.axes else "each"


def _measure(
    rows: Sequence[dict[str, Any]], drawn: Mapping[str, Raster], target: Raster,
    metrics: tuple[str, ...], prefix: str, data_range: float | None,
) -> None:  # fmt: skip
    """Add figures to the rows."""
    images = [*drawn.values()]
    found = compare(
        images, target, metrics=metrics, channels=_channels(target), data_range=data_range
    )
    for row, figures in zip(rows, found.table, strict=True):
        row |= {f"{prefix}{metric}": figures[metric] for metric in metrics}
