"""Random draws that depend on the step and on nothing before it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int, step: int, rank: int, device: torch.device) -> Iterator[None]:
    """Seed what torch, numpy and Python draw from by default; afterwards it is as it was."""
    devices = []
    if device.type == "cuda":
        devices = [torch.cuda.current_device() if device.index is None else device.index]
    # numpy's old global state is what code that passes no generator draws from.
    others = random.getstate(), np.random.get_state()  # noqa: NPY002
    # torch's generator on the CPU looks at 32 bits.
    value = seed * 1_000_003 + step + rank * 2_654_435_761
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(value)
        random.seed(value)
        np.random.seed(value % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(others[0])
            np.random.set_state(others[1])  # noqa: NPY002
