"""A published checkpoint, from its file to a choice of the Stain panel."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_files import made, write

import napari_tincture as nt
from napari_tincture.models.shipped import library_folder
from napari_tincture.widgets._import import ImportDialog, open_import
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._model_row import ModelRow
from napari_tincture.worker.jobs import State

PATIENCE = 90_000
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def library(hub: JobHub) -> Iterator[JobHub]:
    """The worker of the session; the library of its models is emptied afterwards."""
    yield hub
    shutil.rmtree(library_folder(), ignore_errors=True)


def shown(qtbot: Any, dialog: ImportDialog) -> None:
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.import_button.isEnabled, timeout=PATIENCE)


def test_a_checkpoint_becomes_the_chosen_model(library: JobHub, qtbot: Any, tmp_path: Path) -> None:
    networks = {role: made("resnet_generator", ngf=2, n_blocks=1) for role in ("G_A", "G_B")}
    networks["D_A"] = made("patch", "discriminators", ndf=2)
    folder = write(tmp_path / "smears", networks)
    row = ModelRow("stain")
    qtbot.addWidget(row)
    dialog = open_import(folder / "latest_net_G_B.pth", row, library)
    shown(qtbot, dialog)
    for piece in ("CycleGAN", "n_blocks 1", "backward, discriminator", "latest_net_D_A.pth"):
        assert piece in dialog.about.text()
    assert dialog.direction.value == "BtoA"
    dialog.name.setText("wright stain")
    dialog.pixel_size.setValue(0.25)
    dialog.import_button.click()
    qtbot.waitUntil(lambda: row.name == "wright-stain", timeout=PATIENCE)
    assert row.card == nt.load_model("wright-stain").card
    assert row.card.pixel_size == 0.25
    again = nt.load_model("wright-stain").network.state_dict()
    for key, value in networks["G_B"].state_dict().items():
        assert torch.equal(again[key], value)
    image = np.random.default_rng(0).integers(0, 255, (40, 44, 3), np.uint8)
    job = library.client.submit(
        _settings("wright-stain"), [nt.open_image(image, axes="yxc", scale={"y": 1, "x": 1})]
    )
    qtbot.waitUntil(lambda: job.state.final, timeout=PATIENCE)
    assert job.state is State.FINISHED, job.error


def _settings(model: str) -> Any:
    from napari_tincture.worker.settings import JobSettings

    return JobSettings(task="stain", model=model)


def test_answers_change_what_is_found(library: JobHub, qtbot: Any, tmp_path: Path) -> None:
    network = made("pix2pixhd", ngf=2, n_blocks_global=1, in_channels=4)
    folder = write(tmp_path / "run", {"G": network})
    dialog = ImportDialog(folder / "latest_net_G.pth", library, "stain")
    shown(qtbot, dialog)
    assert dialog.found is not None
    assert dialog.found.task == "synthesize"
    assert "this panel will not offer it" in dialog.message.text()
    dialog.fields["label_nc"].setValue(4)  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: len(dialog.found.inputs) == 4 and dialog.import_button.isEnabled())
    assert [channel.name for channel in dialog.found.inputs][-1] == "class 3"
    dialog.fields["label_nc"].setValue(9)  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: "takes 4 channels" in dialog.message.text(), timeout=PATIENCE)
    assert not dialog.import_button.isEnabled()
    dialog.reject()


def test_problems_are_shown_in_the_dialog(library: JobHub, qtbot: Any, tmp_path: Path) -> None:
    torch.save({"layer1.0.conv1.weight": torch.zeros(4, 4, 3, 3)}, tmp_path / "net.pth")
    dialog = ImportDialog(tmp_path / "net.pth", library, "stain")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: "torchvision ResNet" in dialog.message.text(), timeout=PATIENCE)
    assert not dialog.import_button.isEnabled()


def test_a_worker_that_ends_is_told_of(qtbot: Any) -> None:
    heard: list[Any] = []
    hub = JobHub()
    hub.ask("inspect", heard.append, path=str(DATA / "cyclegan_tiny_resnet9"), options={})
    hub.client.close()
    qtbot.waitUntil(lambda: len(heard) == 1, timeout=PATIENCE)
    assert isinstance(heard[0].error, nt.WorkerError)
