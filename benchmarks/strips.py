"""Drawing a plane strip by strip beside drawing it at once: time, memory, and the same bits.

``python -m benchmarks --only strips``. The denoiser is one convolution, so that what is measured is
the drawing; each way runs in a process of its own, whose memory is not another's.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.verdict import print_verdict

HEIGHT, WIDTH, STEPS, WINDOW, OVERLAP = 12288, 2048, 4, 256, 48
MIB = 2**20


def print_strips() -> None:
    """Print what was measured beside the limits."""
    print(f"## Drawing {HEIGHT} × {WIDTH} px in {STEPS} steps, strip by strip and at once\n")
    once, strips = (_measured(most) for most in (None, 1))
    for name, found in (("at once", once), ("strip by strip", strips)):
        print(f"- {name}: {found['seconds']:.1f} s, {found['bytes'] / MIB:.0f} MiB")
    print_verdict(
        "strips",
        {
            "strip by strip / at once, seconds": strips["seconds"] / once["seconds"],
            "strip by strip / at once, memory": strips["bytes"] / once["bytes"],
            "difference of sums": abs(strips["sum"] - once["sum"]),
        },
    )


def _measured(most: int | None) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_draw, args=(most, there))
    process.start()
    found: dict[str, float] = json.loads(here.recv())
    process.join()
    return found


def _draw(most: int | None, answer: Connection) -> None:
    import torch

    from napari_tincture.diffusion.asking import Asking
    from napari_tincture.diffusion.drawing import Pen
    from napari_tincture.diffusion.noise import NoiseField
    from napari_tincture.diffusion.sampling import find_sampler
    from napari_tincture.diffusion.subjects import LabelMap
    from napari_tincture.models.denoising import Denoising

    class Convolution(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Conv2d(4, 1, 5, padding=2)

        def forward(
            self, x: torch.Tensor, _: torch.Tensor, condition: torch.Tensor
        ) -> torch.Tensor:
            found: torch.Tensor = self.layer(torch.cat([x, condition], 1))
            return found

    asking = Asking(Convolution().eval(), Denoising(window=WINDOW, overlap=OVERLAP))
    sampler = find_sampler("dpm_solver")
    pen = Pen(asking, sampler, STEPS, NoiseField(0), channels=1, stride=4, most=most)
    labels = LabelMap(np.zeros((HEIGHT, WIDTH), np.int16), 3)
    peak, start = _watched(), time.perf_counter()
    image = pen.draw(labels).image
    seconds = time.perf_counter() - start
    found = {"seconds": seconds, "bytes": peak[-1] - peak[0], "sum": float(image.double().sum())}
    answer.send(json.dumps(found))


def _watched() -> list[int]:
    """Memory in bytes that no file stands for: at first, and the most since."""
    found = [_anonymous()]
    found.append(found[0])

    def watch() -> None:
        while True:
            found[1] = max(found[1], _anonymous())
            time.sleep(0.01)

    threading.Thread(target=watch, daemon=True).start()
    return found


def _anonymous() -> int:
    if sys.platform != "linux":
        import psutil

        return int(psutil.Process().memory_info().rss)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
