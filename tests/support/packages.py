"""Model packages as other programs write them, in a few lines."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

WEIGHTS = (torch.arange(18.0).reshape(2, 1, 3, 3) - 8) / 32
BIAS = torch.tensor([0.25, -0.5])
SOURCE = '''
from torch import nn

def make(width):
    """One convolution."""
    return nn.Conv2d(1, width, 3, padding=1)
'''


def convolved(image: np.ndarray) -> np.ndarray:
    """What the network of these packages gives, (b, 2, y, x), before its sigmoid."""
    values = torch.from_numpy(np.asarray(image, np.float32))
    return nn.functional.conv2d(values, WEIGHTS, BIAS, padding=1).numpy()


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def state() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": WEIGHTS, "bias": BIAS}, buffer)
    return buffer.getvalue()


def described(**changes: Any) -> dict[str, Any]:
    """A description of format 0.5: one channel in, two out, Python code for the state dict."""
    space = [{"type": "space", "id": a, "size": {"min": 8, "step": 1}} for a in "yx"]
    result = [
        {"type": "space", "id": a, "size": {"tensor_id": "raw", "axis_id": a}, "halo": 1}
        for a in "yx"
    ]
    names = {"type": "channel", "channel_names": ["cell", "border"]}
    return {
        "type": "model",
        "format_version": "0.5.4",
        "name": "two edges",
        "tags": ["instance-segmentation"],
        "inputs": [
            {
                "id": "raw",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["dna"]}, *space],
                "data": {"type": "float32"},
                "test_tensor": {"source": "in.npy"},
            }
        ],
        "outputs": [
            {
                "id": "maps",
                "axes": [{"type": "batch"}, names, *result],
                "data": {"type": "float32"},
                "test_tensor": {"source": "out.npy"},
                "postprocessing": [{"id": "sigmoid"}],
            }
        ],
        "weights": {
            "pytorch_state_dict": {
                "source": "w.pt",
                "pytorch_version": "2.6",
                "sha256": sha(state()),
                "architecture": {
                    "source": "net.py", "callable": "make", "kwargs": {"width": 2},
                },
            }
        },
        **changes,
    }  # fmt: skip


def files(described: dict[str, Any]) -> dict[str, bytes]:
    """All files of such a package."""
    image = np.random.default_rng(0).normal(size=(1, 1, 20, 24)).astype(np.float32)
    return {
        "rdf.yaml": yaml.safe_dump(described).encode(),
        "w.pt": state(),
        "net.py": SOURCE.encode(),
        "in.npy": npy(image),
        "out.npy": npy(sigmoid(convolved(image))),
    }


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    """Put files into a folder."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
