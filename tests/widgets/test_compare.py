"""The Compare panel in a real window, driven as a person drives it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_tincture as nt
from napari_tincture.metrics import stream
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.tasks.compare import METRICS
from napari_tincture.widgets import _compare_work, _map_layers
from napari_tincture.widgets._compare_result import with_suffix
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._live import view_of
from napari_tincture.widgets.compare import ComparePanel

PATIENCE = 60_000
LEFT = Qt.MouseButton.LeftButton
SCALE = {"scale": (0.5, 0.25), "translate": (7, -3), "units": ("micrometer", "micrometer")}
Open = Callable[[], Any]


def cells(seed: int = 0) -> np.ndarray:
    """Blobs on noise, 300 × 340, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :340]
    image = rng.normal(20, 3, (300, 340))
    for cy, cx in rng.uniform(10, 290, (25, 2)):
        image += 120 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 80)
    return image.clip(0, 255).astype(np.uint8)


def three(reference: np.ndarray) -> dict[str, np.ndarray]:
    """Images that are worse, in three ways."""
    rng = np.random.default_rng(1)
    broken = reference.astype(float)
    broken[200:260, 250:320] += rng.normal(0, 60, (60, 70))
    return {
        "darker": (reference * 0.8).astype(np.uint8),
        "broken": broken.clip(0, 255).astype(np.uint8),
        "shifted": np.roll(reference, 3, 0),
    }


@pytest.fixture
def viewer(plain_viewer: Any) -> Any:
    return plain_viewer


@pytest.fixture
def open_panel(viewer: Any) -> Open:
    def open_panel() -> Any:
        panel = ComparePanel(viewer)
        panel.form.align.first.setChecked(False)  # see test_compare_window.py
        viewer.window.add_dock_widget(panel, name="Compare")
        return panel

    return open_panel


@pytest.fixture
def layers(viewer: Any) -> dict[str, Any]:
    """Three images and, on top, their reference."""
    reference = cells()
    images = {**three(reference), "reference": reference}
    return {name: viewer.add_image(data, name=name, **SCALE) for name, data in images.items()}


def tick(qtbot: Any, ticks: Any, *values: Any) -> None:
    """Click the boxes that are not as wanted."""
    for value in ticks.offered:
        if (value in values) != (value in ticks.ticked):
            item = ticks.item(ticks.offered.index(value))
            ticks.scrollToItem(item)
            place = ticks.visualItemRect(item)
            box = QPoint(place.left() + 12, place.center().y())
            qtbot.mouseClick(ticks.viewport(), LEFT, pos=box)
    assert ticks.ticked == [value for value in ticks.offered if value in values]


def run(qtbot: Any, panel: Any) -> Any:
    """Click Run and wait for the result."""
    panel.refresh()
    assert panel.runner.run_button.isEnabled(), panel.message.text()
    qtbot.mouseClick(panel.runner.run_button, LEFT)
    qtbot.waitUntil(lambda: not panel.comparing.running, timeout=PATIENCE)
    assert panel.runner.status.level is Level.READY, panel.runner.status.text()
    qtbot.waitUntil(lambda: not panel.places.looking.running, timeout=PATIENCE)
    return panel.found


def shown(panel: Any, column: str) -> list[str]:
    """What a column of the table shows, from top to bottom."""
    model = panel.result.model
    number = model.columns.index(column)
    return [model.data(model.index(row, number)) for row in range(model.rowCount())]


