"""Discs, a model that finds them, and what it finds on the whole image."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from models import model_of
from networks import Fn

from napari_tincture.instances import label_instances
from napari_tincture.models import Normalisation

NONE = Normalisation("none")
STEP = {"min_size": 5, "largest": 48}


def blobs(shape: tuple[int, int], count: int, seed: int = 0, apart: float = 0.6) -> np.ndarray:
    """Depth in [0, 1] within discs, some of which touch others; float32 (y, x)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    depth = np.zeros(shape, "f4")
    placed = np.zeros((0, 3))
    while len(placed) < count:
        cy, cx, radius = rng.uniform((0, 0, 4), (*shape, 7))
        distance = np.hypot(placed[:, 0] - cy, placed[:, 1] - cx)
        if (distance > apart * (placed[:, 2] + radius)).all():
            placed = np.vstack([placed, (cy, cx, radius)])
            near = np.s_[max(int(cy) - 8, 0) : int(cy) + 9, max(int(cx) - 8, 0) : int(cx) + 9]
            own = 1 - ((y[near] - cy) ** 2 + (x[near] - cx) ** 2) / radius**2
            depth[near] = np.maximum(depth[near], own)
    return depth


def maps_of(_: Fn, x: torch.Tensor) -> torch.Tensor:
    """Object, border and depth, of which none needs training; the object sees a pixel around."""
    inside = (20 * F.max_pool2d(x, 3, 1, 1)).clamp(0, 1)
    return torch.cat([inside, torch.zeros_like(x), x], 1)


def finder(**step):
    card = {"name": "finder", "task": "segment", "normalisation": NONE}
    return model_of(Fn(maps_of), 1, 3, instances={**STEP, **step}, **card)


def labels_of(image: np.ndarray, **step) -> np.ndarray:
    """What the instance step makes of the maps of the whole image (y, x)."""
    maps = maps_of(None, torch.from_numpy(image)[None, None])[0].numpy()
    parameters = {k: v for k, v in {**STEP, **step}.items() if k != "largest"}
    return label_instances(maps, **parameters)
