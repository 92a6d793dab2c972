from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from two_processes import SCHEDULE, pairs, regression

from napari_tincture.errors import DeviceError
from napari_tincture.training.fabric import start_fabric
from napari_tincture.training.loop import Trainer

SCRIPT = Path(__file__).parents[1] / "support" / "two_processes.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="starts processes as Unix does")
def test_two_processes_learn_what_one_learns_from_both_batches(tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric")
    run = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    alone = Trainer(regression(seed=0), SCHEDULE)
    expected = alone.run(pairs)["forward"].state_dict()
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for key, value in expected.items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], value, rtol=1e-5, atol=1e-6)
    assert first["history"] == second["history"]
    assert len(first["history"]) == 1
    assert {file.name for file in (tmp_path / "0").iterdir()} == {"a.checkpoint", "a.csv"}
    assert not (tmp_path / "1").exists()
    pools = [torch.load(tmp_path / f"pool {rank}.pt", weights_only=True) for rank in (0, 1)]
    assert not torch.equal(pools[0][0], pools[1][0])
    assert all((tmp_path / f"stopped {rank}").exists() for rank in (0, 1))


def test_missing_fabric_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(DeviceError, match=r"napari-tincture\[gpus\]"):
        start_fabric(2)
