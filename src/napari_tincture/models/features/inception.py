"""The Inception network whose features FID, KID and their like compare.

Szegedy et al. (2016), Rethinking the Inception architecture for computer vision, as TensorFlow
published it on 2015-12-05 and Heusel et al. (2017) used it for FID. It differs from the usual
Inception v3 of ImageNet: average pools leave padding out, the last block pools by maximum, and
there are 1008 classes. Features of other Inception weights give figures that cannot be compared
with published ones.

A classifier, so no architecture of a model that maps images to images.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn import functional

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.user_weights import INCEPTION

SIDE = 299
CLASSES = 1008
Dims = Literal[64, 192, 768, 2048]
"""Lengths of the features: after the first and second max pool, of Mixed_6e, of Mixed_7c."""


class Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Any, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, bias=False, **options)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, inputs, y, x) → (b, outputs, y', x')."""
        return functional.relu(self.bn(self.conv(x)))


def _row(inputs: int, outputs: int, length: int = 7) -> Unit:
    return Unit(inputs, outputs, (1, length), padding=(0, length // 2))


def _column(inputs: int, outputs: int, length: int = 7) -> Unit:
    return Unit(inputs, outputs, (length, 1), padding=(length // 2, 0))


def _average(x: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """Figure 5 of the paper: 1 × 1, 5 × 5, twice 3 × 3, and an average pool."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(inputs, 64, 1)
        self.branch5x5_1 = Unit(inputs, 48, 1)
        self.branch5x5_2 = Unit(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Unit(inputs, 64, 1)
        self.branch3x3dbl_2 = Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Unit(96, 96, 3, padding=1)
        self.branch_pool = Unit(inputs, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, inputs, y, x) → (b, 224 + pooled, y, x)."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(_average(x))], 1)


class BlockB(nn.Module):
    """From 35 to 17 pixels: figure 10, left."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Unit(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = Unit(inputs, 64, 1)
        self.branch3x3dbl_2 = Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Unit(96, 96, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, inputs, y, x) → (b, 480 + inputs, y / 2, x / 2)."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, functional.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """Figure 6: 7 × 7 factorised into rows and columns, once and twice, and an average pool."""

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(inputs, 192, 1)
        self.branch7x7_1 = Unit(inputs, inner, 1)
        self.branch7x7_2 = _row(inner, inner)
        self.branch7x7_3 = _column(inner, 192)
        self.branch7x7dbl_1 = Unit(inputs, inner, 1)
        self.branch7x7dbl_2 = _column(inner, inner)
        self.branch7x7dbl_3 = _row(inner, inner)
        self.branch7x7dbl_4 = _column(inner, inner)
        self.branch7x7dbl_5 = _row(inner, 192)
        self.branch_pool = Unit(inputs, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, inputs, y, x) → (b, 768, y, x)."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], 1)


class BlockD(nn.Module):
    """From 17 to 8 pixels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = Unit(inputs, 192, 1)
        self.branch3x3_2 = Unit(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Unit(inputs, 192, 1)
        self.branch7x7x3_2 = _row(192, 192)
        self.branch7x7x3_3 = _column(192, 192)
        self.branch7x7x3_4 = Unit(192, 192, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, inputs, y, x) → (b, 512 + inputs, y / 2, x / 2)."""
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat(
            [three, self.branch7x7x3_4(seven), functional.max_pool2d(x, 3, stride=2)], 1
        )


class BlockE(nn.Module):
    """Figure 7: filter banks made wide; pools by average, or by maximum in the last block."""

    def __init__(self, inputs: int, pool: Literal["average", "maximum"]) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = Unit(inputs, 320, 1)
        self.branch3x3_1 = Unit(inputs, 384, 1)
        self.branch3x3_2a = _row(384, 384, 3)
        self.branch3x3_2b = _column(384, 384, 3)
        self.branch3x3dbl_1 = Unit(inputs, 448, 1)
        self.branch3x3dbl_2 = Unit(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _row(384, 384, 3)
        self.branch3x3dbl_3b = _column(384, 384, 3)
        self.branch_pool = Unit(inputs, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, inputs, y, x) → (b, 2048, y, x)."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = _average(x) if self.pool == "average" else functional.max_pool2d(x, 3, 1, 1)
        parts = [
            self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled),
        ]  # fmt: skip
        return torch.cat(parts, 1)


class Inception(nn.Module):
    """The whole network, with torchvision's names of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128)
        self.Mixed_6c = BlockC(768, 160)
        self.Mixed_6d = BlockC(768, 160)
        self.Mixed_6e = BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, "average")
        self.Mixed_7c = BlockE(2048, "maximum")
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, images: torch.Tensor, dims: Dims = 2048) -> torch.Tensor:
        """Features of images, averaged over the plane.

        Parameters
        ----------
        images : (b, 3, y, x) floating
            RGB in [0, 1], of any size; resized to 299 × 299, bilinear without antialiasing, so
            that much larger images are better cut into pieces.
        dims
            Which layer.

        Returns
        -------
        (b, dims)
        """
        x = functional.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(2 * x - 1)))
        x = functional.max_pool2d(x, 3, stride=2)
        if dims > 64:
            x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
            x = functional.max_pool2d(x, 3, stride=2)
        if dims > 192:
            x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
            x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        if dims > 768:
            x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))


def load_inception(path: str | os.PathLike[str] | None = None) -> Inception:
    """Build the network with the weights of the user's file.

    Parameters
    ----------
    path
        ``pt_inception-2015-12-05-6726825d.pth`` as published with pytorch-fid, or the same tensors
        as ``.safetensors``. None: the file that the environment variable
        NAPARI_TINCTURE_INCEPTION names.

    Returns
    -------
    Inception
        In evaluation mode, on the CPU.

    Raises
    ------
    InputError
        If no file is given, or it is not there.
    ModelError
        If it is damaged, contains code, or holds the weights of another network.
    """
    network = Inception()
    # Counters of training steps, which nothing here reads and old versions of torch did not write.
    counters = lambda key: key.endswith("num_batches_tracked")  # noqa: E731
    INCEPTION.fill(network, path, own=counters, check=_check_origin)
    return network


def _check_origin(state: dict[str, torch.Tensor], file: Path) -> None:
    classes = next(iter(state["fc.weight"].shape), 0) if "fc.weight" in state else None
    if classes == CLASSES:
        return
    found = "no layer 'fc.weight'" if classes is None else f"{classes} classes"
    hint = " (those of torchvision, whose features differ)" if classes == 1000 else ""
    raise ModelError(
        f"{file} has {found}{hint}; the FID Inception network has {CLASSES} classes. "
        f"{INCEPTION.get}."
    )


def check_dims(dims: int) -> Dims:
    """Check the length of features that is asked for.

    Raises
    ------
    InputError
        If no layer has it.
    """
    for known in get_args(Dims):
        if dims == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"Features of length {dims} do not exist; choose one of {get_args(Dims)}.")
