"""Shares of debris that a model stains, for models of which they are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models import model_of
from networks import Fn
from PIL import Image

from napari_tincture.errors import InputError
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.training.blood.figures import debris_figures

SIDE = 60
PIECES = (slice(5, 15), slice(5, 15)), (slice(30, 50), slice(20, 50))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two test images with two pieces of debris each, the larger one lighter; targets are grey."""
    test = tmp_path / "test"
    for side in ("source", "target", "debris"):
        (test / side).mkdir(parents=True)
    grey = np.full((SIDE, SIDE), 230, np.uint8)
    debris = np.zeros((SIDE, SIDE), np.uint8)
    for value, piece in zip((40, 90), PIECES, strict=True):
        grey[piece], debris[piece] = value, 255
    for name in ("a.png", "b.png"):
        Image.fromarray(grey).save(test / "source" / name)
        Image.fromarray(np.stack([grey] * 3, -1)).save(test / "target" / name)
        Image.fromarray(debris).save(test / "debris" / name)
    return tmp_path


def stainer(below: float) -> Model:
    """Purple where the image is darker than this, grey as it was elsewhere."""
    purple = torch.tensor([0.3, -0.6, 0.5])[None, :, None, None]

    def stain(_: Fn, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x < below / 127.5 - 1, purple, x)

    values = Normalisation("dtype", target=(-1.0, 1.0))
    return model_of(
        Fn(stain), 3, 3, name="stainer", normalisation=values, target_normalisation=values,
        output_range=(-1.0, 1.0), rgb_output=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("below", "pixels", "objects"), [(10, 0.0, 0.0), (60, 100 / 700, 0.5), (210, 1.0, 1.0)]
)
def test_shares_are_those_of_the_known_debris(
    folder: Path, below: float, pixels: float, objects: float
) -> None:
    figures = debris_figures(stainer(below), folder)
    assert figures["debris pixels stained"] == pytest.approx(pixels)
    assert figures["debris objects stained"] == objects
    assert figures["target debris pixels stained"] == 0
    assert figures["real field debris objects"] == 4
    assert figures["real field debris objects stained"] == (1 if below == 210 else 0)


def test_without_known_debris_there_are_no_figures(folder: Path) -> None:
    for path in (folder / "test" / "debris").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no image with debris"):
        debris_figures(stainer(60), folder)
