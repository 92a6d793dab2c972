from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disk import disk_for

from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.open import open_image
from napari_tincture.training import correction_set
from napari_tincture.training.correction_set import Corrections, Region


def region(seed: int = 0, box: tuple[int, ...] = (0, 8, 0, 10), **changes: Any) -> Region:
    rng = np.random.default_rng(seed)
    marks = np.zeros((8, 10), np.uint8)
    marks[2:4, :5], marks[5, 3:6] = 1, 2
    facts = {"model": "m", "weights": "w", "weight": 10.0, "source": {"name": "s"},
             "plane": {}, "box": list(box), "values": {}}  # fmt: skip
    fields = {
        "input": rng.integers(0, 9, (2, 8, 10)).astype(np.uint16),
        "stain": rng.random((3, 8, 10), np.float32),
        "marks": marks, "reference": None, "facts": facts,
    }  # fmt: skip
    return Region(**{**fields, **changes})


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    reference = np.arange(240, dtype=np.uint8).reshape(3, 8, 10)
    given = region(reference=reference)
    data = Corrections(tmp_path / "set")
    assert data.add([given]) == 1
    (record,) = Corrections(tmp_path / "set").records()
    assert (record.right, record.wrong, record.reference) == (10, 3, True)
    assert record.facts == given.facts
    for name, values in given.files.items():
        found = open_image(data.path(record, name), axes="cyx")
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(np.asarray(found), values)
    assert repr(data).endswith("1 region, 1 with a reference")


def test_weights_say_of_which_pixels_the_target_is_known() -> None:
    given = region()
    np.testing.assert_array_equal(given.weight, given.marks == 1)
    covered = np.ones((8, 10), bool)
    covered[:, 4:] = False
    known = region(reference=np.zeros((3, 8, 10), np.uint8), covered=covered)
    expected = np.where(known.marks == 2, 10.0, 1.0) * covered
    np.testing.assert_array_equal(known.weight, expected)


def test_nothing_is_stored_twice_and_the_larger_region_replaces_its_part(tmp_path: Path) -> None:
    data = Corrections(tmp_path)
    assert data.add([region(0), region(0), region(1, box=(50, 58, 0, 10))]) == 2
    files = set((tmp_path / "crops").iterdir())
    assert data.add([region(0)]) == 0
    assert set((tmp_path / "crops").iterdir()) == files
    first = data.records()[0]
    assert data.add([region(2, box=(0, 20, 0, 20))]) == 1
    assert len(data) == 2
    assert first.id not in {record.id for record in data.records()}
    # A recipe that was made before still finds it.
    (kept,) = data.records([first.id])
    assert kept.replaced == data.records()[-1].id
    assert files <= set((tmp_path / "crops").iterdir())
    other = region(3, facts={**region().facts, "weights": "another", "box": [0, 99, 0, 99]})
    data.add([other])
    assert len(data) == 3


def test_a_kill_between_files_leaves_the_set_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Corrections(tmp_path)
    data.add([region(0)])
    before, plain = data.records(), correction_set.write_file
    for last in range(5):
        written: list[Path] = []

        def dying(path: Path, write: Any, last: int = last, written: Any = written) -> None:
            written.append(path)
            if len(written) > last:
                path.with_name(f"{path.name}.dead.partial").write_bytes(b"half")
                raise KeyboardInterrupt
            plain(path, write)

        with monkeypatch.context() as patch:
            patch.setattr(correction_set, "write_file", dying)
            if last == 4:  # all crops are there, the index is not
                patch.setattr(correction_set, "write_file", plain)
                patch.setattr(correction_set, "write_json", dying)
                written.extend(Path() for _ in range(4))
            with pytest.raises(KeyboardInterrupt):
                data.add([region(1)])
        assert data.records() == before
    assert data.add([region(1)]) == 1
    for record in data.records():
        assert open_image(data.path(record, "weight"), axes="cyx").shape == (1, 8, 10)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")
def test_a_full_disk_leaves_the_set_as_it_was(tmp_path: Path) -> None:
    data = Corrections(tmp_path)
    data.add([region(0)])
    large = region(1, stain=np.random.default_rng(0).random((3, 200, 200), np.float32))
    with disk_for(20_000), pytest.raises(OutputError, match="what was stored before is kept"):
        data.add([large])
    assert len(data) == 1
    assert not list(tmp_path.rglob("*.partial"))


def test_two_processes_may_store_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from test_correction_set import Corrections, region\n"
        "for seed in range(int(sys.argv[2]), 30, 2):\n"
        "    Corrections(sys.argv[1]).add([region(seed, box=(20 * seed, 20 * seed + 8, 0, 10))])\n"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(first), *folders])
        for first in (0, 1)
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert len(Corrections(tmp_path)) == 30


def test_a_damaged_or_foreign_index_is_refused(tmp_path: Path) -> None:
    data = Corrections(tmp_path)
    assert len(data) == 0
    index = tmp_path / "index.json"
    for text in ("{", "[]", '{"format": 1, "regions": [{"id": 1, "odd": 2}]}'):
        index.write_text(text)
        with pytest.raises(InputError, match="cannot be read as the index"):
            data.add([region()])
    index.write_text(json.dumps({"format": 2, "regions": []}))
    with pytest.raises(InputError, match=r"format 2.*Update"):
        data.records()
    index.unlink()
    data.add([region()])
    with pytest.raises(InputError, match="no correction absent"):
        data.records(["absent"])
