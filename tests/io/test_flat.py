"""PNG, JPEG, BMP and npy files."""

import pickle

import numpy as np
import pytest
from PIL import Image

from napari_tincture.errors import InputError
from napari_tincture.io.flat import FlatImage
from napari_tincture.io.open import open_image

RNG = np.random.default_rng(0)


def noise(*shape, dtype="uint8"):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


@pytest.mark.parametrize(
    ("values", "axes", "rgb"),
    [
        (noise(20, 30), "yx", False),
        (noise(20, 30, dtype="uint16"), "yx", False),
        (noise(20, 30) > 100, "yx", False),
        (noise(20, 30, 3), "cyx", True),
        (noise(20, 30, 4), "cyx", True),
    ],
    ids=["uint8", "uint16", "bool", "rgb", "rgba"],
)
def test_png_is_read_as_it_is(tmp_path, values, axes, rgb):
    Image.fromarray(values).save(tmp_path / "a.png")
    raster = open_image(tmp_path / "a.png")
    assert raster.axes == axes
    assert raster.rgb == rgb
    assert raster.dtype == values.dtype
    np.testing.assert_array_equal(np.asarray(raster.to_layer()[0]), values)


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("LA", 4), ("CMYK", 3)])
def test_other_colours_become_rgb(tmp_path, mode, channels):
    suffix = "jpg" if mode == "CMYK" else "png"
    image = Image.fromarray(noise(20, 30, 3)).convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    raster = open_image(tmp_path / f"a.{suffix}")
    assert raster.sizes["c"] == channels
    saved = Image.open(tmp_path / f"a.{suffix}").convert("RGBA" if channels == 4 else "RGB")
    np.testing.assert_array_equal(np.asarray(raster.to_layer()[0]), np.asarray(saved))


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "bmp"])
def test_jpeg_and_bmp(tmp_path, suffix):
    Image.fromarray(np.full((20, 30, 3), 100, np.uint8)).save(tmp_path / f"a.{suffix}")
    raster = open_image(tmp_path / f"a.{suffix}")
    assert raster.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(np.asarray(raster), 100)


def test_colour_with_16_bits_is_refused_rather_than_cut_to_8(tmp_path):
    codecs = pytest.importorskip("imagecodecs")
    (tmp_path / "a.png").write_bytes(codecs.png_encode(noise(20, 30, 3, dtype="uint16")))
    with pytest.raises(InputError, match="16 bits per sample"):
        open_image(tmp_path / "a.png")


def test_pixels_are_decoded_once_and_when_asked(tmp_path, monkeypatch):
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    decoded = []
    original = FlatImage._decode
    monkeypatch.setattr(FlatImage, "_decode", lambda self: decoded.append(1) or original(self))
    raster = open_image(tmp_path / "a.png")
    assert not decoded
    raster.compute()
    raster.read((slice(0, 3), slice(0, 3)))
    assert len(decoded) == 1
    pickle.loads(pickle.dumps(raster.data)).compute()
    assert len(decoded) == 2


def test_npy_files_are_mapped(tmp_path):
    np.save(tmp_path / "a.npy", noise(3, 20, 30))
    with pytest.raises(InputError, match="State them"):
        open_image(tmp_path / "a.npy")
    raster = open_image(tmp_path / "a.npy", axes="cyx")
    assert isinstance(raster.memory.base, np.memmap)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        open_image(tmp_path / "a.npy")
