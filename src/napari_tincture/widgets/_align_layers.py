"""Layers that are put where their reference is, and back; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from napari_tincture.raster import Raster
from napari_tincture.tasks.comparison import Comparison
from napari_tincture.widgets._map_layers import Prepared, add_prepared
from napari_tincture.widgets._plan import own_letters

Told = Mapping[str, Any]
"""What was found of an image, as the settings of a comparison have it."""
Undo = Callable[[], None]
_ROTATED = 0.05
"""Degrees from which a rotation is told."""
_SCALED = 5e-4


def short(told: Told) -> str:
    """How far an image is off, in a few words."""
    if not told["found"]:
        return "could not be told"
    parts = [", ".join(f"{round(by, 1) + 0.0:+.1f}" for by in told["shift"]) + " px"]
    if abs(told["rotation"]) >= _ROTATED:
        parts.append(f"{told['rotation']:+.1f}°")
    if any(abs(scale - 1) >= _SCALED for scale in told["scale"]):
        parts.append("size " + ", ".join(f"{scale:.1%}" for scale in told["scale"]))
    return ", ".join(parts).replace("-", "−")


def warnings_of(found: Mapping[str, Told]) -> list[str]:
    """Warnings of images that were not put right, each with the image's name."""
    return [
        f"{name}: {told['warning']}"
        for name, told in found.items()
        if told["warning"] and "aligned" not in told
    ]


def put(
    viewer: Any, found: Comparison, layers: Mapping[str, Any], resampled: Mapping[str, Prepared]
) -> list[Undo]:
    """Put layers where a comparison has aligned their images.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets a layer for every image that was resampled.
    found
        Its settings say what was aligned.
    layers
        What was compared, by name; layers that are gone are left out.
    resampled
        Images as aligned by optical flow, by the name of the image.

    Returns
    -------
    list of callables
        Each takes one of it back.
    """
    result = []
    for name, told in found.settings.get("alignment", {}).items():
        layer = layers.get(name)
        if layer is None or layer not in viewer.layers or "aligned" not in told:
            continue
        if name in resampled:
            result.append(_add(viewer, layer, resampled[name]))
        else:
            result.append(_move(layer, found.images[name], found.images[told["aligned"]]))
    return result


def _move(layer: Any, before: Raster, after: Raster) -> Undo:
    """Change the layer's own last transform as that of its image was changed."""
    change = np.asarray(after.placement.affine) @ np.linalg.inv(before.placement.affine)
    letters = own_letters(after)
    own = [after.axes.index(letter) for letter in letters] + [-1]
    former = np.array(layer.affine, dtype=float)
    layer.affine = change[np.ix_(own, own)] @ former

    def back() -> None:
        layer.affine = former

    return back


def _add(viewer: Any, like: Any, aligned: Prepared) -> Undo:
    added = add_prepared(viewer, aligned)
    for layer in added:
        for name in ("contrast_limits", "colormap", "gamma"):
            if hasattr(like, name) and not getattr(like, "rgb", False):
                setattr(layer, name, getattr(like, name))

    def back() -> None:
        for layer in added:
            if layer in viewer.layers:
                viewer.layers.remove(layer)

    return back
