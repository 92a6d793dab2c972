"""What only a CUDA device can show: published widths, memory, and recovery when it runs out."""

from __future__ import annotations

import time

import numpy as np
import torch

from napari_tincture.io.open import open_image
from napari_tincture.models import Channel, Model, ModelCard, Normalisation
from napari_tincture.models.registry import build_network
from napari_tincture.tasks.stain import stain

FIELD = (1920, 2560)
"""A whole field of a common microscope camera, y × x."""


def print_cuda() -> None:
    """Print one field at published width per precision, and a recovery that is made to happen."""
    image = open_image(np.random.default_rng(0).integers(0, 255, (3, *FIELD), np.uint8), axes="cyx")
    model = _published()
    print(f"## CycleGAN generator at published width, {FIELD[1]} × {FIELD[0]} pixels, CUDA\n")
    print("| precision | seconds | peak GiB | max error / std | events |")
    print("|---|---|---|---|---|")
    whole = _run(image, model, "float32")
    exact = whole[0]
    for precision in ("float32", "tf32", "bfloat16", "float16"):
        _row(precision, _run(image, model, precision), exact)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(2 * 2**30 / total, 1.0))
    _row("float32 in 2 GiB", _run(image, model, "float32"), exact)
    torch.cuda.set_per_process_memory_fraction(1.0)
    print()


def _published() -> Model:
    options = {"n_blocks": 9, "ngf": 64}
    colour = tuple(Channel(name) for name in ("red", "green", "blue"))
    torch.manual_seed(0)
    return Model(
        build_network("resnet_generator", options),
        ModelCard(
            name="published-width",
            task="stain",
            architecture="resnet_generator",
            options=options,
            inputs=colour,
            outputs=colour,
            normalisation=Normalisation("dtype", target=(-1.0, 1.0)),
            output_range=(-1.0, 1.0),
            stride=4,
        ),
    )


Run = tuple[np.ndarray, float, int, list[str]]


def _run(image: object, model: Model, precision: str) -> Run:
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    result = stain(image, model, device="cuda", precision=precision, dtype="float32")
    values = np.asarray(result)
    seconds = time.perf_counter() - start
    events = list(result.runner.job.portions.events)  # type: ignore[union-attr]
    return values, seconds, torch.cuda.max_memory_allocated(), events


def _row(name: str, run: Run, exact: np.ndarray) -> None:
    values, seconds, peak, events = run
    error = float(np.abs(values - exact).max() / exact.std())
    print(f"| {name} | {seconds:.2f} | {peak / 2**30:.2f} | {error:.2g} | {'; '.join(events)} |")
