"""Outputs appear complete or not at all, and errors say what to do."""

import errno

import dask.array as da
import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from napari_tincture.errors import Cancelled, OutputError
from napari_tincture.io.open import open_image
from napari_tincture.io.output import appearing
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster

FORMATS = pytest.mark.parametrize("name", ["a.ome.zarr", "a.zarr", "a.ome.tif", "a.TIFF"])


def image(value=1, shape=(600, 600)):
    return Raster.from_array(da.full(shape, value, chunks=128, dtype="u1"), "yx")


@FORMATS
def test_an_existing_output_is_kept_unless_it_may_be_replaced(tmp_path, name):
    image(1).save(tmp_path / name)
    with pytest.raises(OutputError, match="overwrite=True"):
        image(2).save(tmp_path / name)
    assert open_image(tmp_path / name).compute()[0, 0] == 1
    image(2).save(tmp_path / name, overwrite=True)
    assert open_image(tmp_path / name).compute()[0, 0] == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.tex").touch()
    with pytest.raises(OutputError, match="no zarr store"):
        image().save(tmp_path / "a.zarr", overwrite=True)
    assert (tmp_path / "a.zarr" / "thesis.tex").exists()


@pytest.mark.parametrize("name", ["a", "a.png", "a.nd2"])
def test_formats_that_cannot_be_written_are_refused(tmp_path, name):
    with pytest.raises(OutputError, match=r"\.ome\.zarr"):
        image().save(tmp_path / name)


@FORMATS
def test_folders_are_made(tmp_path, name):
    image().save(tmp_path / "new" / "folder" / name)
    assert (tmp_path / "new" / "folder" / name).exists()


@FORMATS
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=f"{name} cannot be written"):
        image().save(tmp_path / "file" / name)


@FORMATS
def test_a_cancelled_output_leaves_nothing(tmp_path, name):
    token = CancelToken()

    def progress(done, total):
        if done == 3:
            # Until now the output is being made, and is not yet in its place.
            assert list(tmp_path.iterdir())
            assert not (tmp_path / name).exists()
            token.cancel()

    with pytest.raises(Cancelled):
        image().save(tmp_path / name, progress=progress, cancel=token)
    assert not list(tmp_path.iterdir())


@FORMATS
def test_a_failing_source_leaves_nothing_and_keeps_its_error(tmp_path, name):
    def fail(block):
        raise OSError("the network is down")

    broken = Raster.from_array(image().data.map_blocks(fail, meta=np.empty((0, 0), "u1")), "yx")
    image(7).save(tmp_path / name)
    with pytest.raises(OSError, match="the network is down") as caught:
        broken.save(tmp_path / name, overwrite=True)
    assert not isinstance(caught.value, OutputError)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert open_image(tmp_path / name).compute()[0, 0] == 7


@FORMATS
@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "not writable"), (errno.EIO, "another place")],
)
def test_errors_of_the_disk_become_a_remedy_and_leave_nothing(
    tmp_path, monkeypatch, name, code, remedy
):
    original, written = LocalStore.set, []

    async def full_after_some(self, key, value, *arguments):
        written.append(key)
        if len(written) > 12:
            raise OSError(code, "as the operating system says")
        return await original(self, key, value, *arguments)

    monkeypatch.setattr(LocalStore, "set", full_after_some)
    with pytest.raises(OutputError, match=remedy) as caught:
        image().save(tmp_path / name)
    assert name in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_tiff_is_written_leaves_nothing(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")

    def full(self, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    with pytest.raises(OutputError, match="disk is full"):
        image().save(tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())


def test_half_written_stores_are_not_opened_as_finished(tmp_path):
    seen = []

    def progress(done, total):
        if done == 10:
            (partial,) = (p for p in tmp_path.iterdir() if p.name.endswith(".partial"))
            seen.append("ome" in zarr.open_group(partial, mode="r").attrs)

    image().save(tmp_path / "a.ome.zarr", progress=progress)
    assert seen == [False]


def test_of_two_jobs_with_one_output_the_second_to_end_is_refused(tmp_path):
    def first_of_two():
        with appearing(tmp_path / "a.tif", overwrite=False) as first:
            first.write_text("first")
            with appearing(tmp_path / "a.tif", overwrite=False) as second:
                second.write_text("second")

    with pytest.raises(OutputError, match="exists"):
        first_of_two()
    assert (tmp_path / "a.tif").read_text() == "second"
    assert len(list(tmp_path.iterdir())) == 1
