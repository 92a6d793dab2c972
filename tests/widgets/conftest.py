"""A napari window, two tiny models and a hub with its own worker for the tests of panels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from napari_tincture.widgets import _jobs, _memory
from napari_tincture.widgets._jobs import JobHub

PATIENCE = 90_000
"""Milliseconds until a test gives up waiting."""


@pytest.fixture(scope="session")
def model_paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models with random weights: they need no sense, only pixels to compare."""
    import torch

    from napari_tincture.models import Channel, Model, ModelCard, Normalisation
    from napari_tincture.models.registry import build_network

    folder = tmp_path_factory.mktemp("models")
    normal = Normalisation("percentile", 1.0, 99.0)

    def save(name: str, task: str, inputs: int, outputs: int, seed: int = 3, **fields: Any) -> Path:
        torch.manual_seed(seed)
        options = {
            "in_channels": inputs, "out_channels": outputs, "depth": 2, "width": 4,
            "padded": True, "head": "sigmoid", "dropout": 0.0,
        }  # fmt: skip
        card = ModelCard(
            name=name, task=task, architecture="unet", options=options, normalisation=normal,
            inputs=tuple(Channel(f"in_{i}") for i in range(inputs)),
            outputs=tuple(Channel(f"out_{i}") for i in range(outputs)),
            description="A network with random weights, for tests.", **fields,
        )  # fmt: skip
        return Model(build_network("unet", options), card).save(folder / f"{name}.safetensors")

    return {
        "stain": save("grey", "stain", 1, 1),
        "rgb": save("colour", "stain", 3, 3, rgb_output=True),
        "planes": save("focus", "stain", 3, 2),
        "sized": save("sized", "stain", 1, 1, pixel_size=0.5),
        # These weights find objects in the tests' images.
        "segment": save("objects", "segment", 1, 3, 0, instances={"largest": 20, "min_size": 4}),
    }


@pytest.fixture(scope="session")
def shared_hub(qapp: Any) -> Iterator[JobHub]:
    hub = JobHub()
    yield hub
    hub.client.close()
    hub.trainer.close()
    hub.teacher.close()


@pytest.fixture
def hub(shared_hub: JobHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobHub]:
    """The hub of the session; its worker stays warm between tests."""
    monkeypatch.setattr(_jobs, "_HUBS", [shared_hub])
    _memory.forget()
    shared_hub.open_panel(0)
    yield shared_hub
    shared_hub._panels.discard(0)


@pytest.fixture(scope="module")
def fake_hub(qapp: Any) -> Iterator[JobHub]:
    """A hub whose worker runs fake tasks, one for every kind of end."""
    own = JobHub((sys.executable, str(Path(__file__).parents[1] / "worker" / "fake_worker.py")))
    yield own
    own.client.close()


@pytest.fixture
def viewer(qtbot: Any, hub: JobHub) -> Iterator[Any]:
    with _window(qtbot) as viewer:
        yield viewer


@pytest.fixture
def plain_viewer(qtbot: Any) -> Iterator[Any]:
    """A window whose panels remember nothing, without a worker."""
    _memory.forget()
    with _window(qtbot) as viewer:
        yield viewer


@contextmanager
def _window(qtbot: Any) -> Iterator[Any]:
    import napari

    viewer = napari.Viewer(show=True)
    qtbot.waitExposed(viewer.window._qt_window)
    yield viewer
    viewer.close()


@pytest.fixture
def open_panel(viewer: Any) -> Callable[..., Any]:
    """Open a panel in the window, with a model."""

    def open_panel(panel_class: type, model: Path, **choices: Any) -> Any:
        panel = panel_class(viewer)
        viewer.window.add_dock_widget(panel, name=panel_class.__name__)
        panel.model.choose(str(model))
        for name, value in choices.items():
            getattr(panel, name).value = value
        panel.refresh()
        return panel

    return open_panel


@pytest.fixture(scope="session")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weight file of a denoiser of label maps."""
    from painters import denoiser

    return denoiser().save(tmp_path_factory.mktemp("painter") / "painter.safetensors")
