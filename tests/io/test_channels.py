"""Images are joined as channels where they lie in the world, or refused by name."""

import numpy as np
import pytest
from napari.layers import Image

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image, reopen
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster, SourceRef

RNG = np.random.default_rng(0)


def placed(array, axes="yx", name="", **placement):
    return Raster.from_array(
        array, axes, name=name, placement=Placement.build(tuple(axes), **placement)
    )


def test_channels_are_named_after_their_images():
    a, b = RNG.random((5, 6)), RNG.random((5, 6))
    joined = open_image([placed(a, name="DAPI"), placed(b, name="MAP2")])
    assert joined.axes == "cyx"
    assert joined.channels == ("DAPI", "MAP2")
    np.testing.assert_array_equal(np.asarray(joined), np.stack([a, b]))


def test_channels_of_an_image_keep_their_names():
    many = open_image(RNG.random((2, 5, 6)), axes="cyx", channels=["a", "b"])
    one = open_image(RNG.random((5, 6)), channels=["phase"])
    assert open_image([many, one]).channels == ("a", "b", "phase")
    assert open_image([np.zeros((5, 6)), np.zeros((5, 6))], channels="pq").channels == ("p", "q")


def test_the_place_is_that_of_the_first():
    turn = {"rotate": [[0.6, -0.8], [0.8, 0.6]], "scale": (2, 3), "translate": (4, 5)}
    first, second = (placed(RNG.random((5, 6)), units="um", **turn) for _ in range(2))
    joined = open_image([first, second])
    assert joined.placement.drop(0) == first.placement


def test_time_series_and_stacks_are_joined():
    joined = open_image([placed(np.zeros((2, 3, 5, 6)), "tzyx") for _ in range(2)])
    assert joined.sizes == {"t": 2, "c": 2, "z": 3, "y": 5, "x": 6}


def test_equal_grids_in_other_units_are_equal():
    first = placed(np.zeros((5, 6)), scale=0.5, units="um")
    second = placed(np.ones((5, 6)), scale=(500, 500), units="nm")
    first = placed(np.zeros((5, 6)), scale=(0.5, 0.5), units="um")
    assert open_image([first, second]).shape == (2, 5, 6)
    with pytest.raises(InputError, match="not aligned"):
        open_image([first, placed(np.ones((5, 6)), scale=(0.5, 0.5), units="nm")])


def test_grids_apart_by_whole_pixels_are_joined_on_their_common_area():
    whole = RNG.random((20, 30))
    turn = {"rotate": [[0.6, -0.8], [0.8, 0.6]], "scale": (2, 2)}
    base = placed(whole, **turn)
    first = base.crop({"y": slice(0, 15), "x": slice(4, 30)})
    second = base.crop({"y": slice(6, 20), "x": slice(0, 22)})
    joined = open_image([first, second])
    common = whole[6:15, 4:22]
    np.testing.assert_array_equal(np.asarray(joined), np.stack([common, common]))
    expected = base.crop({"y": slice(6, 15), "x": slice(4, 22)}).placement
    np.testing.assert_allclose(joined.placement.drop(0).matrix(), expected.matrix(), atol=1e-12)


def test_a_shift_of_a_small_fraction_of_a_pixel_is_none():
    assert open_image([placed(np.zeros((5, 6))), placed(np.ones((5, 6)), translate=(0.01, 0))])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"translate": (0.5, 0)}, "not aligned"),
        ({"scale": (1.1, 1)}, "not aligned"),
        ({"rotate": [[0, -1], [1, 0]]}, "not aligned"),
        ({"translate": (100, 0)}, "does not overlap"),
        ({"translate": (0, -6)}, "does not overlap"),
    ],
)
def test_images_elsewhere_are_refused_by_name(other, reason):
    with pytest.raises(
        InputError, match=f"'second' {'is ' if reason.startswith('n') else ''}{reason}"
    ):
        open_image([placed(np.zeros((5, 6)), name="first"),
                    placed(np.zeros((5, 6)), name="second", **other)])  # fmt: skip


def test_other_axes_are_refused_by_name():
    with pytest.raises(InputError, match=r"'stack' has axes 'zyx'.*'first' has 'yx'"):
        open_image([placed(np.zeros((5, 6)), name="first"),
                    placed(np.zeros((2, 5, 6)), "zyx", name="stack")])  # fmt: skip


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.tif"):
        open_image([np.zeros((5, 6)), tmp_path / "absent.tif"])


def test_an_empty_list_is_refused():
    with pytest.raises(InputError, match="empty list"):
        open_image([])


def test_data_types_are_widened_without_loss():
    first = np.full((5, 6), 200, np.uint8)
    second = np.full((5, 6), 60000, np.uint16)
    joined = open_image([first, second])
    assert joined.dtype == np.uint16
    assert np.asarray(joined)[:, 0, 0].tolist() == [200, 60000]


def test_layers_are_joined_and_can_be_opened_elsewhere(tmp_path):
    paths = []
    for name in ("a", "b"):
        paths.append(tmp_path / f"{name}.npy")
        np.save(paths[-1], RNG.random((8, 9)))
    joined = open_image(paths, scale=0.5, units="um").crop({"x": slice(2, 7)})
    again = reopen(SourceRef.from_json(joined.source.to_json()))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(joined))
    assert again.placement == joined.placement
    assert again.channels == ("a", "b")
    layers = [Image(np.zeros((8, 9)), name=n, scale=(2, 2)) for n in "pq"]
    assert open_image(layers).channels == ("p", "q")
    assert open_image([*layers, np.zeros((8, 9))][:2]).source is None


def test_pyramids_are_kept_where_all_have_them():
    pyramid = Raster.from_array([np.zeros((8, 8)), np.zeros((4, 4))], "yx")
    assert [level.shape for level in open_image([pyramid, pyramid]).levels] == [
        (2, 8, 8),
        (2, 4, 4),
    ]
    assert len(open_image([pyramid, np.zeros((8, 8))]).levels) == 1


def test_colour_images_lose_only_their_colour_flag():
    colour = Raster.from_array(
        np.zeros((5, 6, 3), np.uint8), "yxc", rgb=True, name="smear",
        channels=("red", "green", "blue"),
    )  # fmt: skip
    joined = open_image([colour, np.zeros((5, 6), np.uint8)])
    assert not joined.rgb
    assert joined.channels == ("smear red", "smear green", "smear blue", "channel")
