"""Small models, and what they give on a whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from napari_tincture.models import Channel, Model, ModelCard, Normalisation
from napari_tincture.tiling.reach import with_reach


def model_of(network: nn.Module, inputs: int = 2, outputs: int = 1, **card: Any) -> Model:
    """A model of any network, its card filled in by measurement."""
    defaults = {
        "name": "small",
        "task": "stain",
        "architecture": "test",
        "inputs": tuple(Channel(f"in{i}") for i in range(inputs)),
        "outputs": tuple(Channel(f"out{i}") for i in range(outputs)),
        "normalisation": Normalisation("standard"),
    }
    return with_reach(Model(network, ModelCard(**{**defaults, **card})))


def image_of(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """Smooth spots on noise, (…, y, x), so that neighbouring pixels are alike as in images."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    phase = rng.random((*shape[:-2], 1, 1)) * 6
    values = 0.5 + 0.25 * np.sin(y / 9 + phase) * np.cos(x / 7 - phase) + 0.2 * rng.random(shape)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return (values * np.iinfo(dtype).max).astype(dtype)


def whole(model: Model, image: np.ndarray, stats: Any = None) -> np.ndarray:
    """The network's result (c, y, x) on a whole plane (c, y, x)."""
    values = torch.from_numpy(np.ascontiguousarray(image))[None]
    return model.predict(values, stats=stats)[0].numpy()


def check_equal(found: Any, expected: np.ndarray, relative: float) -> None:
    """Largest difference, in standard deviations of the expected and float32's last digits."""
    found = np.asarray(found).reshape(expected.shape)
    last_digits = 8 * np.finfo(np.float32).eps * np.abs(expected).max()
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() <= relative * expected.std() + last_digits


PLAIN = 1e-5
"""Without values of the whole image only the order of sums within a convolution differs."""
CONTEXT = 1e-3
"""With them, those sums go through every norm that follows."""
