"""Trainings on real, synthetic and both kinds of images, tested on the same real ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painters import at_once, label_map
from translations import narrowed

import napari_tincture as nt
from napari_tincture.errors import Cancelled, InputError
from napari_tincture.io.identity import signature
from napari_tincture.progress import CancelToken
from napari_tincture.tasks.synthesis_benchmark import SynthesisBenchmark
from napari_tincture.training.presets import preset

# Two steps teach nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.*no better than a constant")
CLASSES = [
    {"value": 0, "name": "field"},
    {"value": 1, "name": "cell"},
    {"value": 4, "name": "wall"},
]
RECIPE = narrowed(
    preset(
        "segmentation", "tiny", in_channels=1, out_channels=3, name="small", steps=2, crop=32,
        validate_every=2, save_every=1, options={"unlabelled": -1, "classes": CLASSES},
        split={"validation": ["v"], "test": ["t"]},
    )
)  # fmt: skip


def images(names: str = "abcdvt") -> dict[str, Any]:
    """Real images, which are what `at_once` makes of their maps, and noise."""
    found: dict[str, Any] = {"image": [], "labels": []}
    for seed, name in enumerate(names):
        labels = label_map(48, 64, seed)
        grey = np.asarray(nt.synthesize(labels, at_once())).astype(float)
        noise = np.random.default_rng(seed).normal(0, 9, grey.shape)
        for side, values in (("image", grey + noise), ("labels", labels)):
            raster = nt.open_image(values.clip(0, 255).astype(np.uint8), axes="yx")
            found[side].append(replace(raster, name=name))
    return found


def benchmark(work: Path, recipe: Any = RECIPE, **how: Any) -> SynthesisBenchmark:
    given = {"images": images(), "repeats": 1, "device": "cpu", **how}
    return nt.benchmark_synthesis(at_once(), ".", recipe, work=work, **given)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SynthesisBenchmark]:
    """Two repetitions, and where they are kept."""
    work = tmp_path_factory.mktemp("twice")
    return work, benchmark(work, variants=2, repeats=2)


def test_all_kinds_are_tested_on_the_same_images(twice: tuple[Path, SynthesisBenchmark]) -> None:
    work, found = twice
    assert found.images == {"real": 4, "synthetic": 8, "both": 12}
    scores = {kind: own["mean_iou"] for kind, own in found.figures.items()}
    assert all(len(values) == 2 for values in scores.values())
    # What a constant prediction has depends on the test images alone.
    assert len({value for own in found.figures.values() for value in own["constant"]}) == 1
    gains = [100 * (b - a) for a, b in zip(scores["real"], scores["both"], strict=True)]
    assert found.gain.mean == pytest.approx(np.mean(gains))
    assert found.gain.deviation == pytest.approx(np.std(gains, ddof=1))
    lines = found.to_markdown().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:5]] == ["real", "synthetic", "both"]
    assert f"{found.gain.mean:+.1f}" in lines[-1]
    assert json.loads((work / "benchmark.json").read_text()) == found.to_dict()


def test_real_images_and_maps_can_be_fewer_or_others(tmp_path: Path) -> None:
    found = benchmark(tmp_path / "w", real_share=0.25, maps=[label_map(40, 50, 9)] * 3)
    assert found.images == {"real": 1, "synthetic": 3, "both": 4}


def test_it_goes_on_where_it_stopped(
    twice: tuple[Path, SynthesisBenchmark], tmp_path: Path
) -> None:
    token, told = CancelToken(), []

    def stop(done: int, total: int) -> None:
        told.append(total)
        if done == 3:  # within the second training
            token.cancel()

    with pytest.raises(Cancelled):
        benchmark(tmp_path, variants=2, progress=stop, cancel=token)
    assert set(told) == {6}
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.safetensors")}
    assert len(before) == 1
    again = benchmark(tmp_path, variants=2)
    for kind, own in twice[1].figures.items():
        assert again.figures[kind] == {name: values[:1] for name, values in own.items()}
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_another_comparison_is_not_mixed_in(
    twice: tuple[Path, SynthesisBenchmark], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="another comparison"):
        benchmark(twice[0], real_share=0.5)
    others = images()
    first = others["image"][0]
    others["image"][0] = replace(nt.open_image(255 - first.compute(), axes="yx"), name=first.name)
    with pytest.raises(InputError, match="another comparison"):
        benchmark(twice[0], variants=2, repeats=2, images=others)
    maps = [label_map(48, 64, seed) for seed in (9, 8, 7, 6)]
    with pytest.raises(InputError, match="another comparison"):
        benchmark(twice[0], variants=2, repeats=2, maps=maps)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(InputError, match="empty or new folder"):
        benchmark(tmp_path)


def test_images_may_be_results_that_are_not_computed_yet(tmp_path: Path) -> None:
    given = images()
    lazy = nt.synthesize(label_map(48, 64, 0), at_once())
    assert "computed" in signature(lazy)
    given["image"][0] = replace(lazy, name=given["image"][0].name)
    benchmark(tmp_path, images=given)
    known = json.loads((tmp_path / "comparison.json").read_text())["images"]
    assert any("computed" in each for part in known for each in part)


def test_bad_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of no segmentation"):
        benchmark(tmp_path, "em-tissue")
    with pytest.raises(InputError, match="no test images"):
        benchmark(tmp_path, RECIPE.replace(split={"validation": ["v"], "test": 0.0}))
    with pytest.raises(InputError, match="above 0 and up to 1"):
        benchmark(tmp_path, real_share=0)
