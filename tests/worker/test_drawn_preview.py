"""Previews of trainings that make images of label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_tincture as nt
from napari_tincture.raster import Raster
from napari_tincture.worker.steering import Steering
from napari_tincture.worker.train_settings import Side, TrainSettings
from napari_tincture.worker.training import train_for_panel

CHANGES = {"steps": 2, "crop": 32, "save_every": 2, "validate_every": 2, "batch": 2}
REGION = {"y": [3, 51], "x": [20, 90]}


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_TINCTURE_MODELS", str(tmp_path / "models"))


@pytest.fixture
def pair() -> list[Raster]:
    """An image, and its map with the classes 2 and 5, and 0 where nobody has painted."""
    labels = np.repeat(np.repeat([[2, 5, 2], [5, 2, 0]], 48, 0), 48, 1).astype(np.uint8)
    image = np.where(labels == 2, 200, 60)[..., None] + np.arange(3, dtype=np.uint8)
    shown = Raster.from_array(np.moveaxis(image, -1, 0).astype(np.uint8), "cyx", rgb=True)
    return [shown, Raster.from_array(labels, "yx", name="map", kind="labels")]


def previews(family: str, sources: list[Raster], source: int) -> tuple[list[Any], list[str]]:
    """Images and warnings of a training of two steps."""
    sides = {"pair_a": Side(images=(0,)), "pair_b": Side(images=(1,))}
    changes = {**CHANGES, "options": {"unlabelled": 0}}
    settings = TrainSettings(
        name="mine", family=family, size="tiny", sides=sides, changes=changes, preview_every=2
    )
    steering, images, said = Steering(), [], []
    steering.view = {"number": 1, "source": source, "region": REGION}

    def send(kind: str, payload: np.ndarray | None = None, **fields: Any) -> None:
        if kind == "preview":
            assert fields["rgb"]
            assert fields["limits"] == [0.0, 255.0]
            images.append(payload)
        if kind == "warning":
            said.append(fields["message"])

    train_for_panel(settings, sources, steering, send, lambda view: sources[view["source"]])
    return images, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "further"), [("spade", {}), ("diffusion", {"sampler": "dpm_solver", "steps": 8})]
)
def test_a_preview_is_what_the_model_draws_of_the_view(
    family: str, further: dict[str, Any], pair: list[Raster]
) -> None:
    images, said = previews(family, pair, 1)
    assert len(images) == 2, said  # after the first step, for the view is new, and the second
    part = pair[1].crop({axis: slice(*edges) for axis, edges in REGION.items()})
    classes = {"classes": {0: None}}
    expected = nt.synthesize(part, "mine", seed=0, device="cpu", **classes, **further)
    assert expected.axes == "cyx"
    np.testing.assert_array_equal(images[-1], np.asarray(expected))


def test_an_image_is_no_map(pair: list[Raster]) -> None:
    grey = Raster.from_array(np.zeros((96, 144), np.float32), "yx", name="photo")
    images, said = previews("spade", [*pair, grey], 2)
    assert not images
    assert said
    assert "Choose a Labels layer" in said[0]
