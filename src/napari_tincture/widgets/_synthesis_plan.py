"""From what the Synthesize panel shows to a job, or to the reason why there can be none; no Qt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import psutil

from napari_tincture.errors import InputError
from napari_tincture.io.tile_cache import scratch_folder
from napari_tincture.models.card import ModelCard
from napari_tincture.models.class_table import ClassTable, value_counts
from napari_tincture.raster import Raster
from napari_tincture.tasks._drawing_memory import GIB, OF_FREE, DrawingMemory
from napari_tincture.widgets._plan import Choices, Plan, open_layer, pixel_size_notes, region_of
from napari_tincture.widgets._regions import Region
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import SOURCE

LAYER = "layer"
"""Names the layer whose look is the style, among the options of a choice."""

SURVEYED = 2**24
"""Pixels of a map that are looked at for values before a run."""

Survey = Callable[[Raster, Region], Mapping[int, int]]


def survey(labels: Raster, region: Region) -> Mapping[int, int]:
    """Values of a part of a map, and how many pixels have each; none unless it is in memory.

    Of large parts every so many rows are looked at; the run looks at all.
    """
    memory = labels.crop({axis: slice(*bounds) for axis, bounds in region.items()}).memory
    if memory is None:
        return {}
    step = max(math.prod(memory.shape) // SURVEYED, 1)
    return value_counts(np.asarray(memory[..., ::step, :]))


class Surveyor:
    """Surveys parts of maps; while `held`, each part once, because nothing is painted then."""

    def __init__(self) -> None:
        self._known: dict[Any, Mapping[int, int]] | None = None

    def __call__(self, labels: Raster, region: Region) -> Mapping[int, int]:
        """What `survey` finds."""
        if self._known is None:
            return survey(labels, region)
        part = labels.name, tuple(sorted(region.items()))
        if part not in self._known:
            self._known[part] = survey(labels, region)
        return self._known[part]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Remember what was found, until the end."""
        self._known = {}
        try:
            yield
        finally:
            self._known = None

    def unknown(
        self, viewer: Any, choices: Choices, card: ModelCard, labels: Raster
    ) -> tuple[dict[int, int], dict[int, int]]:
        """Values that are no class, and their pixels, in what is to be drawn and anywhere."""
        table, region = ClassTable.of(card), region_of(viewer, choices, labels)
        return table.unknown_of(self(labels, region)), table.unknown_of(self(labels, {}))


def plan_synthesis(viewer: Any, choices: Choices, card: ModelCard, survey: Survey = survey) -> Plan:
    """Check everything that can be known before a run.

    Raises
    ------
    TinctureError
        Saying what is missing or does not fit, and what to do.
    """
    labels = open_layer(viewer, choices.layer, choices.axes)
    region = region_of(viewer, choices, labels)
    sizes = {**labels.sizes, **{axis: stop - start for axis, (start, stop) in region.items()}}
    table = ClassTable.of(card, choices.options.get("classes"))
    if unknown := table.unknown_of(survey(labels, region)):
        raise InputError(table.complaint(unknown, labels.name))
    notes = [*pixel_size_notes(labels, card, choices), *_memory_notes(sizes, card, choices.options)]
    options = dict(choices.options)
    sources: tuple[Raster, ...] = (labels,)
    if isinstance(options.get("style"), Mapping):
        name = options["style"][LAYER]
        sources = (labels, open_layer(viewer, name, choices.axes))
        options["style"] = {SOURCE: 1, "name": name}
    if choices.any_pixel_size:
        options["pixel_size"] = "ignore"
    settings = JobSettings(
        task=choices.task, model=choices.model, region=region or None, device=choices.device,
        precision=choices.precision, options=options, save_to=choices.save_to,
        overwrite=choices.overwrite,
    )  # fmt: skip
    planes = math.prod(n for axis, n in sizes.items() if axis in "tz")
    size = f"{sizes['x']} × {sizes['y']} px" + (f", {planes} planes" if planes > 1 else "")
    return Plan(settings, sources, size, tuple(notes))


def with_seed(plan: Plan, seed: int) -> Plan:
    """The same with another seed."""
    options = {**plan.settings.options, "seed": seed}
    return replace(plan, settings=replace(plan.settings, options=options))


def repainting(plan: Plan, scene: int, margin: int) -> Plan:
    """The job that draws anew what changed of a scene, which the worker knows by its job."""
    options = {"scene": scene, "margin": margin}
    return replace(plan, settings=replace(plan.settings, task="repaint", options=options))


def _memory_notes(
    sizes: Mapping[str, int], card: ModelCard, options: Mapping[str, Any]
) -> list[str]:
    denoising = card.denoising
    if denoising is None:
        return []  # tile by tile
    steps = int(options.get("steps") or denoising.asked(options.get("sampler"))["steps"])
    needed = DrawingMemory(sizes["y"], sizes["x"], len(card.outputs), denoising.window, steps)
    free = int(OF_FREE * psutil.virtual_memory().available)
    if needed.check(free, scratch_folder()):
        disk = f"{needed.on_disk / GIB:.1f} GiB of the disk"
        return [f"Too large for memory: drawn from top to bottom, with {disk} until it is saved."]
    text = f"Drawing takes {needed.at_once / GIB:.1f} GiB of memory, {free / GIB:.1f} are free."
    return [text] if needed.at_once > free / 2 else []
