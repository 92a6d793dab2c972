"""How a raster was made, as JSON that travels with it into layers and files.

Nothing in it depends on the clock, so that a job that is run again gives the same bytes.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any

import numpy as np

from napari_tincture.io.identity import signature
from napari_tincture.raster import Raster

RUN_FACTS = (
    "values", "events", "device", "precision", "threads", "tile", "exact", "seams", "objects",
    "repainted", "warning", "versions",
)  # fmt: skip
"""What a run adds to a result's provenance; of the steps before the last it is in their "run"."""

PACKAGES = ("napari-tincture", "torch", "numpy", "zarr", "dask", "napari")


def extended(provenance: Mapping[str, Any], step: str, **facts: Any) -> dict[str, Any]:
    """Add a step to a provenance.

    Parameters
    ----------
    provenance : mapping
        That of the raster the step started from; may be empty. What its run found out goes into
        its last step.
    step : str
        What was done: ``stain``, ``segment``, …
    **facts
        Everything needed to do it again; numpy values, paths and tuples become plain JSON.

    Returns
    -------
    dict
        ``{"software": "napari-tincture 0.1.0", "steps": [{"step": ..., **facts}]}`` and whatever
        else the given provenance holds.
    """
    before = plain(provenance)
    run = {key: before.pop(key) for key in RUN_FACTS if key in before}
    steps = before.get("steps", [])
    if steps and run:
        steps = [*steps[:-1], {**steps[-1], "run": in_brief(run)}]
    return {**before, "software": software(), "steps": [*steps, {"step": step, **plain(facts)}]}


def described(raster: Raster) -> dict[str, Any]:
    """Describe an image that a step starts from, without reading its pixels.

    Returns
    -------
    dict
        JSON-serialisable: ``name``, ``shape``, ``axes``, ``dtype``; ``source``, how it is opened,
        or None for one in memory; ``computed``, whether it is the result of the step before as
        that step gave it.
    """
    source = None if raster.source is None else raster.source.to_json()
    if source is not None:
        source["steps"] = [_without_provenance(*step) for step in source["steps"]]
    return {
        "name": raster.name, "shape": list(raster.shape), "axes": raster.axes,
        "dtype": raster.dtype.name, "source": plain(source), "computed": raster.runner is not None,
    }  # fmt: skip


def completed(raster: Raster, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Give a raster's provenance with what is known only once it is computed.

    Reads a sample of the images that it was made of, as `signature` does; never runs a network.

    Parameters
    ----------
    raster : Raster
        With or without a runner. A runner may have ``sources``, the images that the last step
        started from as it lists them, and ``facts()``, what its run has found out so far.
    facts : mapping
        What the run found out.

    Returns
    -------
    dict
        JSON-serialisable. The sources of steps that belong to this raster's computation have a
        ``signature``.
    """
    provenance = plain({**raster.provenance, **facts})
    steps = [dict(step) for step in provenance.get("steps", [])]
    maker: Raster | None = raster
    for place in reversed(range(len(steps))):
        sources: tuple[Raster, ...] = getattr(maker.runner, "sources", ()) if maker else ()
        if not sources:
            break
        steps[place]["sources"] = [_signed(source) for source in sources]
        maker = sources[0]
        found: dict[str, Any] = getattr(maker.runner, "facts", dict)()
        if found and place:
            steps[place - 1]["run"] = in_brief(plain(found))
    return {**provenance, "steps": steps} if steps else provenance


def in_brief(run: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a run found out without the values of each reduction, which are many."""
    values = {
        plane: {key: value for key, value in found.items() if key != "shares"}
        for plane, found in run.get("values", {}).items()
    }
    return {**run, "values": values} if values else dict(run)


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that make or show the numbers."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


@cache
def _version(name: str) -> str:
    """Version of a package; reading its metadata takes longer than a small tile."""
    try:
        return version(name)
    except PackageNotFoundError:
        # A checkout on the path, without being installed.
        return "not installed"


def software() -> str:
    """Name this package and its version."""
    try:
        return f"napari-tincture {version('napari-tincture')}"
    except PackageNotFoundError:
        return "napari-tincture"


def plain(value: Any) -> Any:
    """Turn a value into strict JSON types; NaN and infinity become text, as JSON has none."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, slice):
        return [plain(value.start), plain(value.stop)]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value) if not isinstance(value, PurePath) else value.as_posix()


def _signed(raster: Raster) -> dict[str, Any]:
    """Describe an image and sign it, unless looking at its pixels would compute them."""
    facts = described(raster)
    is_lazy = raster.source is None and raster.memory is None and raster.provenance.get("steps")
    if facts["computed"] or is_lazy:
        return facts
    return {**facts, "signature": signature(raster)}


def _without_provenance(step: str, arguments: Mapping[str, Any]) -> list[Any]:
    """Leave out the provenance of a described raster, whose steps are listed anyway."""
    return [step, {key: value for key, value in arguments.items() if key != "provenance"}]
