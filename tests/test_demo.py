from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

import napari_tincture as nt
from napari_tincture import demo, samples
from napari_tincture.demo import as_target


def test_the_reference_is_mapped_to_the_range_of_the_model() -> None:
    target = nt.load_model("phase-to-dapi").card.recipe["data"]["targets"][0]
    values = np.asarray(as_target(samples.neuron_dapi()))
    raw = np.asarray(samples.neuron_dapi())
    expected = (raw - np.float32(target["low"])) / (target["high"] - target["low"])
    np.testing.assert_allclose(values, expected, atol=1e-6)


def _run(out: Path) -> str:
    command = [sys.executable, "-m", "napari_tincture.demo", "--out", str(out)]
    environment = {**os.environ, "CI": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_demonstration_stains_segments_compares_and_shows(tmp_path: Path) -> None:
    said = _run(tmp_path)
    pearson = float(re.search(r"Pearson correlation (\S+)", said)[1])
    ssim = float(re.search(r"SSIM +(\S+)", said)[1])
    f1 = float(re.search(r"F1 (\S+)", said)[1])
    # A little less than the shipped weights reach; README quotes the figures.
    assert pearson > 0.76
    assert ssim > 0.87
    assert f1 > 0.4
    stained, nuclei = (nt.open_image(tmp_path / f"{name}.ome.zarr") for name in ("stain", "nuclei"))
    assert stained.sizes == {"c": 3, "y": 1024, "x": 1024}
    assert nuclei.sizes == {"y": 1024, "x": 1024}
    assert nuclei.kind == "labels"
    picture = imread(tmp_path / "napari.png")
    assert picture.shape[0] > 800
    assert picture.shape[1] > 1200
    # Four panels, none of them empty.
    assert picture[..., :3].std(axis=(0, 1)).min() > 20


@pytest.mark.slow
def test_the_demonstration_does_a_mosaic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A part of the field instead of all of it; how it is aligned and shown is tested above.
    shown: list[demo.Scenes] = []
    compare = nt.compare
    monkeypatch.setattr(nt, "compare", lambda *a, align=None, **k: compare(*a, **k))
    monkeypatch.setattr(demo, "show", lambda scenes, _: shown.append(scenes))
    monkeypatch.setattr(demo, "SIDE", 256)
    monkeypatch.setattr(demo, "FIELD", {"y": slice(0, 256), "x": slice(0, 256)})
    monkeypatch.setattr(demo, "UNSEEN", {"y": slice(0, 256), "x": slice(64, 256)})
    demo.main(["--out", str(tmp_path), "--size", "320"])
    said = capsys.readouterr().out
    assert "Peak memory" in said
    assert nt.open_image(tmp_path / "stain.ome.zarr").sizes["x"] == 320
    assert shown[0].nuclei.sizes == {"y": 320, "x": 320}
    assert shown[0].reference_nuclei.sizes == {"y": 256, "x": 256}
