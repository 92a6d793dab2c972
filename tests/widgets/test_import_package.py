"""Model packages, from their files to a choice of a panel, and back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages import described, files, lay
from panels import cells, run
from qtpy.QtWidgets import QFileDialog, QPlainTextEdit

import napari_tincture as nt
from napari_tincture.models.shipped import library_folder
from napari_tincture.widgets._export import ExportDialog
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._import_package import PackageDialog
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.worker.jobs import State

PATIENCE = 90_000
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True)
def _own_library(hub: JobHub) -> Iterator[None]:
    yield
    shutil.rmtree(library_folder(), ignore_errors=True)


def without_code(folder: Path) -> Path:
    """A package whose network is ONNX, which is data."""
    plain = described(weights={"onnx": {"source": "w.onnx", "opset_version": 17}}, license="MIT")
    del plain["outputs"][0]["postprocessing"]  # the graph ends in a sigmoid
    return lay(folder, {**files(plain), "w.onnx": (DATA / "conv_sigmoid.onnx").read_bytes()})


def in_library() -> list[str]:
    """Models that come from the package with code."""
    found = library_folder().glob("*.safetensors")
    return [path.stem for path in found if path.stem.startswith(("coded", "two-edges"))]


def opened(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch, panel: SegmentPanel, path: Path
) -> PackageDialog:
    """The dialog that Import… opens for a file."""
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    panel.model.importing.emit()
    (dialog,) = panel.findChildren(PackageDialog)
    ready(qtbot, dialog)
    return dialog


def ready(qtbot: Any, dialog: PackageDialog) -> None:
    qtbot.waitUntil(dialog.import_button.isEnabled, timeout=PATIENCE)


def test_a_package_without_code_goes_in_and_a_model_comes_out_as_one(
    qtbot: Any, viewer: Any, open_panel: Callable[..., Any], model_paths: dict[str, Path],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip("onnxruntime")
    layer = viewer.add_image(cells(side=40).astype(np.float32), name="cells")
    panel = open_panel(SegmentPanel, model_paths["segment"])
    folder = without_code(tmp_path / "p")
    dialog = opened(qtbot, monkeypatch, panel, folder / "rdf.yaml")
    assert not dialog.programs.boxes
    assert dialog.message.level is Level.READY
    dialog.name.setText("edges of two kinds")
    dialog.import_button.click()
    qtbot.waitUntil(lambda: panel.model.name == "edges-of-two-kinds", timeout=PATIENCE)
    assert panel.card.licence == "MIT"
    panel.result.value = "classes"
    (found,) = run(qtbot, viewer, panel)
    expected = nt.segment(layer, nt.import_package(folder), output="classes")
    np.testing.assert_array_equal(found.data, np.asarray(expected))

    panel.model.choose(str(model_paths["segment"]))
    panel.model.exporting.emit()
    (export,) = panel.findChildren(ExportDialog)
    export.authors.setText("A. Maker; B. Maker")
    export.licence.setCurrentText("CC0-1.0")
    export.path.setText(str(tmp_path / "objects"))
    export.export_button.click()
    qtbot.waitUntil(lambda: export.job.state.final, timeout=PATIENCE)
    assert export.job.state is State.FINISHED, export.job.error
    qtbot.waitUntil(lambda: export.message.level is Level.READY, timeout=PATIENCE)
    assert export.message.text() == f"Written: {tmp_path / 'objects.zip'}"
    export.close()
    written = nt.inspect_package(tmp_path / "objects.zip")
    assert (written.name, written.licence) == ("objects", "CC0-1.0")


def test_code_is_refused_until_its_box_is_ticked(
    qtbot: Any, viewer: Any, open_panel: Callable[..., Any], model_paths: dict[str, Path],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    panel = open_panel(SegmentPanel, model_paths["segment"])
    content = files(described())
    archive = shutil.make_archive(str(tmp_path / "p"), "zip", lay(tmp_path / "p", content))
    dialog = opened(qtbot, monkeypatch, panel, Path(archive))
    (program,) = nt.inspect_package(archive).programs
    assert list(dialog.programs.boxes) == [program.sha256]
    assert dialog.findChild(QPlainTextEdit).toPlainText() == content["net.py"].decode()
    dialog.name.setText("coded")
    dialog.import_button.click()
    ready(qtbot, dialog)
    assert "tick 'Run this code'" in dialog.message.text()
    assert dialog.name.text() == "coded"
    assert not in_library()
    dialog.programs.boxes[program.sha256].click()
    dialog.import_button.click()
    qtbot.waitUntil(lambda: panel.model.name == "coded", timeout=PATIENCE)

    # What was agreed to for one model is asked again for the next.
    again = PackageDialog(Path(archive), panel._hub, "stain")
    qtbot.addWidget(again)
    ready(qtbot, again)
    assert "this panel will not offer it" in again.message.text()
    again.import_button.click()
    ready(qtbot, again)
    assert again.message.level is Level.PROBLEM
    assert in_library() == ["coded"]


def test_what_is_no_package_is_told_in_the_dialog(hub: JobHub, qtbot: Any, tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"no zip")
    dialog = PackageDialog(tmp_path / "p.zip", hub, "segment")
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.message.level is Level.PROBLEM, timeout=PATIENCE)
    assert "is no model package" in dialog.message.text()
    assert not dialog.import_button.isEnabled()
