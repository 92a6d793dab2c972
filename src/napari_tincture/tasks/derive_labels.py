"""New label maps from one: bent, mirrored, or with its objects moved, turned and resized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.deriving.elastic import bend, displacement
from napari_tincture.deriving.moving import rearrange
from napari_tincture.deriving.objects import each_value, parts_of, surroundings
from napari_tincture.io.provenance import described, extended
from napari_tincture.raster import Raster
from napari_tincture.tasks._derivation import ALL, Chosen, Derivation, choose
from napari_tincture.tasks._label_map import open_label_map


def derive_labels(
    labels: Any,
    *,
    elastic: float = 0.0,
    smoothness: float | None = None,
    move: float = 0.0,
    turn: float = 0.0,
    resize: float | Sequence[float] = 1.0,
    flip: bool = False,
    objects: Any = None,
    onto: Any = None,
    model: Any = None,
    classes: Mapping[Any, Any] | None = None,
    seed: int = 0,
) -> Raster:
    """Make another label map of one, with the same labels in other shapes and places.

    Objects are lifted out, what surrounds them closes over the place, and they are put back
    elsewhere: never over another object, never so that two of one label touch. Those for which no
    place is found, and those that reach the map's edge, stay. Then the whole map is bent. Planes
    along t and z are changed one by one.

    Parameters
    ----------
    labels
        (t, z, y, x), integers, as `open_image` accepts them. It is read into memory.
    elastic
        Pixels by which a label is moved at most by a smooth random deformation (Simard et al.,
        ICDAR 2003). Lines of one pixel are kept.
    smoothness
        Standard deviation in pixels of the Gaussian that smooths the deformation, not less than
        `elastic`, or it would fold. None: twice `elastic`, and 4 at least.
    move
        Pixels by which an object is moved at most.
    turn
        Degrees by which an object is turned at most, to either side.
    resize
        Factor by which an object becomes longer and wider, or shorter and narrower, at most; or
        the least and the greatest factor, such as (0.8, 1.5).
    flip
        Whether the map may be mirrored, along y, x or both.
    objects
        Which objects `move`, `turn` and `resize` change: values or names of classes, of which each
        connected part is an object; or "all" for a map with a number per object, 0 for none.
    onto
        Values or names of classes that objects may cover. None: the one that borders on them most.
    model
        Whose names of classes are meant: a name of `list_models`, a path, a `Model` or its card.
    classes
        Value of the label map → name of a class, as in `synthesize`, for other values than the
        model's, or without a model.
    seed
        From 0; the same seed gives the same map.

    Returns
    -------
    Raster
        Of kind labels; shape, axes, type, placement and units are the map's. Its provenance tells
        how many objects were changed, of how many.

    Raises
    ------
    InputError
        If the map holds no integers, a class is unknown, or an argument cannot be right.
    """
    given = open_label_map(labels)
    wanted = Derivation.of(
        elastic=elastic, smoothness=smoothness, move=move, turn=turn, resize=resize, flip=flip,
        objects=objects, seed=seed,
    )  # fmt: skip
    pixels = np.asarray(given)
    chosen = Chosen(
        choose(objects, pixels, "objects", given.name, model, classes),
        choose(onto, pixels, "onto", given.name, model, classes),
    )
    result, counts = np.empty_like(pixels), np.zeros(2, int)
    for plane in np.ndindex(pixels.shape[:-2]):
        rng = np.random.default_rng([wanted.seed, *plane])
        result[plane], found = derived(pixels[plane], wanted, chosen, rng)
        counts += found
    settings = {**wanted.settings(), "objects": chosen.objects, "onto": chosen.onto}
    changed = {"changed": int(counts[0]), "of": int(counts[1])} if wanted.rearranges else None
    provenance = extended(
        given.provenance, "derive_labels", image=given.name, sources=[described(given)],
        settings=settings, objects=changed,
    )  # fmt: skip
    return Raster.from_array(
        result, given.axes, kind="labels", placement=given.placement, order=given.order,
        name=f"{given.name} derived".strip(), display=given.display,
        provenance=provenance,
    )  # fmt: skip


def derived(
    labels: NDArray[Any], wanted: Derivation, chosen: Chosen, rng: np.random.Generator
) -> tuple[NDArray[Any], tuple[int, int]]:
    """One plane (y, x); and how many objects were changed, of how many."""
    if wanted.flip:
        labels = labels[:: rng.choice((1, -1)), :: rng.choice((1, -1))]
    counts = (0, 0)
    if wanted.rearranges:
        which = chosen.objects
        found = each_value(labels) if which == ALL else parts_of(labels, which or ())
        beside = surroundings(labels, found)
        usual = () if beside is None else (beside,)
        onto = usual if chosen.onto is None else chosen.onto
        labels, changed = rearrange(labels, found, onto, wanted.bounds, rng)
        counts = changed, len(found.values) - 1
    if wanted.elastic:
        height, width = labels.shape
        field = displacement((height, width), wanted.elastic, wanted.smoothness, rng)
        labels = bend(labels, field)
    return labels, counts
