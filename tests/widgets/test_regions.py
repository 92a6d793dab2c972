"""What a person means by 'on screen' and by a rectangle, for layers placed in every way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_tincture.errors import InputError
from napari_tincture.widgets._regions import shape_box, shown_planes, viewport

TURN = {"rotate": 30, "shear": [0.2], "scale": (0.5, 2.0), "translate": (40, -7)}
PLACEMENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scaled": {"scale": (0.25, 3.0), "translate": (100.0, -50.0)},
    "turned": TURN,
    "affine": {"affine": [[0.8, 0.3, 5], [-0.3, 0.8, 9], [0, 0, 1]]},
}


def camera(viewer: Any) -> Any:
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def set_canvas(viewer: Any, size: tuple[int, int]) -> None:
    if hasattr(viewer, "canvas"):
        viewer.canvas.size = size
    else:
        viewer._canvas_size = size


def on_screen(viewer: Any, layer: Any) -> np.ndarray:
    """Which pixel centres lie within the canvas, by napari's own transform."""
    rows, columns = layer.data.shape
    centre, zoom = np.array(camera(viewer).center[-2:]), camera(viewer).zoom
    size = np.array(viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size)
    world = np.array([[layer.data_to_world((y, x)) for x in range(columns)] for y in range(rows)])
    return (np.abs(world - centre) <= size / zoom / 2).all(axis=-1)


@pytest.mark.parametrize("placement", PLACEMENTS.values(), ids=PLACEMENTS.keys())
def test_the_box_holds_every_pixel_on_screen(placement: dict[str, Any]) -> None:
    viewer = ViewerModel()
    set_canvas(viewer, (300, 400))
    layer = viewer.add_image(np.zeros((50, 60)), **placement)
    camera(viewer).center = layer.data_to_world((20, 25))
    camera(viewer).zoom *= 3
    region = viewport(viewer, layer, "yx")
    seen = on_screen(viewer, layer)
    rows, columns = np.nonzero(seen)
    assert seen.any()
    assert not seen.all()
    assert region["y"][0] <= rows.min() <= rows.max() < region["y"][1]
    assert region["x"][0] <= columns.min() <= columns.max() < region["x"][1]
    if "rotate" not in placement and "affine" not in placement:
        # Upright, the box is tight but for pixels whose centre is off screen.
        assert region["y"][0] >= rows.min() - 1
        assert region["y"][1] <= rows.max() + 2
        assert region["x"][0] >= columns.min() - 1
        assert region["x"][1] <= columns.max() + 2


def test_units_of_layers_may_differ() -> None:
    viewer = ViewerModel()
    set_canvas(viewer, (100, 100))
    viewer.add_image(np.zeros((10, 10)), scale=(1, 1), units=("um", "um"))
    layer = viewer.add_image(np.zeros((100, 100)), scale=(100, 100), units=("nm", "nm"))
    camera(viewer).center = (4.95, 4.95)
    camera(viewer).zoom = 25.0
    micrometre_is = viewer.layers.extent.units
    factor = 1.0 if str(micrometre_is[0]).startswith("micro") else 1000.0
    camera(viewer).center = (4.95 * factor, 4.95 * factor)
    camera(viewer).zoom = 25.0 / factor
    region = viewport(viewer, layer, "yx")
    assert region == {"y": (30, 70), "x": (30, 70)}


def test_a_rectangle_becomes_the_pixels_it_covers() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((50, 60)), scale=(2, 2), translate=(10, 10))
    corners = [layer.data_to_world(c) for c in [(9.6, 4.5), (9.6, 20.5), (30.5, 20.5), (30.5, 4.5)]]
    shapes = viewer.add_shapes([corners])
    assert shape_box(viewer, shapes, layer, "yx") == {"y": (10, 31), "x": (5, 21)}


def test_a_rectangle_is_cut_at_the_border_and_refused_outside() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((50, 60)))
    shapes = viewer.add_shapes([[[-9, 40], [-9, 99], [10, 99], [10, 40]]], name="box")
    assert shape_box(viewer, shapes, layer, "yx") == {"y": (0, 11), "x": (40, 60)}
    shapes.data = [[[90, 40], [90, 99], [95, 99], [95, 40]]]
    with pytest.raises(InputError, match="'box' lies outside"):
        shape_box(viewer, shapes, layer, "yx")


def test_one_of_several_shapes_must_be_selected() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((50, 60)))
    box = np.array([[0, 0], [0, 4], [4, 4], [4, 0]])
    shapes = viewer.add_shapes([box, box + 20])
    with pytest.raises(InputError, match="has 2 shapes, 0 selected"):
        shape_box(viewer, shapes, layer, "yx")
    shapes.selected_data = {1}
    assert shape_box(viewer, shapes, layer, "yx")["y"] == (20, 25)


def test_a_flat_rectangle_bounds_a_stack() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 50, 60)), scale=(5, 1, 1))
    shapes = viewer.add_shapes([[[3, 3], [3, 9], [9, 9], [9, 3]]])
    viewer.dims.set_point(0, 10)
    assert shape_box(viewer, shapes, layer, "zyx") == {"y": (3, 10), "x": (3, 10)}
    assert shown_planes(viewer, layer, "zyx") == {"z": (2, 3)}


def test_the_displayed_axes_are_those_that_are_bounded() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((30, 50, 60)))
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_point(1, 7)
    set_canvas(viewer, (1000, 1000))
    camera(viewer).center = (15, 30)
    camera(viewer).zoom = 1
    assert viewport(viewer, layer, "zyx") == {"z": (0, 30), "x": (0, 60)}
    assert shown_planes(viewer, layer, "zyx") == {"y": (7, 8)}


def test_what_cannot_be_meant_is_refused() -> None:
    viewer = ViewerModel()
    set_canvas(viewer, (100, 100))
    layer = viewer.add_image(np.zeros((50, 60)), name="cells")
    camera(viewer).center = (1e6, 1e6)
    with pytest.raises(InputError, match="Nothing of layer 'cells' is on screen"):
        viewport(viewer, layer, "yx")
    viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="switch to 2D"):
        viewport(viewer, layer, "yx")
