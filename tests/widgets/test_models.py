"""The Models panel in a real window: finding, trying, bringing, renaming and removing models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import FileServer, file_server
from packages import described, files, lay, sha
from panels import PATIENCE, cells, finish
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_tincture as nt
from napari_tincture.io import model_source
from napari_tincture.models.library import add_model
from napari_tincture.models.shipped import library_folder
from napari_tincture.widgets._export import ExportDialog
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._import_package import PackageDialog
from napari_tincture.widgets._model_row import ModelRow
from napari_tincture.widgets.models import ModelsPanel
from napari_tincture.worker.jobs import State


@pytest.fixture
def own(hub: Any) -> Iterator[Path]:
    """The library that the worker of the session knows; emptied afterwards."""
    library_folder().mkdir(parents=True, exist_ok=True)
    yield library_folder()
    shutil.rmtree(library_folder(), ignore_errors=True)


@pytest.fixture
def panel(viewer: Any, own: Path) -> ModelsPanel:
    panel = ModelsPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Models")
    return panel


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server({}) as server:
        yield server


def click(qtbot: Any, button: Any) -> None:
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def until(qtbot: Any, condition: Any) -> None:
    qtbot.waitUntil(condition, timeout=PATIENCE)


def ours(own: Path) -> list[str]:
    return sorted(path.stem for path in own.glob("*.safetensors"))


def test_models_are_found_by_words_and_kind_and_their_card_is_read(
    qtbot: Any, panel: ModelsPanel
) -> None:
    names = [card.name for card in nt.list_models()]
    assert panel.models.shown == names
    qtbot.keyClicks(panel.models.words, "fluorescence DAPI")
    assert "nuclei" in panel.models.shown
    assert len(panel.models.shown) < len(names)
    panel.models.words.clear()
    panel.models.kind.value = "synthesize"
    assert panel.models.shown == ["em-tissue", "nuclei-tissue"]
    text = panel.card_view.plain
    for piece in (
        "■ membrane = 1",
        "not for diagnosis",
        "CC BY 4.0",
        "MB",
        "em-tissue.safetensors",
    ):
        assert piece in text
    assert "#f58518" in panel.card_view.text.toHtml()
    assert panel.card_view.picture.isVisible()
    click(qtbot, panel.copy_button)
    assert QApplication.clipboard().text() == text
    panel.models.words.setText("no such words")
    assert (panel.models.name, panel.card_view.plain) == ("", "")
    assert not panel.open_button.isEnabled()
    panel.refresh()
    assert "No model is chosen" in panel.message.text()
    panel.models.choose("nuclei")
    assert panel.models.name == "nuclei", "choosing takes the filter back"


def test_every_model_has_a_card(panel: ModelsPanel) -> None:
    for name, card in panel.models.cards.items():
        panel.models.choose(name)
        text = panel.card_view.plain
        assert card.licence in text
        assert all(channel.name in text for channel in card.outputs)
        assert all(f"{value:.4g}" in text for value in card.figures.values())


def test_the_chosen_model_is_tried_on_what_is_on_screen(
    qtbot: Any, viewer: Any, panel: ModelsPanel, model_paths: dict[str, Path]
) -> None:
    add_model(model_paths["segment"], "finds-cells")
    until(qtbot, lambda: "finds-cells" in panel.models.shown)  # though nobody told the panel
    panel.models.choose("finds-cells")
    panel.refresh()
    assert not panel.runner.run_button.isEnabled()
    assert "Open an image" in panel.message.text()
    viewer.add_labels(np.zeros((40, 40), np.uint8), name="not an image")
    image = viewer.add_image(cells(side=200), name="cells", scale=(0.5, 0.5))
    camera = getattr(viewer, "scene", viewer).camera
    camera.zoom, camera.center = 16, (0, 50, 50)
    until(qtbot, panel.runner.run_button.isEnabled)
    panel.refresh()
    assert panel.message.text().startswith("Can be tried on cells: ")
    click(qtbot, panel.runner.run_button)
    finish(qtbot, panel._job)
    until(qtbot, lambda: len(viewer.layers) == 3)
    region = panel._job.settings.region
    (y0, y1), (x0, x1) = region["y"], region["x"]
    assert 0 < y0 < y1 < 200
    found = viewer.layers[-1]
    assert found.data.shape == (y1 - y0, x1 - x0)
    np.testing.assert_allclose(found.translate, (y0 * 0.5, x0 * 0.5))
    expected = nt.segment(image, "finds-cells", region=region)
    np.testing.assert_array_equal(found.data > 0, np.asarray(expected) > 0)
    assert "Done" in panel.runner.status.text()


def test_what_does_not_fit_is_told_and_its_panel_has_the_choices(
    qtbot: Any, viewer: Any, own: Path, model_paths: dict[str, Path]
) -> None:
    from napari_tincture.widgets.stain import StainPanel

    add_model(model_paths["planes"], "three-planes")
    viewer.add_image(cells(), name="cells")
    _, panel = viewer.window.add_plugin_dock_widget("napari-tincture", "Models")
    panel.models.choose("three-planes")
    panel.refresh()
    assert not panel.runner.run_button.isEnabled()
    assert "takes 3 channels" in panel.message.text()
    click(qtbot, panel.open_button)
    (other,) = viewer.window._qt_window.findChildren(StainPanel)
    assert (other.model.name, other.region.value) == ("three-planes", "viewport")


def test_own_models_are_renamed_and_removed_on_the_spot(
    qtbot: Any, panel: ModelsPanel, own: Path, model_paths: dict[str, Path]
) -> None:
    add_model(model_paths["stain"], "mine")
    panel.models.look_again()
    other = ModelRow("stain")
    qtbot.addWidget(other)
    panel._hub.models_changed.connect(other.look_again)

    panel.models.choose("nuclei")
    for button in (panel.own.rename_button, panel.own.remove_button):
        assert not button.isEnabled()
        assert "nuclei came with the package" in button.toolTip()
    panel.models.choose("mine")
    click(qtbot, panel.own.rename_button)
    panel.own.field.setText("nuclei")
    qtbot.keyClick(panel.own.field, Qt.Key.Key_Return)
    assert panel.own.question.level is Level.PROBLEM
    assert "another model" in panel.own.question.text()
    panel.own.field.setText("yours")
    click(qtbot, panel.own.yes)
    assert panel.models.name == "yours"
    assert not panel.own.field.isVisible()
    assert "yours" in [item.value for item in other.items]
    assert nt.load_model("yours").card.name == "yours"

    click(qtbot, panel.own.remove_button)
    assert "yours" in panel.own.question.text()
    click(qtbot, panel.own.no)
    assert ours(own) == ["yours"]
    click(qtbot, panel.own.remove_button)
    panel.models.choose("nuclei")  # what was asked is about another model
    assert not panel.own.yes.isVisible()
    panel.models.choose("yours")
    click(qtbot, panel.own.remove_button)
    click(qtbot, panel.own.yes)
    assert ours(own) == []
    assert "yours" not in [*panel.models.shown, *(item.value for item in other.items)]


def test_files_are_chosen_typed_or_dropped(
    qtbot: Any, panel: ModelsPanel, own: Path, model_paths: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    choose = lambda *_, **__: (str(model_paths["stain"]), "")  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    click(qtbot, panel.source.browse)
    until(qtbot, lambda: panel.models.name == "grey")
    assert "your own" in panel.card_view.plain

    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(model_paths["sized"]))])
    action, buttons = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    modifiers = Qt.KeyboardModifier.NoModifier
    panel.dropEvent(QDropEvent(QPointF(1, 1), action, mime, buttons, modifiers))
    until(qtbot, lambda: panel.models.name == "sized")
    assert "0.5 µm" in panel.card_view.plain

    for text in (str(tmp_path / "none.pth"), "nonsense"):
        panel.source.field.setText(text)
        click(qtbot, panel.source.button)
        assert panel.source.message.level is Level.PROBLEM
        assert text in panel.source.message.text()
    (tmp_path / "bad.safetensors").write_bytes(b"12345")
    panel.source.bring(str(tmp_path / "bad.safetensors"))
    assert panel.source.message.level is Level.PROBLEM
    assert ours(own) == ["grey", "sized"]


def test_a_model_is_downloaded_compared_and_cancelled(
    qtbot: Any, panel: ModelsPanel, own: Path, model_paths: dict[str, Path], server: FileServer
) -> None:
    content = model_paths["stain"].read_bytes()
    server.files["/x.safetensors"] = content
    url = f"{server.url}/x.safetensors"
    assert not panel.source.sha256.isVisible()
    panel.source.field.setText(url)
    assert panel.source.sha256.isVisible()
    panel.source.sha256.setText("0" * 64)
    click(qtbot, panel.source.button)
    assert panel.source.cancel_button.isVisible()
    until(qtbot, lambda: panel.source.message.level is Level.PROBLEM)
    assert sha(content) in panel.source.message.text()
    assert ours(own) == []

    panel.source.sha256.setText(sha(content))
    qtbot.keyClick(panel.source.field, Qt.Key.Key_Return)
    until(qtbot, lambda: panel.models.name == "grey")
    assert url in panel.card_view.plain
    assert sha(content) in panel.card_view.plain
    assert not list(own.glob("downloads/*"))

    panel.models.choose("nuclei")
    asked = len(server.asked)
    click(qtbot, panel.source.button)
    until(qtbot, lambda: panel.models.name == "grey")
    assert "the very same" in panel.source.message.text()
    assert len(server.asked) == asked
    assert ours(own) == ["grey"]

    server.files["/large.zip"] = bytes(20_000_000)
    panel.source.sha256.clear()
    panel.source.field.setText(f"{server.url}/large.zip")
    click(qtbot, panel.source.button)
    panel.source.cancel_button.click()
    until(qtbot, lambda: not panel.source.loading.running)
    assert "Cancelled" in panel.source.message.text()
    assert panel.source.button.isEnabled()


def test_a_package_of_an_id_shows_its_programs_first(
    qtbot: Any, panel: ModelsPanel, own: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = files(described())
    server.files = {f"/affable-shark/{name}": data for name, data in content.items()}
    place = f"{server.url}/{{id}}/rdf.yaml"
    monkeypatch.setitem(model_source.BIOIMAGE_IO, "description", place)
    panel.source.field.setText("affable-shark")
    click(qtbot, panel.source.button)
    until(qtbot, lambda: len(panel.findChildren(PackageDialog)) == 1)
    (dialog,) = panel.findChildren(PackageDialog)
    until(qtbot, dialog.import_button.isEnabled)
    assert "this panel" not in dialog.message.text()
    (box,) = dialog.programs.boxes.values()
    assert not box.isChecked()
    box.setChecked(True)
    click(qtbot, dialog.import_button)
    until(qtbot, lambda: panel.models.name == "two-edges")
    assert nt.load_model("two-edges").card.origin["url"] == "affable-shark"
    assert not list(own.glob("downloads/*"))


def test_without_a_connection_the_panel_says_what_to_do(
    qtbot: Any, panel: ModelsPanel, own: Path
) -> None:
    with file_server({}) as server:
        url = f"{server.url}/m/x.zip"
    panel.source.bring(url)
    until(qtbot, lambda: panel.source.message.level is Level.PROBLEM)
    text = panel.source.message.text()
    assert "cannot be reached" in text
    assert f"get it from {url} on another computer" in text
    assert "choose it with …" in text


def test_a_package_is_written_of_what_is_listed(
    qtbot: Any, viewer: Any, panel: ModelsPanel, own: Path, model_paths: dict[str, Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    add_model(model_paths["stain"], "mine")
    panel.models.look_again()
    panel.models.choose("mine")
    click(qtbot, panel.export_button)
    assert "Open an image" in panel.message.text()
    viewer.add_image(cells(side=64), name="cells")
    click(qtbot, panel.export_button)
    (dialog,) = panel.findChildren(ExportDialog)
    dialog.authors.setText("A. Nonymous")
    dialog.licence.setCurrentText("CC0-1.0")
    dialog.path.setText(str(tmp_path / "mine.zip"))
    click(qtbot, dialog.export_button)
    until(qtbot, lambda: dialog.job is not None and dialog.job.state.final)
    assert dialog.job.state is State.FINISHED, dialog.job.error
    assert nt.inspect_package(tmp_path / "mine.zip").name == "mine model"
    dialog.reject()


def test_a_folder_is_brought_as_a_package(qtbot: Any, panel: ModelsPanel, tmp_path: Path) -> None:
    folder = lay(tmp_path / "p", files(described()))
    panel.source.bring(str(folder))
    (dialog,) = panel.findChildren(PackageDialog)
    until(qtbot, dialog.import_button.isEnabled)
    dialog.reject()
    assert folder.is_dir()


def test_a_panel_that_was_closed_is_as_it_was(viewer: Any, panel: ModelsPanel) -> None:
    panel.models.kind.value = "stain"
    panel.models.choose("phase-to-dapi")
    panel.refresh()
    again = ModelsPanel(viewer)
    viewer.window.add_dock_widget(again, name="again")
    assert (again.models.kind.value, again.models.name) == ("stain", "phase-to-dapi")
