"""Model inputs are matched where there is no doubt, and asked for where there is."""

from __future__ import annotations

import numpy as np

from napari_tincture.raster import Raster
from napari_tincture.widgets._inputs import guess, origins, summary


def raster(axes: str, *shape: int, **options: object) -> Raster:
    return Raster.from_array(np.zeros(shape, np.uint8), axes, **options)


def proposed(
    inputs: list[str], chosen: str, **rasters: Raster
) -> list[tuple[str, str, int] | None]:
    found = guess(inputs, origins(rasters, chosen), chosen)
    return [None if o is None else (o.layer, o.axis, o.index) for o in found]


def test_one_input_takes_a_layer_without_channels_as_it_is() -> None:
    assert proposed(["phase"], "a", a=raster("yx", 5, 5)) == [("a", "", 0)]
    assert proposed(["phase"], "a", a=raster("tzyx", 2, 7, 5, 5)) == [("a", "", 0)]


def test_as_many_channels_or_planes_as_inputs_are_taken_in_order() -> None:
    three = ["one", "two", "three"]
    assert proposed(three, "a", a=raster("cyx", 3, 5, 5)) == [("a", "c", i) for i in range(3)]
    assert proposed(three, "a", a=raster("zyx", 3, 5, 5)) == [("a", "z", i) for i in range(3)]


def test_copies_of_a_grey_channel_are_those_of_the_layer() -> None:
    grey = ["grey 1", "grey 2", "grey 3"]
    for layer in (raster("yx", 5, 5), raster("zyx", 3, 5, 5)):
        found = guess(grey, origins({"a": layer}, "a"), "a")
        assert [(o.layer, o.axis) for o in found if o] == [("a", "")] * 3
        assert summary(found) == "the layer"
    assert proposed(grey, "a", a=raster("cyx", 3, 5, 5)) == [None] * 3


def test_names_win_over_order() -> None:
    layer = raster("cyx", 3, 5, 5, channels=("DAPI", "MAP-2", "NFH"))
    assert proposed(["map2", "dapi"], "a", a=layer) == [("a", "c", 1), ("a", "c", 0)]


def test_inputs_may_come_from_several_layers() -> None:
    layers = {"red": raster("yx", 5, 5), "green": raster("yx", 5, 5)}
    assert proposed(["green", "red"], "red", **layers) == [("green", "", 0), ("red", "", 0)]


def test_what_is_in_doubt_is_left_open() -> None:
    assert proposed(["phase"], "a", a=raster("cyx", 3, 5, 5)) == [None]
    assert proposed(["one", "two"], "a", a=raster("yx", 5, 5)) == [None, None]
    assert proposed(["one", "two"], "a", a=raster("zyx", 7, 5, 5)) == [None, None]


def test_the_summary_is_short() -> None:
    choices = origins({"a": raster("zyx", 3, 5, 5), "b": raster("yx", 5, 5)}, "a")
    planes = [choice for choice in choices if choice.axis == "z"]
    assert summary(planes) == "z planes 0, 1, 2"
    assert summary([planes[0], None]) == "1 of 2 to choose"
    assert summary([planes[0], choices[-1]]) == "from 2 layers"
