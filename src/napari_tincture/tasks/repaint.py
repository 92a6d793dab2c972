"""Repainting: drawing a synthetic image anew where its label map was changed, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari_tincture.call import Call
from napari_tincture.errors import InputError
from napari_tincture.io.provenance import described, extended
from napari_tincture.raster import Raster
from napari_tincture.tasks._artist import Drawer
from napari_tincture.tasks._label_map import open_label_map
from napari_tincture.tasks._label_source import LabelSource
from napari_tincture.tasks._repainter import Repainter
from napari_tincture.tasks._scene import Scene
from napari_tincture.tasks.synthesize import as_result

MARGIN = 32
"""Pixels around a change within which the image may change, too."""


def repaint(
    scene: Raster, labels: Any, *, margin: int = MARGIN, seed: int | None = None,
    instances: Any = None,
) -> Raster:  # fmt: skip
    """Draw what depends on a change of the label map; nothing is computed until it is read.

    Beyond `margin` pixels from any changed pixel the image stays as it is, bit for bit, and so do
    the smaller drawings that a large image began with.

    Parameters
    ----------
    scene
        A result of `synthesize`, or of this, in the process that made it. It is drawn first if it
        was not yet.
    labels
        The label map as it is now, of the same size; or, of a scene of a `region`, all of it.
    margin
        Pixels, 0 or more.
    seed
        Another one gives another variant of what changed; None: that of the scene.
    instances
        As in `synthesize`; None: those of the scene, or the edges of `labels` where it had none.

    Returns
    -------
    Raster
        As the scene.

    Raises
    ------
    InputError
        If the scene is no such result, or the map has another size.
    """
    known = scene.runner
    artist = known.artist if isinstance(known, Scene) else None
    drawer = artist.drawer if isinstance(artist, Repainter) else artist
    if not (isinstance(known, Scene) and isinstance(drawer, Drawer)):
        raise InputError(
            f"{scene.name!r} is no result of synthesize() in this process; only those know what "
            "they were drawn from. Synthesize it again: the same seed gives the same image."
        )
    if isinstance(margin, bool) or not isinstance(margin, int) or margin < 0:
        raise InputError(f"margin={margin!r}: expected a whole number of pixels, 0 or more.")
    before = drawer.source
    assert isinstance(before, LabelSource)
    given = before.part_of(open_label_map(labels))
    objects = before.instances
    if instances is not None:
        objects = before.part_of(open_label_map(instances))
    how = drawer.how if seed is None else replace(drawer.how, seed=seed)
    source = replace(before, labels=given, instances=objects)
    again = Repainter(Drawer(drawer.model, source, how), known, margin)
    settings = {"margin": margin, "seed": how.seed}
    provenance = extended(
        scene.provenance, "repaint", image=given.name, sources=[described(given)], settings=settings
    )
    made = as_result(
        Scene(again, known.look, (given,)), given, drawer.model, provenance,
        Call("repaint", scene, given, {"margin": margin, "seed": seed, "instances": instances}),
    )  # fmt: skip
    return replace(made, name=scene.name, placement=scene.placement, order=scene.order)
