"""A result that was killed at any point is continued, and nobody can tell from the bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from files import tree

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["plain", "normed", "labels"])
def test_killed_at_random_calls_to_the_file_system(tmp_path, kind):
    trials = 3
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SUPPORT / "killed.py", kind, tmp_path, str(trials), "3"],
        capture_output=True, text=True, cwd=SUPPORT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] > 2 * trials
    whole = tree(tmp_path / "whole.ome.zarr")
    assert len(whole) > 10
    for trial in range(trials):
        again = tree(tmp_path / f"{trial}.ome.zarr")
        assert again.keys() == whole.keys()
        # The name of the result is in its metadata.
        assert [name for name in whole if again[name] != whole[name]] == []
