"""A denoiser small enough for tests, with weights of a seed, that counts what it is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.drawing import Pen
from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.diffusion.sampling import find_sampler
from napari_tincture.diffusion.subjects import LabelMap
from napari_tincture.models.denoising import Denoising

CARD = Denoising(window=32, overlap=8)


class SmallDenoiser(nn.Module):
    """Sees four pixels far, is told of time, condition and perhaps style, and pads with zeros."""

    def __init__(self, channels: int = 2, told: int = 3, outputs: int | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(channels + told, 8, 5, padding=2)
            self.time = nn.Linear(1, 8)
            self.last = nn.Conv2d(8, outputs or channels, 5, padding=2)
        self.eval()
        self.windows, self.calls = 0, 0
        self.given: list[tuple[Tensor, ...]] = []

    def forward(self, x: Tensor, time: Tensor, condition: Tensor, *style: Tensor) -> Tensor:
        self.windows += len(x)
        self.calls += 1
        self.given = [*self.given[-1:], (x, time, condition, *style)]
        found = self.first(torch.cat([x, condition], dim=1))
        found = found + self.time(time[:, None].float() / 1000)[:, :, None, None]
        if style:
            found = found + style[0].reshape(len(x), -1).sum(1)[:, None, None, None]
        return self.last(torch.nn.functional.silu(found))


class Heard:
    """Remembers progress."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.told.append((done, total))


class StopsAt:
    """Ends a run at its n-th question."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self) -> None:
        from napari_tincture.errors import Cancelled

        self.left -= 1
        if self.left < 0:
            raise Cancelled("The job was cancelled.")


def subject(height: int, width: int) -> LabelMap:
    """Three classes in a pattern."""
    y, x = np.mgrid[:height, :width]
    return LabelMap(((y // 9 + x // 7) % 3).astype(np.int16), 3)


def pen_of(card: Denoising = CARD, name: str = "ddim", **settings: Any) -> Pen:
    """A pen with a small denoiser, of two channels and stride 4."""
    learned = 2 if card.variance == "learned" else 1
    asking = Asking(SmallDenoiser(outputs=2 * learned), card)
    given = {"steps": 4, "noise": NoiseField(5), "channels": 2, "stride": 4} | settings
    return Pen(asking, find_sampler(name), **given)
