"""What cannot be read is named or left out; what a pixel becomes does not depend on the tiles."""

from __future__ import annotations

import pickle
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from models import image_of, model_of
from networks import Fn, conv
from server import serving

import napari_tincture as nt
from napari_tincture.arrays import stored_edges
from napari_tincture.errors import Cancelled, DeviceError, InputError, TinctureWarning
from napari_tincture.models import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.tiling import reading
from napari_tincture.tiling.inputs import Inputs, Lane
from napari_tincture.tiling.reading import Reader

VALUES = image_of((2, 3, 200, 170)) // 2 + 50
NONE = Normalisation("none")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(reading, "PAUSES", (0, 0, 0))


def damaged(folder: Path, *chunks: str, axes: str = "tcyx") -> Raster:
    """A zarr of 64 × 64 chunks, some of whose files are cut off."""
    array = zarr.create_array(
        folder / "a.zarr", shape=VALUES.shape, chunks=(1, 1, 64, 64), dtype="u1",
        dimension_names=list(axes),
    )  # fmt: skip
    array[:] = VALUES
    for chunk in chunks:
        file = folder / "a.zarr" / "c" / chunk
        file.write_bytes(file.read_bytes()[:20])
    return nt.open_image(folder / "a.zarr")


def repaired(*chunks: str) -> np.ndarray:
    """What the damaged image is taken as."""
    result = VALUES.copy()
    bad = [tuple(int(i) for i in chunk.split("/")) for chunk in chunks]
    for t, c, row, column in bad:
        around = [
            VALUES[t, c, 64 * i : 64 * i + 64, 64 * j : 64 * j + 64]
            for i in range(max(row - 1, 0), row + 2)
            for j in range(max(column - 1, 0), column + 2)
            if (t, c, i, j) not in bad
        ]
        least = min((part.min() for part in around if part.size), default=0)
        result[t, c, 64 * row : 64 * row + 64, 64 * column : 64 * column + 64] = least
    return result


def identity():
    return model_of(Fn(lambda _, x: x), 1, normalisation=NONE)


class Flaky:
    """An array that cannot be read the first so many times."""

    shape, dtype, ndim = (40, 30), np.dtype("u1"), 2

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.asked = failures, error, 0
        self.values = image_of((40, 30))

    def __getitem__(self, index):
        self.asked += 1
        if self.asked <= self.failures:
            raise self.error
        return self.values[index]


@pytest.mark.parametrize("failures", [0, 1, 4])
@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("codec"), TimeoutError()])
def test_a_passing_fault_leaves_no_trace(failures, error):
    source = Flaky(failures, error)
    raster = Raster.from_array(source, "yx")
    reader = Reader()
    window = {"y": slice(3, 20), "x": slice(5, 30)}
    np.testing.assert_array_equal(reader.read(raster, window), source.values[3:20, 5:30])
    assert source.asked == failures + 1
    assert reader.events == []


def test_after_several_attempts_it_ends_and_names_the_place():
    source = Flaky(99, OSError("gone"))
    inputs = Inputs((Lane(Raster.from_array(source, "yx", name="slide"), {}),), "")
    with pytest.raises(InputError, match=r"slide at y=0:40, x=0:30 cannot be read, tried 4 t"):
        inputs.read((), slice(0, 40), slice(0, 30))
    assert source.asked == 1 + 4


KINDS = [MemoryError, Cancelled, DeviceError, InputError, KeyboardInterrupt]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_fault_of_the_source_passes_at_once(kind):
    source = Flaky(99, kind("x"))
    raster = Raster.from_array(source, "yx")
    with pytest.raises(kind):
        Reader("background").read(raster, {"y": slice(0, 9), "x": slice(0, 9)})
    assert source.asked == 1


def test_a_damaged_chunk_is_named(tmp_path):
    image = damaged(tmp_path, "1/2/1/0")
    message = r"a at t=1, c=2, y=64:128, x=0:64 cannot be read.*on_read_error='background'"
    with pytest.raises(InputError, match=message):
        nt.stain(image, identity(), channels=[2], tile=32).compute()
    part = nt.stain(image, identity(), channels=[2], region={"t": (0, 1)})
    np.testing.assert_array_equal(part.compute()[0], VALUES[0, 2])
    with pytest.raises(InputError, match=r"t=1, c=2, y=64"):
        nt.stain(image, identity(), channels=[2], region={"t": (1, 2)}).compute()


