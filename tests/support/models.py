"""Small models, and what they give on a whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from napari_tincture.models import Channel, Model, ModelCard, Normalisation
from napari_tincture.raster import Raster
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.engine import Engine
from napari_tincture.tiling.job import Item, Plan, TileJob
from napari_tincture.tiling.reach import reach_of, with_reach
from napari_tincture.tiling.stream import stream


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


def of_channels(model: Model) -> Model:
    """The same network as a model that stains, whatever its inputs are made of."""
    inputs = tuple(Channel(channel.name) for channel in model.card.inputs)
    card = model.card.replace(task="stain", inputs=inputs, training_statistics={})
    return model.with_card(card)


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


def job_of(model: Model, image: np.ndarray, axes: str = "cyx", **plan: Any) -> TileJob:
    """A job on an array; its engine may be given as `engine`, known values as `known`."""
    options = {key: plan.pop(key) for key in ("engine", "known") if key in plan}
    nonfinite = plan.pop("nonfinite", "error")
    inputs = map_channels(Raster.from_array(image, axes), model.card, nonfinite=nonfinite)
    return TileJob(inputs, model, Plan(**plan), **options)


def result_of(job: TileJob, plane: tuple[int, ...] = ()) -> np.ndarray:
    """One plane of a job's result, (c, y, x), streamed."""
    rows, columns = (sum(sizes) for sizes in job.grid.chunks)
    result = np.full((len(job.model.card.outputs), rows, columns), np.nan)

    def write(item: Item, block: np.ndarray) -> None:
        if item[0] == plane:
            y, x = job.grid.place(item[1])
            assert np.isnan(result[:, y, x]).all(), "written twice"
            result[:, y, x] = block

    stream(job, write)
    return result


class SmallMemory(Engine):
    """An engine whose device holds so many pixels at once, and no more."""

    def __init__(self, model: Model, pixels: int) -> None:
        super().__init__(model, reach_of(model), "cpu")
        self.sizes: list[tuple[int, ...]] = []
        plain = self._network

        def network(batch: torch.Tensor) -> torch.Tensor:
            # By shape alone: every call of torch would be counted as the network's.
            count, _, height, width = batch.shape
            self.sizes.append(tuple(batch.shape))
            if count * height * width > pixels:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return plain(batch)

        self._network = network
