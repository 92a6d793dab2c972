"""Rasters to disk, in the format that the name of the path asks for.

1. What the result is made of, and how, is written down: the plan.
2. Shards are computed and written, each once, with all levels above them.
3. When the last one is finished the metadata are written, and the result moves to its place.

A run that is interrupted at any point is continued by the same call; see `unfinished`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from napari_tincture.checkpoint import Checkpoint
from napari_tincture.errors import Cancelled, OutputError
from napari_tincture.io import label_groups, own_metadata
from napari_tincture.io.identity import differences, signature
from napari_tincture.io.layout import Layout
from napari_tincture.io.ome_zarr import is_zarr
from napari_tincture.io.output import writing
from napari_tincture.io.provenance import plain
from napari_tincture.io.pyramid_store import PyramidStore, Version
from napari_tincture.io.shard_writer import ShardWriter
from napari_tincture.io.unfinished import Unfinished, begin, partial_path
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster

_VERSIONS = ("napari-tincture", "torch", "numpy", "zarr", "numcodecs")
"""Packages of which another version may give other bytes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a result when its pixels are complete.

    Attributes
    ----------
    run
        What only the run could tell, for the provenance.
    extremes
        Least and greatest finite value by channel.
    """

    run: dict[str, Any]
    extremes: dict[int, tuple[float, float]]


Finish = Callable[[Raster, Layout, Facts, Unfinished], Path]
"""Completes a result whose pixels are there; gives the file or folder that is moved."""


def save(
    raster: Raster,
    path: Path,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    overwrite: bool = False,
    client: Any = None,
    version: Version | None = None,
) -> Path:
    """Stream a raster to OME-Zarr or OME-TIFF; see `Raster.save`."""
    target = path.expanduser().absolute()
    version = _version(target, version)
    finish = _format(target, version)
    stem = target.name
    for suffix in (".zarr", ".tiff", ".tif", ".ome"):
        stem = stem.removesuffix(suffix)
    raster = replace(raster, name=raster.name or stem)
    if own_metadata.is_rotated(raster.placement):
        warnings.warn(
            f"{target.name}: the format holds no rotation, shear or affine. They are kept in "
            "metadata of our own, which napari-tincture restores; other programs will show the "
            "image without them.",
            stacklevel=3,
        )
    client = _active_client() if client is None else client
    layout = Layout.of(raster)
    run = _freeze(raster, client)
    plan = _plan(raster, layout, version, run)
    create = partial(_create, layout=layout, raster=raster, version=version)
    with begin(target, plan, create, overwrite=overwrite) as unfinished:
        report, token = as_callback(progress), cancel or CancelToken()
        try:
            facts = _compute(raster, layout, unfinished, report, token, client)
        except Cancelled as error:
            if not unfinished.worthwhile:
                raise
            raise Cancelled(
                f"{error} What is finished waits in {unfinished.folder}; the same call continues."
            ) from error
        _check_source(raster, plan, target)
        with writing(target):
            result = finish(raster, layout, facts, unfinished)
        unfinished.deliver(result, overwrite=overwrite)
    if raster.kind == "labels" and label_groups.is_inside_image(target):
        label_groups.register(target)
    return target


def _active_client() -> Any:
    """The session's distributed client, if the user has one."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def _version(target: Path, version: Version | None) -> Version:
    """The version asked for; within a store, such as a plate or an image, that of the store."""
    if version not in (None, "0.5", "0.4"):
        raise OutputError(f"Expected OME-Zarr version '0.5' or '0.4', got {version!r}.")
    around = target.parents[1] if label_groups.is_inside_image(target) else target.parent
    if not is_zarr(around):
        return version or "0.5"
    own: Version = "0.5" if (around / "zarr.json").exists() else "0.4"
    if version not in (None, own):
        raise OutputError(
            f"{around} is OME-Zarr {own}, and so must be what is written into it. Leave "
            f"version={version!r} out, or choose a path elsewhere."
        )
    return own


def _format(target: Path, version: Version) -> Finish:
    from napari_tincture.io.tiff_writer import finish_ome_tiff
    from napari_tincture.io.zarr_writer import finish_ome_zarr

    suffix = target.suffix.lower()
    # Images within a store, such as the field of a plate or the labels of an image, have no suffix.
    if suffix == ".zarr" or is_zarr(target.parent) or label_groups.is_inside_image(target):
        return partial(finish_ome_zarr, version=version)
    if suffix in (".tif", ".tiff"):
        return finish_ome_tiff
    raise OutputError(
        f"{target} names no format that can be written. End it with .ome.zarr (any size, all "
        "metadata) or .ome.tif."
    )


def _freeze(raster: Raster, client: Any) -> dict[str, Any]:
    if raster.runner is None:
        return {}
    if client is None:
        return raster.runner.freeze()
    from napari_tincture.io.cluster import freeze_on

    return freeze_on(client, raster)


def _plan(raster: Raster, layout: Layout, version: Version, run: dict[str, Any]) -> dict[str, Any]:
    """All that another run must have in common with this one to continue it."""
    free = run.pop("free", {})
    return plain(  # type: ignore[no-any-return]
        {
            "format": 1,
            "versions": {name: version_of(name) for name in _VERSIONS},
            "ome_zarr": version,
            "kind": raster.kind,
            "image": signature(raster),
            "layout": layout.to_json(),
            "run": run,
            "free": free,
        }
    )


def _create(folder: Path, *, layout: Layout, raster: Raster, version: Version) -> None:
    PyramidStore.create(folder, layout, raster, version)


def _compute(
    raster: Raster,
    layout: Layout,
    unfinished: Unfinished,
    progress: Progress,
    cancel: CancelToken,
    client: Any,
) -> Facts:
    done = unfinished.done
    guard = partial(writing, unfinished.path)
    with guard():
        store = PyramidStore(unfinished.data, layout, raster.kind, raster.axes.find("c"))
        store.sweep()
        for key in done.keys:
            if not store.holds(key, done[key]):
                done.forget(key)
    writer = ShardWriter(store, done, unfinished.scratch, guard)
    writer.catch_up()
    missing = [a for a in layout.areas if any(k not in done for k in layout.keys_in(a))]
    free = dict(unfinished.plan["free"])
    checkpoint = Checkpoint(unfinished.run, layout.areas, missing, free)
    if client is not None:
        from napari_tincture.io.cluster import compute_on

        run = compute_on(client, raster, store, writer, checkpoint, progress, cancel)
    else:
        run = raster.stream(writer.write, progress=progress, cancel=cancel, checkpoint=checkpoint)
    writer.check_complete()
    store.sweep()
    return Facts(dict(run), _extremes(layout, unfinished))


def _extremes(layout: Layout, unfinished: Unfinished) -> dict[int, tuple[float, float]]:
    found: dict[int, tuple[float, float]] = {}
    c = next((i for i, n in enumerate(layout.area) if n != layout.shard[i]), None)
    for key in layout.keys(0):
        first = key[1 + c] * layout.shard[c] if c is not None else 0
        for channel, limits in enumerate(unfinished.done[key]["extremes"], start=first):
            if limits is not None:
                low, high = found.get(channel, limits)
                found[channel] = min(low, limits[0]), max(high, limits[1])
    return found


def _check_source(raster: Raster, plan: dict[str, Any], target: Path) -> None:
    changes = differences(plan["image"], plain(signature(raster)))
    if changes:
        raise OutputError(
            f"The image changed while {target.name} was computed from it ({changes[0]}), so that "
            f"the result in {partial_path(target)} is of neither. Call again with overwrite=True "
            "to begin anew."
        )
