"""A miniature of CaDIS's folders: small frames of a few videos, and label maps with its classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.io import imsave

VIDEOS = {1: 2, 2: 1, 3: 2, 5: 1}
"""Frames of each video: 1 and 3 train, 5 validates, 2 tests."""
CLASSES = 36
SIZE = (72, 128)
PATCH = 8


def write_cadis(root: Path) -> Path:
    """Make ``CaDISv2/VideoNN/{Images,Labels}/VideoN_frameNNNNNN.png`` in a folder."""
    for video, frames in VIDEOS.items():
        folder = root / "CaDISv2" / f"Video{video:02d}"
        for frame in range(frames):
            rng = np.random.default_rng([video, frame])
            name = f"Video{video}_frame{90 + 30 * frame:06d}.png"
            labels = frame_labels(rng)
            # Brightness is of the class, colour of the video.
            tint = np.array([video % 2, video % 3 / 2, video % 4 / 3]) * 80
            image = labels[..., None] * 4.0 + tint + rng.normal(0, 3, (*SIZE, 3))
            for kind, values in (("Images", image.clip(0, 255)), ("Labels", labels)):
                (folder / kind).mkdir(parents=True, exist_ok=True)
                imsave(folder / kind / name, values.astype(np.uint8), check_contrast=False)
    return root


def frame_labels(rng: np.random.Generator) -> np.ndarray:
    """A mosaic (y, x) that shows every class."""
    shape = tuple(side // PATCH for side in SIZE)
    count = shape[0] * shape[1]
    values = np.concatenate([np.arange(CLASSES), rng.integers(0, CLASSES, count - CLASSES)])
    tiles = rng.permutation(values).reshape(shape)
    return tiles.repeat(PATCH, 0).repeat(PATCH, 1).astype(np.uint8)
