"""Comparing from the first layer to the report, in a real window, as a person does it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog
from scipy.ndimage import gaussian_filter, label, shift

import napari_tincture as nt
from napari_tincture.regrid import pixel_map
from napari_tincture.widgets import _map_layers
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.compare import ComparePanel

PATIENCE = 60_000
LEFT = Qt.MouseButton.LeftButton
OFF = (4.3, -2.6)
PLACED = {"scale": (0.5, 0.25), "translate": (7, -3), "units": ("um", "um"), "rotate": 20}
Open = Callable[[], Any]


def tissue() -> np.ndarray:
    """A texture of several sizes, (320, 360), 0 … 1."""
    rng = np.random.default_rng(5)
    fine, coarse = (gaussian_filter(rng.normal(size=(320, 360)), s) for s in (1.5, 7))
    image = fine / fine.std() + 2 * coarse / coarse.std()
    return ((image - image.min()) / np.ptp(image)).astype(np.float64)


def as_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint(255 * image.clip(0, 1)).astype(np.uint8)


@pytest.fixture
def viewer(plain_viewer: Any) -> Any:
    return plain_viewer


@pytest.fixture
def layers(viewer: Any) -> dict[str, Any]:
    """Three stains, one of them shifted, one broken in a place, and their reference."""
    plain = tissue()
    broken = plain.copy()
    broken[250:300, 300:350] = 0.5
    stains = {
        "paler": 0.9 * plain,
        "broken": broken,
        "virtual": shift(plain, OFF, order=3, mode="nearest"),
        "real": plain,
    }
    return {
        name: viewer.add_image(as_uint8(data), name=name, **PLACED) for name, data in stains.items()
    }


@pytest.fixture
def open_panel(viewer: Any) -> Open:
    def open_panel() -> Any:
        panel = ComparePanel(viewer)
        viewer.window.add_dock_widget(panel, name="Compare")
        return panel

    return open_panel


def press(qtbot: Any, panel: Any, button: Any) -> None:
    """Click a button and wait until all is done that it starts."""
    panel.refresh()
    assert button.isEnabled(), panel.message.text()
    panel.form.parent().parent().ensureWidgetVisible(button)
    qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(
        lambda: not (panel.comparing.running or panel.checking.running), timeout=PATIENCE
    )
    assert panel.runner.status.level is not Level.PROBLEM, panel.runner.status.text()


def column(panel: Any, name: str) -> list[str]:
    """What a column of the table shows, from top to bottom."""
    model = panel.result.model
    number = model.columns.index(name)
    return [model.data(model.index(row, number)) for row in range(model.rowCount())]


def click_header(qtbot: Any, panel: Any, name: str) -> None:
    table = panel.result.table
    number = panel.result.model.columns.index(name)
    table.scrollTo(panel.result.model.index(0, number))
    header = table.horizontalHeader()
    x = header.sectionViewportPosition(number) + header.sectionSize(number) // 2
    qtbot.mouseClick(header.viewport(), LEFT, pos=QPoint(x, header.height() // 2))


def save(qtbot: Any, panel: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    asked = lambda *_, **__: (str(target), "")  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getSaveFileName", asked)
    qtbot.mouseClick(panel.result.save_button, LEFT)
    done = f"Saved {target.name}."
    qtbot.waitUntil(lambda: panel.runner.status.text() == done, timeout=PATIENCE)
    return target.read_text("utf-8")


def in_world(layer: Any) -> np.ndarray:
    """Where three pixels of a layer lie."""
    return np.array([layer.data_to_world(point) for point in ((0, 0), (100, 0), (0, 100))])


@pytest.mark.slow
def test_from_layers_to_the_report(
    qtbot: Any,
    viewer: Any,
    open_panel: Open,
    layers: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel = open_panel()
    panel.form.reference.value = layers["real"]
    panel.refresh()
    panel.form.images.ticked = panel.form.images.offered
    others = [layers[name] for name in ("virtual", "broken", "paler")]
    press(qtbot, panel, panel.runner.run_button)
    assert panel.found.to_csv() == nt.compare(others, layers["real"]).to_csv()
    assert panel.result.warned.isVisibleTo(panel)
    assert panel.result.warned.level is Level.NOTE
    warning = panel.result.warned.text()
    assert re.match(r"virtual: The image is off .* by \+4\.3\d?, -2\.\d+ px", warning)
    assert "It lowers the scores" in warning
    assert "broken" not in warning
    assert "virtual: +4.3, −2.6 px" in panel.form.align.said.text().splitlines()

    former, lay = {name: np.array(layer.affine) for name, layer in layers.items()}, {
        name: in_world(layer) for name, layer in layers.items()
    }  # fmt: skip
    panel.form.align.model.value = "translation"
    press(qtbot, panel, panel.form.align.align_button)
    rows = {row["image"]: row for row in panel.found.table}
    assert list(rows) == ["virtual", "virtual aligned", "broken", "paler"]
    assert rows["virtual aligned"]["ssim"] > 0.95 > rows["virtual"]["ssim"] + 0.2
    assert not panel.result.warned.isVisibleTo(panel)
    assert not np.allclose(layers["virtual"].affine, former["virtual"])
    for name in ("broken", "paler", "real"):
        np.testing.assert_array_equal(layers[name].affine, former[name])
    aligned = panel.found.images["virtual aligned"]
    there = nt.open_image(layers["virtual"])
    np.testing.assert_allclose(
        there.placement.matrix(), aligned.placement.matrix(), rtol=1e-10, atol=1e-10
    )
    matrix = pixel_map(there, nt.open_image(layers["real"]))
    np.testing.assert_allclose(matrix[:2, 2], OFF, atol=0.1)
    after = {"virtual": rows["virtual aligned"]}

    # Once aligned, the image as it lies scores what was promised.
    press(qtbot, panel, panel.runner.run_button)
    assert not panel.result.warned.isVisibleTo(panel)
    expected = nt.compare(others, layers["real"])
    figures = {row["image"]: row for row in expected.table}
    assert figures["virtual"]["ssim"] == pytest.approx(after["virtual"]["ssim"], rel=1e-9)

    click_header(qtbot, panel, "ssim")
    assert column(panel, "image") == sorted(figures, key=lambda name: figures[name]["ssim"])
    click_header(qtbot, panel, "ssim")
    assert column(panel, "image") == sorted(figures, key=lambda name: -figures[name]["ssim"])

    row = column(panel, "image").index("broken")
    index = panel.result.model.index(row, panel.result.model.columns.index("mse"))
    panel.result.table.scrollTo(index)
    place = panel.result.table.visualRect(index).center()
    qtbot.mouseClick(panel.result.table.viewport(), LEFT, pos=place)
    qtbot.mouseClick(panel.result.worst_button, LEFT)
    qtbot.waitUntil(lambda: "Worst: mse" in panel.runner.status.text(), timeout=PATIENCE)
    y, x = map(int, re.findall(r"[yx] (\d+)", panel.runner.status.text()))
    assert y <= 250 and y + 256 >= 300 and x <= 300 and x + 256 >= 350  # noqa: PT018
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    centre = layers["real"].data_to_world((y + 127.5, x + 127.5))
    np.testing.assert_allclose(camera.center[-2:], centre, atol=1e-6)
    assert viewer.layers["broken mse"].visible

    assert save(qtbot, panel, tmp_path / "table.csv", monkeypatch) == expected.to_csv()
    page = save(qtbot, panel, tmp_path / "report.html", monkeypatch)
    assert "<table" in page
    for name in ("virtual", "broken", "paler"):
        assert f">{name}<" in page

    qtbot.mouseClick(panel.form.align.undo_button, LEFT)
    for name, layer in layers.items():
        np.testing.assert_array_equal(layer.affine, former[name])
        np.testing.assert_array_equal(in_world(layer), lay[name])
    assert not panel.form.align.undo_button.isVisibleTo(panel)


@pytest.mark.slow
def test_a_check_alone_says_how_images_lie(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.form.reference.value = layers["real"]
    noise = np.random.default_rng(0).integers(0, 255, (320, 360), np.uint8)
    layers["noise"] = viewer.add_image(noise, name="noise", **PLACED)
    panel.refresh()
    panel.form.images.ticked = [layers[name] for name in ("virtual", "paler", "noise")]
    press(qtbot, panel, panel.form.align.check_button)
    assert panel.found is None
    assert panel.form.align.said.text().splitlines() == [
        "noise: could not be told", "virtual: +4.3, −2.6 px", "paler: +0.0, +0.0 px",
    ]  # fmt: skip
    warned = panel.form.align.warned
    assert warned.isVisibleTo(panel)
    assert warned.level is Level.NOTE
    assert [line.partition(":")[0] for line in warned.text().splitlines()] == ["noise", "virtual"]
    panel.form.reference.value = layers["paler"]
    assert not panel.form.align.texts.isVisibleTo(panel)  # it was said of another reference


@pytest.mark.slow
@pytest.mark.parametrize("live", [False, True])
def test_optical_flow_gives_a_layer(
    qtbot: Any,
    viewer: Any,
    open_panel: Open,
    layers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    live: bool,
) -> None:
    if live:
        monkeypatch.setattr(_map_layers, "SMALL", 1000)
    layers["virtual"].colormap = "magenta"
    panel = open_panel()
    panel.form.reference.value = layers["real"]
    panel.form.metrics.ticked = ["pearson"]  # without maps
    panel.refresh()
    panel.form.images.ticked = [layers["virtual"]]
    panel.form.align.model.value = "flow"
    before = np.array(layers["virtual"].affine)
    press(qtbot, panel, panel.form.align.align_button)
    assert column(panel, "image") == ["virtual", "virtual aligned"]
    np.testing.assert_array_equal(layers["virtual"].affine, before)
    added = viewer.layers["virtual aligned"]
    assert added.multiscale is live
    assert added.colormap.name == "magenta"
    score = panel.found.table[1]["pearson"]
    assert score > max(0.97, panel.found.table[0]["pearson"])
    if not live:
        again = nt.compare(added, layers["real"], metrics=["pearson"], data_range=255)
        assert again.table[0]["pearson"] == pytest.approx(score, rel=1e-6)
    qtbot.mouseClick(panel.form.align.undo_button, LEFT)
    assert "virtual aligned" not in viewer.layers


@pytest.mark.slow
def test_maps_of_the_same_pair_are_replaced(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.form.align.first.setChecked(False)
    panel.form.reference.value = layers["real"]
    panel.refresh()
    panel.form.images.ticked = [layers["broken"]]
    panel.form.maps.ticked = ["ssim", "mse"]
    press(qtbot, panel, panel.runner.run_button)
    maps = {layer.name for layer in viewer.layers} - set(layers)
    assert maps == {"broken ssim", "broken mse"}
    panel.form.images.ticked = [layers["paler"]]
    panel.form.maps.ticked = ["mse"]
    press(qtbot, panel, panel.runner.run_button)
    panel.form.images.ticked = [layers["broken"]]
    press(qtbot, panel, panel.runner.run_button)
    assert sorted(layer.name for layer in viewer.layers if layer.name not in layers) == [
        "broken mse", "paler mse",
    ]  # fmt: skip


def test_labels_against_labels(
    qtbot: Any, viewer: Any, open_panel: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = label(tissue() > 0.6)[0].astype(np.int32)
    found = label(tissue() > 0.63)[0].astype(np.int32)
    everything = label(tissue() > 0.5)[0].astype(np.int32)
    cells = viewer.add_labels(everything, name="cells")
    images = viewer.add_labels(found, name="found")
    viewer.add_labels(reference, name="truth")
    viewer.add_image(as_uint8(tissue()), name="an image")
    panel = open_panel()
    form = panel.form
    form.align.first.setChecked(False)
    assert form.channels.isVisibleTo(panel)
    form.reference.value = viewer.layers["truth"]
    panel.refresh()
    assert form.images.offered == [images, cells]
    assert form.metrics.offered[:3] == ["objects", "boundaries", "classes"]
    assert form.metrics.ticked == ["objects"]
    for field in (form.range, form.channels, form.maps):
        assert not field.isVisibleTo(panel)
    form.images.ticked = [images]
    form.cells.value = cells
    press(qtbot, panel, panel.runner.run_button)
    expected = nt.compare(images, viewer.layers["truth"], cells=cells)
    assert save(qtbot, panel, tmp_path / "labels.csv", monkeypatch) == expected.to_csv()

    columns, table = panel.result.table.columns, panel.result.table
    usual = [
        "image", "found", "expected", "precision_50", "recall_50", "f1_50", "ap", "pq", "aji",
        "seg",
    ]  # fmt: skip
    stained = [name for name in expected.columns if "stained" in name or name == "cells"]
    assert len(stained) > 3
    assert columns.seen == [*usual, *stained]
    hidden = [table.isColumnHidden(i) for i in range(len(expected.columns))]
    assert [n for n, h in zip(expected.columns, hidden, strict=True) if not h] == columns.seen
    menu = columns.menu()
    (rand,) = [action for action in menu.actions() if action.text() == "rand_error"]
    assert not rand.isChecked()
    rand.trigger()
    assert not table.isColumnHidden(expected.columns.index("rand_error"))
    assert float(column(panel, "rand_error")[0]) == pytest.approx(
        expected.table[0]["rand_error"], rel=1e-3
    )
    press(qtbot, panel, panel.runner.run_button)
    assert "rand_error" in columns.seen

    form.reference.value = viewer.layers["an image"]
    panel.refresh()
    assert form.metrics.ticked == ["ssim", "psnr", "mse", "pearson"]
    form.reference.value = viewer.layers["truth"]
    panel.refresh()
    assert form.metrics.ticked == ["objects"]


def test_a_metric_without_reference_has_a_row_of_the_reference(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.form.align.first.setChecked(False)
    panel.form.reference.value = layers["real"]
    panel.refresh()
    panel.form.images.ticked = [layers["paler"]]
    panel.form.metrics.ticked = ["ssim", "noise"]
    press(qtbot, panel, panel.runner.run_button)
    assert column(panel, "image") == ["paler", "real"]
    assert column(panel, "ssim")[1] == "–"


def test_messages_speak_of_fields(qtbot: Any, viewer: Any, open_panel: Open) -> None:
    rng = np.random.default_rng(0)
    bare = as_uint8(tissue())
    viewer.add_image(bare.astype(np.float32), name="floats")
    viewer.add_image(bare, name="bytes")
    viewer.add_image(bare[:200], name="small")
    viewer.add_image(rng.integers(0, 255, (320, 360, 4), np.uint8), rgb=True, name="rgba")
    viewer.add_image(rng.integers(0, 255, (320, 360, 3), np.uint8), rgb=True, name="rgb")
    panel = open_panel()
    for reference, image, said in (
        ("floats", "bytes", "Choose the range above"),
        ("bytes", "floats", "choose the range above"),
        ("bytes", "small", "give both layers their scale"),
        ("rgb", "rgba", "Leave out alpha"),
        ("rgb", "bytes", "Split"),
    ):
        panel.form.reference.value = viewer.layers[reference]
        panel.refresh()
        panel.form.images.ticked = [viewer.layers[image]]
        panel.refresh()
        assert panel.message.level is Level.PROBLEM
        assert said in panel.message.text()
        assert "=" not in panel.message.text()
        assert "image." not in panel.message.text()


def test_values_that_are_not_finite_are_left_out_on_request(
    qtbot: Any, viewer: Any, open_panel: Open
) -> None:
    values = tissue().astype(np.float32)
    holed = values.copy()
    holed[5:9, 7] = np.nan
    viewer.add_image(holed, name="holed")
    viewer.add_image(values, name="whole")
    panel = open_panel()
    panel.form.align.first.setChecked(False)
    panel.form.range.kind.value = "number"
    panel.form.range.number.setText("1")
    panel.refresh()
    panel.runner.run_button.click()
    qtbot.waitUntil(lambda: not panel.comparing.running, timeout=PATIENCE)
    assert "by the tick above" in panel.runner.status.text()
    assert "=" not in panel.runner.status.text()
    assert panel.form.leave_out.isVisibleTo(panel)
    panel.form.leave_out.setChecked(True)
    press(qtbot, panel, panel.runner.run_button)
    expected = nt.compare(holed, values, data_range=1, nonfinite="ignore", channels="each")
    assert [row["mse"] for row in panel.found.table] == [row["mse"] for row in expected.table]


@pytest.mark.slow
def test_a_region_of_a_plane_is_where_the_camera_goes(
    qtbot: Any, viewer: Any, open_panel: Open
) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (3, 60, 70), np.uint8)
    parts = np.zeros(stack.shape, np.int32)
    parts[0, 5:10, 5:12] = 1
    parts[2, 20:40, 25:45] = 1
    image = viewer.add_image(stack // 2, name="image", scale=(3, 1, 1))
    real = viewer.add_image(stack, name="real", scale=(3, 1, 1))
    labels = viewer.add_labels(parts, name="parts", scale=(3, 1, 1))
    panel = open_panel()
    panel.form.align.first.setChecked(False)
    panel.form.reference.value = real
    panel.form.axes.value = "zyx"
    panel.form.images.ticked = [image]
    panel.form.regions.value = labels
    press(qtbot, panel, panel.runner.run_button)
    assert column(panel, "z") == ["0", "2"]
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    table = panel.result.table
    for row, centre in ((1, (6, 29.5, 34.5)), (0, (0, 7, 8))):
        place = table.visualRect(panel.result.model.index(row, 0)).center()
        qtbot.mouseClick(table.viewport(), LEFT, pos=place)
        assert viewer.dims.point[0] == centre[0]
        np.testing.assert_allclose(camera.center[-2:], centre[1:])
