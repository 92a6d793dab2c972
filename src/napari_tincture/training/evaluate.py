"""Figures of a model on the examples of one split."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_tincture.models.model import Model
from napari_tincture.training.data import Example


def evaluate(model: Model, examples: list[Example], *, device: str = "cpu") -> dict[str, float]:
    """Compare predictions of whole images with their targets, on the split's columns.

    Returns
    -------
    dict
        For regression ``pearson``, ``ssim`` (scikit-image's default, data range 1) and ``psnr``
        (dB, data range 1) of the first output; for segmentation ``f1_50`` and ``f1`` (mean over
        IoU 0.5 … 0.95). ``score`` is what model selection maximises.
    """
    model.network.to(device)
    if model.card.task == "segment":
        return _objects(model, examples, device)
    rows = [_likeness(_predict(model, item, device), item) for item in examples]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _predict(model: Model, example: Example, device: str) -> NDArray[np.float32]:
    image = torch.from_numpy(np.ascontiguousarray(example.image))[None].to(device)
    prediction: NDArray[np.float32] = model.predict(image)[0].cpu().numpy()
    return prediction


def _likeness(prediction: NDArray[np.float32], example: Example) -> dict[str, float]:
    figures: dict[str, float] = {}
    names = ["", *(f"_{index}" for index in range(1, len(prediction)))]
    for suffix, ours, theirs in zip(names, prediction, example.target, strict=True):
        columns = slice(*example.columns)
        a, b = ours[:, columns], theirs[:, columns]
        figures[f"pearson{suffix}"] = float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        figures[f"ssim{suffix}"] = float(structural_similarity(a, b, data_range=1.0))
        figures[f"psnr{suffix}"] = float(peak_signal_noise_ratio(b, a, data_range=1.0))
    score = figures["pearson"] + figures["ssim"] + figures["psnr"] / 50
    figures["score"] = score if math.isfinite(score) else -math.inf
    return figures


def _objects(model: Model, examples: list[Example], device: str) -> dict[str, float]:
    from napari_tincture.instances import arguments_of, label_instances
    from napari_tincture.training.labels.objects import mean_f1

    found = [
        label_instances(_predict(model, item, device), **arguments_of(model.card.instances))
        for item in examples
    ]
    truth = [item.labels for item in examples if item.labels is not None]
    figures = mean_f1(list(zip(found, truth, strict=True)))
    return {**figures, "score": figures["f1_50"] + figures["f1"]}
