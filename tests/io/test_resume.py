"""A result that was killed at any point is continued, and nobody can tell from the bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from files import tree

from napari_tincture import open_image, stain
from napari_tincture.errors import Cancelled
from napari_tincture.progress import CancelToken

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("kind", "seed"), [("plain", 3), ("normed", 4), ("labels", 5)])
def test_killed_at_random_calls_to_the_file_system(tmp_path, kind, seed):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SUPPORT / "killed.py", kind, tmp_path, "1", str(seed)],
        capture_output=True, text=True, cwd=SUPPORT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] > 3
    whole = tree(tmp_path / "whole.ome.zarr")
    assert len(whole) > 10
    again = tree(tmp_path / "0.ome.zarr")
    assert again.keys() == whole.keys()
    assert [name for name in whole if again[name] != whole[name]] == []


def test_the_threads_of_the_run_that_began_are_kept(tmp_path, plain, monkeypatch):
    monkeypatch.setattr("napari_tincture.io.layout.CHUNK", 64)
    monkeypatch.setattr("napari_tincture.io.layout.SHARD", 128)
    image = np.random.default_rng(0).random((2, 300, 400), np.float32)

    def run(name, threads, stop_at=None):
        cancel = CancelToken()

        def progress(done, _):
            if done == stop_at:
                cancel.cancel()

        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            stained = stain(open_image(image, axes="cyx"), plain, tile=64)
            stained.save(tmp_path / name, progress=progress, cancel=cancel)
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)

    (tmp_path / "whole").mkdir()
    run("whole/a.ome.zarr", 2)
    with pytest.raises(Cancelled, match="continues"):
        run("a.ome.zarr", 2, stop_at=9)
    run("a.ome.zarr", 1)
    assert tree(tmp_path / "a.ome.zarr") == tree(tmp_path / "whole" / "a.ome.zarr")
