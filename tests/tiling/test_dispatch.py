"""Looking at a network's calls neither loads torch's compiler nor is looked at by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from networks import EXACT

from napari_tincture.tiling.reach import measure

MEASURED = """
import sys
sys.path.insert(0, sys.argv[1])
from networks import EXACT
from napari_tincture.tiling.reach import measure
from napari_tincture.tiling.trim import trim_points
for name in ("unet", "unet instance", "squeeze-excite", "resnet", "group norm"):
    network = EXACT[name]()
    trim_points(network, 2, measure(network, 2))
loaded = {"torch._dynamo", "sympy"} & sys.modules.keys()
sys.exit(f"loaded: {loaded}" if loaded else 0)
"""


@pytest.mark.slow
def test_measuring_loads_no_compiler() -> None:
    support = str(Path(__file__).parents[1] / "support")
    command = [sys.executable, "-c", MEASURED, support]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_compiled_network_is_measured_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    network = EXACT["unet"]()
    compiled = torch.compile(network, backend="eager")
    assert measure(compiled, 2) == measure(network, 2)
    assert not [r for r in caplog.records if r.name.startswith("torch._dynamo")]