@pytest.mark.parametrize("tile", [32, 50, 512])
@pytest.mark.parametrize("chunks", [["0/1/1/1"], ["0/1/0/0", "0/1/0/1"], ["0/1/3/2", "1/1/3/2"]])
def test_a_damaged_chunk_is_left_out_whatever_the_tiles(tmp_path, chunks, tile):
    image = damaged(tmp_path, *chunks)
    result = nt.stain(image, identity(), channels=[1], tile=tile, on_read_error="background")
    with pytest.warns(TinctureWarning, match="cannot be read and was taken as") as told:
        path = result.save(tmp_path / "out.ome.zarr")
    saved = nt.open_image(path)
    np.testing.assert_array_equal(np.asarray(saved), repaired(*chunks)[:, 1])
    events = saved.provenance["events"]
    assert len(events) == len(told) == len(chunks)
    assert events == sorted(events)
    t, c, row, column = map(int, chunks[0].split("/"))
    assert events[0].startswith(f"a at t={t}, c={c}, y={64 * row}:")
    assert f"x={64 * column}:" in events[0]


def test_lazy_reading_gives_the_same(tmp_path):
    image = damaged(tmp_path, "0/0/1/1")
    blur = Fn(lambda self, x: self.a(x), a=conv(1, 1, 9))
    model = model_of(blur, 1, normalisation=Normalisation("standard"))
    arguments = {"channels": [0], "on_read_error": "background"}
    with pytest.warns(TinctureWarning):
        lazy = nt.stain(image, model, tile=32, **arguments).data.compute()
    with pytest.warns(TinctureWarning):
        whole = nt.stain(image, model, tile=512, **arguments).compute()
    np.testing.assert_allclose(lazy, whole, atol=1e-4)
    expected = nt.stain(Raster.from_array(repaired("0/0/1/1")[:, 0], "tyx"), model).compute()
    np.testing.assert_allclose(whole, expected, atol=1e-4)


def test_only_the_damaged_channel_is_left_out(tmp_path):
    image = damaged(tmp_path, "0/1/0/1")
    model = model_of(Fn(lambda _, x: x), 3, 3, normalisation=NONE)
    with pytest.warns(TinctureWarning, match="c=1"):
        found = nt.stain(image, model, region={"t": (0, 1)}, on_read_error="background").compute()
    np.testing.assert_array_equal(found[0], repaired("0/1/0/1")[0])


def test_a_file_that_is_gone_is_taken_as_dark(tmp_path):
    from PIL import Image

    Image.fromarray(VALUES[0, 0]).save(tmp_path / "a.png")
    file = tmp_path / "a.png"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"a at y=0:200, x=0:170 cannot be read, tried 4 times"):
        nt.stain(file, identity()).compute()
    with pytest.warns(TinctureWarning, match="was taken as 0"):
        found = nt.stain(file, identity(), on_read_error="background").compute()
    assert (found == 0).all()


def test_the_other_images_of_a_batch_are_done(tmp_path):
    image = damaged(tmp_path, "0/0/1/1")
    one = image.plane(t=0, c=0)
    good = Raster.from_array(VALUES[0, 0], "yx", name="good")
    report = nt.batch([one, good], "stain", identity(), tmp_path / "out")
    assert [each.path.name for each in report.done] == ["good.ome.zarr"]
    assert "y=64:128, x=64:128" in report.failed[0].reason
    with pytest.warns(TinctureWarning):
        report = nt.batch(
            [one, good], "stain", identity(), tmp_path / "out2", on_read_error="background"
        )
    assert len(report.done) == 2


def test_other_policies_are_refused():
    with pytest.raises(InputError, match="on_read_error='skip': expected 'stop' or 'background'"):
        nt.stain(VALUES[0, 0], identity(), on_read_error="skip")


