"""From lazy results to napari's memory or to disk, each pixel computed once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture.diffusion.canvas import Place
from napari_tincture.io.open import open_image
from napari_tincture.io.provenance import completed
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Index, Raster
from napari_tincture.tasks._look import Look, Plane
from napari_tincture.tasks._means import MEASURED, Means, in_words
from napari_tincture.tasks._run import narrowed
from napari_tincture.tasks._scene import Scene
from napari_tincture.tasks.measure_objects import ObjectSums
from napari_tincture.tasks.outputs import Outputs
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import attributes
from napari_tincture.worker.wire import Link, Message

if TYPE_CHECKING:
    from napari_tincture.models.model import Model

ALONE = ""
"""Name of a result that has none."""


def deliver(
    link: Link, job: int, found: Raster | Outputs, settings: JobSettings, cancel: CancelToken
) -> dict[str, Any]:
    """Compute one result or several, from one run.

    Returns
    -------
    dict
        ``results``: for each its ``path``, or what its raster is that only the run could tell,
        and the table of its ``objects``, if it holds some;
        ``figures``: mean and standard deviation of those maps for which they say something.
    """

    def progress(done: int, total: int) -> None:
        link.send(Message("progress", {"job": job, "done": done, "total": total}))

    if settings.save_to is not None:
        return _to_disk(found, settings, progress, cancel)
    results = found if isinstance(found, Outputs) else {ALONE: found}
    means = Means()
    sums = _object_sums(found)

    def write(name: str, index: Index, block: np.ndarray) -> None:
        place = [[int(s.start), int(s.stop)] for s in index]
        if sums is not None:
            sums.add(index, block)
        means.add(name, block)
        link.send(Message("block", {"job": job, "name": name, "index": place}, block))

    layouts = {
        name: {"attributes": attributes(r), "shape": r.shape, "dtype": r.dtype.str}
        for name, r in results.items()
    }
    link.send(Message("started", {"job": job, "results": layouts}))
    if isinstance(found, Raster) and isinstance(found.runner, Scene):
        found.runner.show = partial(_preview, link, job, found.runner.look)
    if isinstance(found, Outputs):
        facts = found.stream(write, progress=progress, cancel=cancel)
    else:
        own = partial(write, ALONE)
        facts = {ALONE: found.stream(own, progress=progress, cancel=cancel)}
    told = {name: {"provenance": completed(r, facts[name])} for name, r in results.items()}
    if sums is not None:
        told[ALONE]["objects"] = sums.table().to_json()
    return {"results": told, "figures": means.figures}


def _preview(
    link: Link, job: int, look: Look, plane: Plane, values: np.ndarray, place: Place
) -> None:
    """Tell what a rectangle of a plane looks like while it is drawn, as far as it is of it."""
    inside = tuple(slice(s.start, min(s.stop, n)) for s, n in zip(place, look.shape, strict=True))
    size = tuple(s.stop - s.start for s in inside)
    block = look.block(values[:, : size[0], : size[1]])
    index = [[s.start, s.stop] for s in look.index(plane, inside)]  # type: ignore[arg-type]
    link.send(Message("preview", {"job": job, "name": ALONE, "index": index}, block))


def _to_disk(
    found: Raster | Outputs, settings: JobSettings, progress: Any, cancel: CancelToken
) -> dict[str, Any]:
    assert settings.save_to is not None
    save = partial(
        found.save, settings.save_to, progress=progress, cancel=cancel,
        overwrite=settings.overwrite,
    )  # fmt: skip
    if isinstance(found, Raster):
        told: dict[str, Any] = {"path": str(save())}
        sums = _object_sums(found)
        if sums is not None:
            open_image(told["path"]).stream(sums.add, cancel=cancel)
            told["objects"] = sums.table().to_json()
        return {"results": {ALONE: told}, "figures": {}}
    paths: Mapping[str, Any] = save()  # type: ignore[assignment]
    means = Means()
    for name in MEASURED:
        if name in paths:
            open_image(paths[name]).stream(partial(_count, means, name))
    return {
        "results": {name: {"path": str(path)} for name, path in paths.items()},
        "figures": means.figures,
    }


def _object_sums(found: Raster | Outputs) -> ObjectSums | None:
    """What measures the objects of a result, in the image that they were found in."""
    call = None if isinstance(found, Outputs) else found.call
    if isinstance(found, Outputs) or call is None or call.arguments.get("output") != "labels":
        return None
    image, _ = narrowed(call.image, call.arguments["region"])
    # Planes that are inputs of the model: no object is of one of them.
    same = all(axis in found.axes for axis in image.axes if axis in "tz")
    return ObjectSums(found, image if same else None)


def _count(means: Means, name: str, _: Index, block: np.ndarray) -> None:
    means.add(name, block)


def told_of(facts: Mapping[str, Any], model: Model, settings: JobSettings) -> str:
    """What a run's figures say."""
    forward = settings.options.get("direction", "forward") == "forward"
    return in_words(facts["figures"], forward and bool(model.card.calibration))
