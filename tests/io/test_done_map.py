"""The list of finished shards survives whatever a kill or a power failure leaves of its end."""

from __future__ import annotations

import pytest

from napari_tincture.io.done_map import DoneMap

RECORDS = {(0, 0, 1): {"bytes": 17}, (0, 1, 1): {"bytes": 0}, (1, 0, 0): {"bytes": 3}}


def filled(path):
    with DoneMap(path) as done:
        for key, record in RECORDS.items():
            done.add(key, record)


def test_what_was_added_is_there_again(tmp_path):
    filled(tmp_path / "done")
    with DoneMap(tmp_path / "done") as done:
        assert {key: done[key] for key in done.keys} == RECORDS
        done.forget((0, 0, 1))
        assert (0, 0, 1) not in done
        done.add((0, 0, 1), {"bytes": 5})
    with DoneMap(tmp_path / "done") as done:
        assert done[0, 0, 1] == {"bytes": 5}
        assert len(done) == 3


def test_any_cut_loses_nothing_but_the_cut_line(tmp_path):
    filled(tmp_path / "whole")
    text = (tmp_path / "whole").read_bytes()
    for length in range(len(text) + 1):
        (tmp_path / "cut").write_bytes(text[:length])
        with DoneMap(tmp_path / "cut") as done:
            assert len(done) == text[:length].count(b"\n")
            done.add((9, 9, 9), {"bytes": 1})
        with DoneMap(tmp_path / "cut") as done:
            assert (9, 9, 9) in done
            assert len(done) == text[:length].count(b"\n") + 1


@pytest.mark.parametrize("garbage", [b"\0" * 40 + b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n"])
def test_what_is_no_record_ends_the_list(tmp_path, garbage):
    filled(tmp_path / "done")
    with (tmp_path / "done").open("ab") as file:
        file.write(garbage)
    with DoneMap(tmp_path / "done") as done:
        assert {key: done[key] for key in done.keys} == RECORDS
