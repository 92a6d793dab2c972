"""Which images there are does not depend on how the file system lists them, nor names on case."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image
from plates import write_plate

from napari_tincture.errors import InputError
from napari_tincture.io.images import Entry, find_images, stem_of, unique_names
from napari_tincture.raster import Raster


@pytest.fixture
def folder(tmp_path):
    """Images, and what lies beside images."""
    pixels = np.zeros((8, 8), np.uint8)
    for name in ("b.png", "a.tif", "sub/c.jpg", ".hidden.png", "sub/.cache/d.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    np.save(tmp_path / "c.npy", pixels)
    zarr.save_array(tmp_path / "z.zarr", pixels)
    (tmp_path / "z.zarr" / "inside.png").write_bytes((tmp_path / "b.png").read_bytes())
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["a.tif", "b.png", "c.npy", "z.zarr"]),
        ("*.png", ["b.png"]),
        ("**/*", ["a.tif", "b.png", "c.npy", "sub/c.jpg", "z.zarr"]),
    ],
)
def test_a_folder_gives_its_images_in_order(folder, pattern, expected):
    found = find_images(folder, pattern)
    assert [Path(e.label).relative_to(folder).as_posix() for e in found] == expected
    assert [e.source for e in found] == [folder / name for name in expected]


def test_results_within_the_folder_are_no_images(folder):
    found = find_images(folder, "**/*", folder / "sub")
    assert [e.source.name for e in found] == ["a.tif", "b.png", "c.npy", "z.zarr"]
    with pytest.raises(InputError, match="holds the images; results in it would be taken for"):
        find_images(folder, "*", folder)


def test_no_image_is_an_error_that_says_what_was_looked_for(folder):
    with pytest.raises(InputError, match=r"no image in .* for pattern '\*.svs'.*\.tif"):
        find_images(folder, "*.svs")
    with pytest.raises(InputError, match=r"no image in \[\]"):
        find_images([])
    with pytest.raises(InputError, match=r"a list of images, a folder or a plate, got ndarray"):
        find_images(np.zeros((3, 8, 8)))


def test_a_list_may_hold_anything(folder):
    raster = Raster.from_array(np.zeros((8, 8)), "yx", name="cells: a/b")
    members = [folder / "a.tif", "https://host/data/slide.ome.zarr/", raster, np.zeros((8, 8))]
    found = find_images(iter(members))
    assert [e.names[0] for e in found] == ["a", "slide", "cells_ a_b", "image-004"]
    assert found[1].source == "https://host/data/slide.ome.zarr"
    assert found[2].source is raster


def test_a_plate_gives_its_fields_wherever_it_is_named(tmp_path):
    plate = write_plate(tmp_path / "in" / "p.zarr", wells=("A/1", "B/2"))
    expected = [f"{plate}/{place}" for place in ("A/1/0", "A/1/1", "B/2/0", "B/2/1")]
    for images in (plate, str(plate), [plate], tmp_path / "in"):
        found = find_images(images)
        assert [str(e.source) for e in found] == expected
        assert [e.field.path for e in found] == ["A/1/0", "A/1/1", "B/2/0", "B/2/1"]
        assert len({id(e.plate) for e in found}) == 1


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["x/a.png", "x/b.png"], ["a", "b"]),
        (["x/a.png", "x/A.tif", "x/b.png"], ["a_png", "A_tif", "b"]),
        (["x/a.png", "y/a.png"], ["x_a_png", "y_a_png"]),
        (["x/a.png", "x/a.png"], ["x_a_png", "x_a_png-2"]),
        (
            ["x/a.ome.tif", "x/a.ome.zarr", "x/a_ome_tif.png"],
            ["x_a_ome_tif", "a_ome_zarr", "a_ome_tif_png"],
        ),
    ],
)
def test_names_are_short_and_never_alike(paths, expected):
    assert unique_names(find_images(paths)) == expected


def test_numbers_do_not_meet_names_that_end_in_numbers():
    entries = [Entry(None, "", (name,)) for name in ("a", "a", "a-2", "A")]
    assert unique_names(entries) == ["a", "a-3", "a-2", "A-4"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.png", "a"),
        ("a.b.OME.TIFF", "a.b"),
        ("a.ome.zarr", "a"),
        ("a.zarr", "a"),
        (".zarr", ".zarr"),
        ("plain", "plain"),
    ],
)
def test_stems(name, stem):
    assert stem_of(name) == stem
