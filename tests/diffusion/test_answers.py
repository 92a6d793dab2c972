"""Answers of a denoiser that are kept for a drawing that may be killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from napari_tincture.diffusion import answers
from napari_tincture.diffusion.answers import Journal


def test_an_answer_is_found_until_it_is_cleared(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "kept")
    assert journal.find("step 0") is None
    answer = torch.randn(1, 2, 3, 4)
    journal.keep("step 0", answer)
    found = Journal(tmp_path / "kept").find("step 0")
    assert found is not None
    assert torch.equal(found, answer)
    journal.clear()
    assert journal.find("step 0") is None
    assert not (tmp_path / "kept").exists()
    journal.clear()


def test_a_full_disk_ends_the_keeping_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, answer = Journal(tmp_path / "kept"), torch.zeros(1, 1, 20, 20)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(answers.shutil, "disk_usage", lambda _: usage._replace(free=4000))
    journal.keep("0 first", answer)
    journal.keep("0 second", answer)
    assert journal.find("0 first") is not None
    assert journal.find("0 second") is None
    journal.drop("0")
    journal.keep("1 third", answer)
    assert journal.find("1 third") is not None
    monkeypatch.undo()

    def full(path: Path, fill: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answers, "write_file", full)
    Journal(tmp_path / "other").keep("0 first", answer)
    assert Journal(tmp_path / "other").find("0 first") is None


def test_another_process_that_is_finished_first_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, answer = Journal(tmp_path / "kept"), torch.zeros(1, 1, 2, 2)
    write = answers.write_file

    def cleared(path: Path, fill: object) -> None:
        shutil.rmtree(path.parent)
        write(path, fill)  # type: ignore[arg-type]

    monkeypatch.setattr(answers, "write_file", cleared)
    journal.keep("step 0", answer)
    assert journal.find("step 0") is None
    monkeypatch.undo()
    journal.keep("step 1", answer)
    assert torch.equal(journal.find("step 1"), answer)  # type: ignore[arg-type]