def click_header(qtbot: Any, panel: Any, column: str) -> None:
    header = panel.result.table.horizontalHeader()
    number = panel.result.model.columns.index(column)
    x = header.sectionViewportPosition(number) + header.sectionSize(number) // 2
    panel.result.table.horizontalScrollBar().setValue(max(0, x - 100))
    x = header.sectionViewportPosition(number) + header.sectionSize(number) // 2
    qtbot.mouseClick(header.viewport(), LEFT, pos=QPoint(x, header.height() // 2))


def click_cell(qtbot: Any, panel: Any, row: int, column: str) -> None:
    table = panel.result.table
    index = panel.result.model.index(row, panel.result.model.columns.index(column))
    table.scrollTo(index)
    qtbot.mouseClick(table.viewport(), LEFT, pos=table.visualRect(index).center())


def camera(viewer: Any) -> Any:
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def looks_at(viewer: Any, layer: Any, y: float, x: float) -> bool:
    """Whether the camera's centre is a place of a layer, in its pixels."""
    return bool(np.allclose(camera(viewer).center[-2:], layer.data_to_world((y, x)), atol=1e-6))


def test_three_layers_against_a_reference(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any], tmp_path: Path
) -> None:
    panel = open_panel()
    assert panel.form.reference.value is layers["reference"]
    assert "Tick one or more images" in panel.message.text()
    assert not panel.runner.run_button.isEnabled()
    others = [layers[name] for name in ("shifted", "broken", "darker")]
    tick(qtbot, panel.form.images, *others)
    found = run(qtbot, panel)
    expected = nt.compare(others, layers["reference"])
    assert found.to_csv() == expected.to_csv()
    panel.save(str(tmp_path / "table.csv"))
    qtbot.waitUntil(lambda: "Saved" in panel.runner.status.text(), timeout=PATIENCE)
    assert (tmp_path / "table.csv").read_text() == expected.to_csv()

    click_header(qtbot, panel, "ssim")
    rising = [row["image"] for row in sorted(expected.table, key=lambda row: row["ssim"])]
    assert shown(panel, "image") == rising
    click_header(qtbot, panel, "ssim")
    assert shown(panel, "image") == rising[::-1]
    click_header(qtbot, panel, "mse")
    values = [float(text) for text in shown(panel, "mse")]
    assert values == sorted(values)
    bold = {
        panel.result.model.row_at(row)["image"]
        for row in range(3)
        if (font := panel.result.model.data(
            panel.result.model.index(row, panel.result.model.columns.index("ssim")),
            Qt.ItemDataRole.FontRole)) is not None and font.bold()
    }  # fmt: skip
    assert bold == {rising[-1]}

    qtbot.mouseClick(panel.result.copy_button, LEFT)
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0].split("\t") == found.columns
    assert [line.split("\t")[0] for line in lines[1:]] == shown(panel, "image")
    assert float(lines[1].split("\t")[1]) in [row["ssim"] for row in found.table]


