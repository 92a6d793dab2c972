from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
from full_disk import disk_for

from napari_tincture.errors import InputError, OutputError
from napari_tincture.training.checkpoints import differences, load_checkpoint, save_checkpoint

CPU = torch.device("cpu")
RECIPE = {"schedule": {"steps": 3, "lr": 0.1}, "crop": 16}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    big = {"step": 2, "weights": torch.zeros(100_000)}
    with disk_for(50_000), pytest.raises(OutputError, match="There is none before it"):
        save_checkpoint(path, big, RECIPE)
    save_checkpoint(path, {"step": 1}, RECIPE)
    with disk_for(50_000), pytest.raises(OutputError, match=r"too large.*previous.*is kept"):
        save_checkpoint(path, big, RECIPE)
    assert load_checkpoint(path, RECIPE, CPU)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    (tmp_path / "run.checkpoint.0123abcd.partial").write_bytes(b"half")
    (tmp_path / "other.checkpoint.0123abcd.partial").write_bytes(b"another's")
    save_checkpoint(path, {"step": 1}, RECIPE)
    assert {file.name for file in tmp_path.iterdir()} == {
        "other.checkpoint.0123abcd.partial",
        path.name,
    }


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(InputError, match=r"no checkpoint.*Move it away"):
        load_checkpoint(path, RECIPE, CPU)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(path, RECIPE, CPU)
    torch.save({"format": 1, "recipe": "{}", "code": os.system}, path)
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(path, RECIPE, CPU)


def test_checkpoints_of_earlier_releases_say_by_their_recipe_what_they_computed_in(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.checkpoint"
    before, now = ({"schedule": {"precision": name}} for name in ("bfloat16", "auto"))
    save_checkpoint(path, {"step": 4}, before)
    assert load_checkpoint(path, now, CPU)["precisions"] == {"bfloat16": 4}


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="function"):
        save_checkpoint(tmp_path / "run.checkpoint", {"pool": [(len, disk_for)]}, RECIPE)


def test_differing_fields_are_named() -> None:
    now = {"schedule": {"steps": 9, "lr": 0.2, "clip": 1.0}, "crop": 16, "card": {"name": "x" * 99}}
    found = differences(RECIPE, now)
    assert found[:2] == ["schedule.lr (0.1 → 0.2)", "schedule.clip (null → 1.0)"]
    assert found[2].startswith("card (null → {")
    assert len(found) == 3
