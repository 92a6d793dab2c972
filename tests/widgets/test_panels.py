"""Both panels in a real window: the contract of every task panel, over every kind of layer.

The result must have the pixels that the task gives when called in this process, and lie where
the layer lies.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from panels import PATIENCE, cells, finish, run, same_place

import napari_tincture as nt
from napari_tincture.io.identity import signature
from napari_tincture.raster import Raster
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.widgets.stain import StainPanel

UNITS = ("micrometer", "micrometer")
SCALE = {"scale": (0.5, 0.25), "translate": (7, -3), "units": UNITS}
TURNED = {**SCALE, "rotate": 20, "shear": [0.1]}

Open = Callable[..., Any]
Models = dict[str, Path]


KINDS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "plain": (cells, {}),
    "turned": (cells, TURNED),
    "labelled": (cells, {"axis_labels": ("y", "x"), **SCALE}),
    "dask": (lambda: da.from_array(cells(), chunks=(37, 61)), SCALE),
    "float, flipped": (lambda: cells().astype(np.float32)[::-1], {}),
    "time": (lambda: cells(2), {"axis_labels": ("t", "y", "x")}),
    "depth": (
        lambda: cells(2),
        {"axis_labels": ("z", "y", "x"), "scale": (3, 1, 1), "units": ("um", "um", "um")},
    ),
    "multiscale": (lambda: [cells(), cells()[::2, ::2]], {"multiscale": True, **TURNED}),
}


RARE = ("labelled", "float, flipped", "time", "depth")


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow if k in RARE else ()) for k in KINDS]
)
def test_the_whole_layer(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, kind: str
) -> None:
    make, options = KINDS[kind]
    source = viewer.add_image(make(), name="cells", **options)
    expected = nt.open_image(source)
    (stained,) = run(qtbot, viewer, open_panel(StainPanel, model_paths["stain"]))
    np.testing.assert_allclose(
        np.asarray(stained.data), np.asarray(nt.stain(expected, model_paths["stain"])), atol=1e-6
    )
    same_place(stained, source)
    assert isinstance(stained.data, np.ndarray)
    segmenter = open_panel(SegmentPanel, model_paths["segment"], layer="cells")
    (labels,) = run(qtbot, viewer, segmenter)
    np.testing.assert_array_equal(
        np.asarray(labels.data), np.asarray(nt.segment(expected, model_paths["segment"]))
    )
    same_place(labels, source)
    assert labels.data.max() > 0
    assert type(labels).__name__ == "Labels"
    (step,) = nt.explain(labels).steps
    assert step["sources"][0]["signature"]["sample"] == signature(expected)["sample"]
    assert (step["model_file"], step["run"]["device"]) == (str(model_paths["segment"]), "cpu")
    assert "torch" in step["run"]["versions"]


@pytest.mark.parametrize("panel_class", [StainPanel, SegmentPanel])
@pytest.mark.parametrize("region", ["shape", "viewport"])
def test_part_of_a_layer_has_the_pixels_of_the_whole(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, panel_class: Any, region: str
) -> None:
    model = model_paths[panel_class.task]
    source = viewer.add_image(cells(side=300), name="cells", **SCALE)
    corners = [[60.0, 30.0], [60.0, 90.0], [110.0, 90.0], [110.0, 30.0]]
    viewer.add_shapes([[source.data_to_world(corner) for corner in corners]], name="box")
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    camera.center = source.data_to_world((100, 120))
    camera.zoom = 30.0
    panel = open_panel(panel_class, model, region=region, layer="cells")
    (result,) = run(qtbot, viewer, panel)
    offset = np.round(source.world_to_data(result.data_to_world((0, 0)))).astype(int)
    part = tuple(slice(o, o + n) for o, n in zip(offset, result.data.shape, strict=True))
    if region == "shape":
        assert part == (slice(60, 111), slice(30, 91))
    else:
        assert 0 < result.data.shape[0] < 300
        assert part[0].start < 100 < part[0].stop
    task = getattr(nt, panel_class.task)
    if panel_class is StainPanel:
        whole = np.asarray(task(source, model))
        np.testing.assert_allclose(result.data, whole[part], atol=1e-6)
    else:  # numbers of objects count within the region
        bounds = {axis: (s.start, s.stop) for axis, s in zip("yx", part, strict=True)}
        np.testing.assert_array_equal(result.data, np.asarray(task(source, model, region=bounds)))
    np.testing.assert_allclose(result.scale, source.scale)
    assert result.units == source.units


def test_one_plane_of_a_stack(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    source = viewer.add_image(cells(3), axis_labels=("t", "y", "x"), scale=(2, 1, 1))
    viewer.dims.set_point(0, 4)
    panel = open_panel(StainPanel, model_paths["stain"], planes="shown")
    (result,) = run(qtbot, viewer, panel)
    assert result.data.shape == (1, 150, 170)
    np.testing.assert_allclose(result.data_to_world((0, 0, 0)), (4, 0, 0))
    expected = np.asarray(nt.stain(source.data[2], model_paths["stain"]))
    np.testing.assert_allclose(result.data[0], expected, atol=1e-6)


def test_planes_as_inputs_and_several_outputs(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    source = viewer.add_image(cells(3), axis_labels=("z", "y", "x"), scale=(2, 1, 1), name="focus")
    panel = open_panel(StainPanel, model_paths["planes"])
    first, second = run(qtbot, viewer, panel)
    expected = np.asarray(nt.stain(source, model_paths["planes"]))
    np.testing.assert_allclose(first.data, expected[0], atol=1e-6)
    np.testing.assert_allclose(second.data, expected[1], atol=1e-6)
    assert [first.name, second.name] == ["focus focus out_0", "focus focus out_1"]
    assert first.ndim == 2


def test_inputs_from_several_layers(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    planes = [cells(seed=seed) for seed in range(3)]
    for number, plane in enumerate(planes):
        viewer.add_image(plane, name=f"in_{number}", **SCALE)
    panel = open_panel(StainPanel, model_paths["planes"], layer="in_0")
    first, _ = run(qtbot, viewer, panel)
    joined = Raster.from_array(np.stack(planes), "cyx")
    expected = np.asarray(nt.stain(joined, model_paths["planes"]))
    np.testing.assert_allclose(first.data, expected[0], atol=1e-6)
    viewer.layers["in_1"].translate = (9, 9)
    panel.refresh()
    assert "in_1" in panel.message.text()
    assert not panel.runner.run_button.isEnabled()


def test_colour_in_and_colour_out(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    source = viewer.add_image(np.moveaxis(cells(3), 0, -1), rgb=True, name="smear", **TURNED)
    (result,) = run(qtbot, viewer, open_panel(StainPanel, model_paths["rgb"]))
    assert result.rgb
    assert result.data.dtype == np.uint8
    expected = np.asarray(nt.stain(source, model_paths["rgb"]))
    assert np.abs(result.data.astype(int) - np.moveaxis(expected, 0, -1)).max() <= 1
    same_place(result, source)


def test_one_channel_of_several_is_asked_for(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    source = viewer.add_image(cells(2), axis_labels=("c", "y", "x"), name="two")
    panel = open_panel(StainPanel, model_paths["stain"])
    assert "under Inputs where in_0 comes from" in panel.message.text()
    assert not panel.runner.run_button.isEnabled()
    panel.channels._rows[0].setCurrentIndex(2)
    (result,) = run(qtbot, viewer, panel)
    expected = np.asarray(nt.stain(source.data[1], model_paths["stain"]))
    np.testing.assert_allclose(result.data, expected, atol=1e-6)


def test_axes_are_asked_for_and_remembered(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(cells(2), name="stack")
    panel = open_panel(StainPanel, model_paths["stain"])
    assert panel.axes.isVisibleTo(panel)
    assert "axes" in panel.message.text()
    panel.axes.value = "tyx"
    (result,) = run(qtbot, viewer, panel)
    assert result.data.shape == (2, 150, 170)


def test_a_result_on_disk_is_a_layer_too(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, tmp_path: Path
) -> None:
    source = viewer.add_image(cells(), name="cells", **TURNED)
    panel = open_panel(StainPanel, model_paths["stain"])
    panel.output.kind.value = "file"
    panel.output.path.setText(str(tmp_path / "result.ome.zarr"))
    (result,) = run(qtbot, viewer, panel)
    data = result.data[0] if result.multiscale else result.data
    expected = np.asarray(nt.stain(source, model_paths["stain"]))
    np.testing.assert_allclose(np.asarray(data), expected, atol=1e-6)
    same_place(result, source)
    panel.refresh()
    assert "exists" in panel.message.text()
    assert panel.output.replace.isVisibleTo(panel)
    panel.output.replace.setChecked(True)
    assert len(run(qtbot, viewer, panel)) == 1


def test_a_plain_function_does_what_run_does(qtbot: Any, viewer: Any, model_paths: Models) -> None:
    from napari_tincture.widgets.segment import segment_layer

    source = viewer.add_image(cells(), name="cells")
    job = segment_layer(
        viewer, source, str(model_paths["segment"]), region={"y": (0, 64), "x": (32, 96)}
    )
    finish(qtbot, job)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    assert viewer.layers[-1].data.shape == (64, 64)


@pytest.mark.slow
def test_the_viewer_that_napari_gives_to_plugins_will_do(
    qtbot: Any, viewer: Any, model_paths: Models
) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    source = viewer.add_image(cells(), name="cells", **SCALE)
    viewer.add_shapes([[[10, 0], [10, 9], [40, 9], [40, 0]]])
    panel = StainPanel(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(panel)
    panel.model.choose(str(model_paths["stain"]))
    panel.layer.value = "cells"
    for region in ("shape", "viewport", "layer"):
        panel.region.value = region
        (result,) = run(qtbot, viewer, panel)
    expected = np.asarray(nt.stain(source, model_paths["stain"]))
    np.testing.assert_allclose(result.data, expected, atol=1e-6)