def test_maps_lie_on_the_reference_and_lead_to_the_worst_place(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    tick(qtbot, panel.form.images, layers["broken"], layers["darker"])
    tick(qtbot, panel.form.maps, "ssim", "structure")
    found = run(qtbot, panel)
    names = ["broken ssim", "broken structure", "darker ssim", "darker structure"]
    assert sorted(layer.name for layer in viewer.layers if layer.name not in layers) == names
    for name in names:
        layer = viewer.layers[name]
        image, column = name.split()
        np.testing.assert_array_equal(layer.scale, layers["reference"].scale)
        np.testing.assert_array_equal(layer.translate, layers["reference"].translate)
        assert layer.units == layers["reference"].units
        np.testing.assert_array_equal(layer.data, np.asarray(found.maps[image, column]))
    assert [viewer.layers[name].visible for name in names].count(True) == 1
    assert viewer.layers.selection.active is layers["reference"]
    assert all(layer.name in layers for layer in panel.form.images.offered)  # maps are no images

    click_cell(qtbot, panel, shown(panel, "image").index("broken"), "structure")
    qtbot.waitUntil(lambda: not panel.places.looking.running, timeout=PATIENCE)
    assert viewer.layers["broken structure"].visible
    assert not viewer.layers["darker ssim"].visible
    assert panel.result.histogram.caption == "structure of broken"
    data = viewer.layers["broken structure"].data
    counts, _ = np.histogram(
        data, len(panel.result.histogram.counts), panel.result.histogram.limits
    )
    np.testing.assert_array_equal(panel.result.histogram.counts, counts)

    qtbot.mouseClick(panel.result.worst_button, LEFT)
    qtbot.waitUntil(lambda: "Worst: structure" in panel.runner.status.text(), timeout=PATIENCE)
    means = np.lib.stride_tricks.sliding_window_view(data.astype(float), (256, 256)).mean((2, 3))
    # Several windows hold all of the damage.
    y, x = map(int, re.findall(r"[yx] (\d+)", panel.runner.status.text()))
    assert means[y, x] == pytest.approx(means.min(), rel=1e-9)
    assert looks_at(viewer, layers["reference"], y + 127.5, x + 127.5)


def test_a_region_is_where_the_camera_goes(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.form.images.ticked = [layers["broken"]]
    panel.form.regions.value = "grid"
    panel.form.side.setValue(100)
    found = run(qtbot, panel)
    assert len(found.table) == 3 * 4
    assert found.to_csv() == nt.compare(
        layers["broken"], layers["reference"], regions="grid:100"
    ).to_csv()  # fmt: skip
    assert "± " in panel.result.spread.text()
    click_header(qtbot, panel, "ssim")
    click_cell(qtbot, panel, 0, "ssim")
    worst = min(found.table, key=lambda row: row["ssim"])
    assert panel.result.row == worst
    assert worst["region"] == "y 200, x 300"
    assert looks_at(viewer, layers["reference"], 249.5, 319.5)
    qtbot.mouseClick(panel.result.worst_button, LEFT)
    qtbot.waitUntil(lambda: "Worst: ssim" in panel.runner.status.text(), timeout=PATIENCE)
    assert "y 200, x 300" in panel.runner.status.text()


def test_the_chosen_row_stays_chosen_when_the_table_is_sorted(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.form.reference.value = layers["reference"]
    panel.form.regions.value = "grid"
    panel.refresh()
    tick(qtbot, panel.form.images, layers["broken"])
    panel.form.side.setValue(100)
    run(qtbot, panel)
    click_cell(qtbot, panel, 3, "ssim")
    chosen = panel.result.row
    for _ in range(2):
        click_header(qtbot, panel, "psnr")
        assert panel.result.row == chosen
        selected = panel.result.table.currentIndex().row()
        assert shown(panel, "region")[selected] == chosen["region"]


@pytest.mark.slow
def test_regions_and_masks_of_layers(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    numbers = np.zeros((300, 340), np.uint8)
    numbers[10:50, 20:90], numbers[250:, 300:] = 3, 7
    labels = viewer.add_labels(numbers, name="parts", **SCALE)
    corners = [[20, 30], [20, 90], [110, 90], [110, 30]]
    world = [layers["reference"].data_to_world(corner) for corner in corners]
    shapes = viewer.add_shapes([world], name="drawn", units=SCALE["units"])
    panel = open_panel()
    panel.form.reference.value = layers["reference"]
    panel.refresh()
    panel.form.images.ticked = [layers["darker"]]
    for regions, boxes in (
        (labels, {"3": ((10, 50), (20, 90)), "7": ((250, 300), (300, 340))}),
        (shapes, {"1": ((20, 111), (30, 91))}),
    ):
        panel.form.regions.value = regions
        found = run(qtbot, panel)
        assert found.regions == boxes
        expected = nt.compare(layers["darker"], layers["reference"], regions=regions)
        assert found.to_csv() == expected.to_csv()
    panel.form.regions.value = None
    panel.form.masks.value = labels
    found = run(qtbot, panel)
    expected = nt.compare(layers["darker"], layers["reference"], mask=labels)
    assert found.to_csv() == expected.to_csv()


def test_what_is_on_screen(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    view = camera(viewer)
    view.center = layers["reference"].data_to_world((150, 170))
    view.zoom = 20.0
    panel = open_panel()
    panel.form.images.ticked = [layers["broken"]]
    panel.form.area.value = "viewport"
    found = run(qtbot, panel)
    region = found.settings["region"]
    assert 0 < region["y"][0] < 150 < region["y"][1] < 300
    expected = nt.compare(layers["broken"], layers["reference"], region=region)
    assert found.to_csv() == expected.to_csv()
    offset = layers["reference"].world_to_data(viewer.layers["broken ssim"].data_to_world((0, 0)))
    np.testing.assert_allclose(offset, (region["y"][0], region["x"][0]), atol=1e-9)


def test_the_question_about_12_bits_is_answered_in_the_panel(
    qtbot: Any, viewer: Any, open_panel: Open
) -> None:
    reference = cells().astype(np.uint16) * 16
    viewer.add_image(reference + 5, name="image")
    viewer.add_image(reference, name="reference")
    panel = open_panel()
    assert [layer.name for layer in panel.form.images.ticked] == ["image"]  # there is no choice
    qtbot.mouseClick(panel.runner.run_button, LEFT)
    qtbot.waitUntil(lambda: bool(panel.form.range.answers), timeout=PATIENCE)
    assert panel.runner.status.level is Level.PROBLEM
    assert "are they of 12 bits?" in panel.runner.status.text()
    assert [button.text() for button in panel.form.range.answers] == ["4095", "65535"]
    qtbot.mouseClick(panel.form.range.answers[0], LEFT)
    assert panel.form.range.value == 4095
    assert panel.form.range.answers == []
    found = run(qtbot, panel)
    assert found.settings["data_range"] == 4095


def test_problems_are_said_before_and_after_a_run(
    qtbot: Any, viewer: Any, open_panel: Open
) -> None:
    viewer.add_image(cells(), name="far", translate=(10_000, 0), units=("um", "um"))
    viewer.add_image(cells(), name="reference", units=("um", "um"))
    panel = open_panel()
    panel.runner.run_button.click()
    qtbot.waitUntil(lambda: not panel.comparing.running, timeout=PATIENCE)
    assert panel.runner.status.level is Level.PROBLEM
    assert "do not overlap" in panel.runner.status.text()
    assert panel.runner.run_button.isEnabled()
    viewer.layers["reference"].data = cells().astype(np.float32) / 255
    panel.refresh()
    assert "is of type float32" in panel.message.text()
    assert not panel.runner.run_button.isEnabled()
    assert [button.text() for button in panel.form.range.answers] == ["1", "2", "255"]
    panel.form.range.kind.value = "number"
    qtbot.keyClicks(panel.form.range.number, "0")
    panel.refresh()
    assert "Data range '0'" in panel.message.text()
    viewer.layers["far"].translate = (0, 0)
    viewer.layers["far"].data = cells()[:, :100].astype(np.float32) / 255
    panel.form.range.number.setText("1")
    run(qtbot, panel)
    assert "covers" in panel.result._note_text.text()


def test_an_undefined_figure_says_why(qtbot: Any, viewer: Any, open_panel: Open) -> None:
    flat = np.full((40, 50), 9, np.uint8)
    viewer.add_image(flat, name="flat")
    viewer.add_image(cells()[:40, :50], name="reference")
    panel = open_panel()
    run(qtbot, panel)
    assert shown(panel, "pearson") == ["–"]
    model = panel.result.model
    index = model.index(0, model.columns.index("pearson"))
    why = model.data(index, Qt.ItemDataRole.ToolTipRole)
    assert why in panel.result._note_text.text()
    assert "constant" in why


def test_only_layers_of_the_same_kind_are_offered(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    one = viewer.add_labels(cells() // 100, name="objects")
    two = viewer.add_labels(cells(1) // 100, name="more objects")
    viewer.add_points([[1, 2]])
    panel = open_panel()
    assert panel.form.reference.value is two
    assert panel.form.images.offered == [one]
    panel.form.reference.value = layers["reference"]
    panel.refresh()
    assert panel.form.images.offered == [layers[n] for n in ("shifted", "broken", "darker")]
    assert panel.form.metrics.offered[:4] == list(METRICS)
    assert sorted(panel.form.metrics.offered) == list(metric_names())
    tick(qtbot, panel.form.metrics, "ssim")
    lpips = panel.form.metrics.item(panel.form.metrics.offered.index("lpips"))
    assert not lpips.flags() & Qt.ItemFlag.ItemIsEnabled
    assert lpips.toolTip() == find_metric("lpips").needs.lacking()
    panel.form.metrics.ticked = ["ssim", "lpips"]
    assert panel.form.metrics.ticked == ["ssim"]


def test_the_panel_follows_the_layers(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.form.images.ticked = [layers["darker"], layers["broken"]]
    layers["darker"].name = "paler"
    qtbot.waitUntil(lambda: panel.form.images.item(2).text() == "paler", timeout=PATIENCE)
    assert set(panel.form.images.ticked) == {layers["darker"], layers["broken"]}
    viewer.layers.remove(layers["broken"])
    qtbot.waitUntil(lambda: panel.form.images.ticked == [layers["darker"]], timeout=PATIENCE)
    run(qtbot, panel)
    assert shown(panel, "image") == ["paler"]
    viewer.layers.remove(layers["reference"])
    qtbot.waitUntil(lambda: panel.form.reference.value is not layers["reference"], timeout=PATIENCE)
    qtbot.mouseClick(panel.result.worst_button, LEFT)
    qtbot.waitUntil(
        lambda: panel.runner.status.text() == "The reference layer is gone.", timeout=PATIENCE
    )
    viewer.layers.clear()
    qtbot.waitUntil(lambda: "Open the reference" in panel.message.text(), timeout=PATIENCE)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Comparisons that wait in their first area until they are let go."""
    go, real = threading.Event(), _compare_work.compare

    def waiting(*args: Any, progress: Any, cancel: Any, **options: Any) -> Any:
        def hold(done: int, total: int) -> None:
            progress(done, total)
            if done:
                go.wait(PATIENCE / 1000)

        return real(*args, progress=hold, cancel=cancel, **options)

    monkeypatch.setattr(stream, "AREA", 64)
    monkeypatch.setattr(_compare_work, "compare", waiting)
    yield go
    go.set()


def test_cancel_stops_within_an_area(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any], held: threading.Event
) -> None:
    panel = open_panel()
    panel.form.images.ticked = [layers["darker"]]
    panel.refresh()
    qtbot.mouseClick(panel.runner.run_button, LEFT)
    qtbot.waitUntil(lambda: panel.runner.bar.value() > 0, timeout=PATIENCE)
    assert not panel.runner.run_button.isEnabled()
    assert "areas" in panel.runner.progress.text()
    qtbot.mouseClick(panel.runner.cancel_button, LEFT)
    held.set()
    qtbot.waitUntil(lambda: not panel.comparing.running, timeout=PATIENCE)
    assert panel.runner.status.level is Level.NOTE
    assert panel.runner.status.text() == "The job was cancelled."
    assert panel.found is None
    assert len(viewer.layers) == 4
    assert panel.runner.run_button.isEnabled()


@pytest.mark.parametrize("close", ["window", "panel"])
def test_closing_ends_a_run(qtbot: Any, held: threading.Event, close: str) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    reference = cells()
    viewer.add_image(three(reference)["darker"], name="darker")
    viewer.add_image(reference, name="reference")
    panel = ComparePanel(viewer)
    viewer.window.add_dock_widget(panel)
    panel.refresh()
    panel.run()
    comparing = panel.comparing
    qtbot.waitUntil(lambda: panel.runner.bar.value() > 0, timeout=PATIENCE)
    if close == "panel":
        viewer.window.remove_dock_widget(panel)
        panel.deleteLater()
    else:
        viewer.close()
    qtbot.waitUntil(lambda: comparing._token.cancelled, timeout=PATIENCE)
    held.set()
    qtbot.waitUntil(lambda: not comparing.alive, timeout=PATIENCE)
    if close == "panel":
        assert [layer.name for layer in viewer.layers] == ["darker", "reference"]
        viewer.close()


def test_large_maps_are_computed_where_someone_looks(
    qtbot: Any,
    viewer: Any,
    open_panel: Open,
    layers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_map_layers, "SMALL", 1000)
    panel = open_panel()
    panel.form.images.ticked = [layers["broken"]]
    found = run(qtbot, panel)
    layer = viewer.layers["broken ssim"]
    assert layer.multiscale
    view = view_of(layer)
    qtbot.waitUntil(lambda: view.status.done == view.status.total, timeout=PATIENCE)
    np.testing.assert_array_equal(
        np.asarray(layer.data[0][0:300, 0:340]), np.asarray(found.maps["broken", "ssim"])
    )
    np.testing.assert_array_equal(layer.scale, layers["reference"].scale)
    for name in ("broken ssim", "broken mse"):
        viewer.layers.remove(name)
    qtbot.waitUntil(
        lambda: not any(t.name == "tincture-map" for t in threading.enumerate()), timeout=PATIENCE
    )


def test_a_stack_of_colours(qtbot: Any, viewer: Any, open_panel: Open) -> None:
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 255, (2, 40, 50, 3), np.uint8)
    reference = viewer.add_image(stack, rgb=True, name="reference", scale=(3, 1, 1))
    image = viewer.add_image(stack // 2, rgb=True, name="image", scale=(3, 1, 1))
    panel = open_panel()
    panel.form.reference.value = reference
    panel.refresh()
    assert panel.form.axes.isVisibleTo(panel)
    assert "axes" in panel.message.text()
    panel.form.axes.value = "tyx"
    tick(qtbot, panel.form.images, image)
    found = run(qtbot, panel)
    assert len(found.table) == 2 * 3
    np.testing.assert_array_equal(
        viewer.layers["image ssim"].data,
        np.asarray(found.maps["image", "ssim"]).mean(1, dtype=np.float64).astype(np.float32),
    )
    click_cell(qtbot, panel, 5, "ssim")
    qtbot.mouseClick(panel.result.worst_button, LEFT)
    qtbot.waitUntil(lambda: "Worst" in panel.runner.status.text(), timeout=PATIENCE)
    assert viewer.dims.point[0] == 3 * panel.result.row["t"]


@pytest.mark.parametrize("name", ["table.md", "table.tex", "report.html"])
def test_files_of_every_kind(
    qtbot: Any,
    viewer: Any,
    open_panel: Open,
    layers: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    panel = open_panel()
    panel.form.images.ticked = [layers["broken"]]
    tick(qtbot, panel.form.maps)
    run(qtbot, panel)
    target = tmp_path / name
    asked = lambda *_, **__: (str(target), "")  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getSaveFileName", asked)
    qtbot.mouseClick(panel.result.save_button, LEFT)
    qtbot.waitUntil(lambda: panel.runner.status.text() == f"Saved {name}.", timeout=PATIENCE)
    assert "broken" in target.read_text()
    panel.save(str(tmp_path / "table.docx"))
    qtbot.waitUntil(lambda: "names no kind" in panel.runner.status.text(), timeout=PATIENCE)


@pytest.mark.slow
def test_comparing_and_its_report_need_no_torch(tmp_path: Path) -> None:
    script = f"""
import sys
import numpy as np
from napari_tincture.tasks.compare import compare
from napari_tincture.widgets import _map_layers, compare as panel
from napari_tincture.progress import CancelToken
image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
found = compare(image // 2, image, regions="grid:32", maps=True)
_map_layers.prepare(found, ["ssim"], CancelToken())
found.report({str(tmp_path / "report.html")!r})
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_the_chosen_kind_of_file_gives_the_ending() -> None:
    assert with_suffix("a", "Markdown (*.md)") == "a.md"
    assert with_suffix("a.b", "Report (*.pdf)") == "a.b.pdf"
    assert with_suffix("a.HTML", "CSV (*.csv)") == "a.HTML"


def test_settings_survive_closing_the_panel(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    first = open_panel()
    tick(qtbot, first.form.metrics, "mae", "ssim")
    first.form.area.value = "viewport"
    first.refresh()
    viewer.window.remove_dock_widget(first)
    second = ComparePanel(viewer)
    qtbot.addWidget(second)
    assert second.form.metrics.ticked == ["ssim", "mae"]
    assert second.form.maps.ticked == ["ssim", "mae"]
    assert second.form.area.value == "viewport"


@pytest.mark.slow
def test_every_text_is_seen_at_the_narrowest(
    qtbot: Any, viewer: Any, open_panel: Open, layers: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.form.images.ticked = list(panel.form.images.offered)
    panel.form.regions.value = "grid"
    panel.refresh()
    run(qtbot, panel)
    viewer.window._qt_window.resize(1200, 900)
    qtbot.waitUntil(lambda: panel.width() >= panel.minimumSizeHint().width(), timeout=PATIENCE)
    assert panel.minimumSizeHint().height() < 900
    assert panel.minimumSizeHint().width() < 380
    for button in (panel.result.copy_button, panel.result.save_button, panel.result.worst_button):
        assert button.width() >= button.sizeHint().width()