def test_a_reader_travels_without_its_lock(tmp_path):
    image = damaged(tmp_path, "0/0/0/0").plane(t=0, c=0)
    reader = Reader("background", {"z": 4})
    window = {"y": slice(0, 100), "x": slice(0, 100)}
    with pytest.warns(TinctureWarning):
        found = reader.read(image, window)
    again = pickle.loads(pickle.dumps(reader))
    assert again.events == reader.events != []
    np.testing.assert_array_equal(reader.read(image, window), found)


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (slice(0, 3000), [*range(0, 3000, 200), 3000]),
        (slice(150, 3000), [0, 50, *range(250, 2850, 200), 2850]),
        (slice(1010, 1390), [0, 190, 380]),
    ],
)
def test_where_stored_pieces_begin(tmp_path, crop, expected):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(3000, 8), chunks=(200, 8), dtype="u1")
    raster = Raster.from_array(array, "yx").crop({"y": crop})
    assert stored_edges(raster.data, 0) == expected
    assert stored_edges(raster.data, 1) == [0, 8]


def test_windows_of_parts_of_parts_read_no_more_than_they_hold():
    read = []

    class Source:
        shape, dtype, ndim = (2, 3, 3000, 2500), np.dtype("u1"), 4

        def __getitem__(self, index):
            read.append(index)
            return np.zeros(self.shape, "u1")[index]

    image = Raster.from_array(Source(), "tcyx")
    part = image.crop({"t": slice(1, 2)}).plane(c=2).crop({"y": slice(100, 2900)})
    again = image.crop({"t": slice(1, 2)}).plane(c=2).crop({"y": slice(100, 2900)})
    del again
    Reader().read(part, {"t": 0, "y": slice(5, 9), "x": slice(1000, 1100)})
    part.read((slice(0, 1), slice(5, 9), slice(7, 9)))
    places = sorted([(s.start, s.stop) for s in index] for index in read)
    assert places == [[(1, 2), (2, 3), (105, 109), x] for x in ((7, 9), (1000, 1024), (1024, 1100))]


def test_dask_arrays_are_stored_in_their_blocks():
    array = da.zeros((50, 40), chunks=((20, 30), (40,)), dtype="u1")
    assert stored_edges(Raster.from_array(array, "yx").data, 0) == [0, 20, 50]


# Behind a URL


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A zarr image on a server, and limits that are short."""
    monkeypatch.setenv("NAPARI_TINCTURE_READ_TIMEOUT", "0.3")
    damaged(tmp_path)
    with serving(tmp_path) as server:
        yield server, nt.open_image(f"{server.url}/a.zarr")


CHUNK = "/a.zarr/c/0/1/1/1"


@pytest.mark.parametrize("fault", ["stall", "fail", "break"])
def test_a_fault_of_the_connection_that_passes_leaves_no_trace(remote, fault):
    server, image = remote
    server.faults[CHUNK] = fault, 1
    found = nt.stain(image, identity(), channels=[1], tile=64).compute()
    np.testing.assert_array_equal(found, VALUES[:, 1])
    assert server.faults[CHUNK] == (fault, 0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["stall", "fail", "break"])
def test_a_lasting_fault_of_the_connection_names_the_place(remote, fault):
    server, image = remote
    server.faults[CHUNK] = fault, 999
    with pytest.raises(InputError, match=r"t=0, c=1, y=64:128, x=64:128 cannot be read, tried 4 t"):
        nt.stain(image, identity(), channels=[1]).compute()
    server.asked.clear()
    lazy = nt.stain(image, identity(), channels=[1], tile=32, on_read_error="background")
    with pytest.warns(TinctureWarning, match="cannot be read and was taken as") as told:
        found = lazy.compute()
    np.testing.assert_array_equal(found, repaired("0/1/1/1")[:, 1])
    assert len(told) == 1
    assert server.asked.count(CHUNK) <= 6, "asked again although it is known to fail"


def test_a_server_that_stalls_from_the_start_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_TINCTURE_READ_TIMEOUT", "0.3")
    with serving(tmp_path) as server:
        server.faults = dict.fromkeys(("/a.zarr/zarr.json", "/a.zarr/.zarray"), ("stall", 99))
        with pytest.raises(InputError, match=r"cannot be opened as zarr: .*[Tt]imeout"):
            nt.open_image(f"{server.url}/a.zarr")
