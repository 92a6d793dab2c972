"""LPIPS in blocks is that of the whole image; the network is checked against plain layers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_pairs import RANGES, block, figures, give_weights, pair
from safetensors.torch import save_file
from torch.nn import functional as F

from napari_tincture import Raster, compare
from napari_tincture.errors import InputError, ModelError
from napari_tincture.metrics import stream
from napari_tincture.metrics.lpips import LAYERS, METRIC
from napari_tincture.metrics.metric import Undefined
from napari_tincture.models import architecture_names
from napari_tincture.models.features.lpips import load_lpips
from napari_tincture.models.user_weights import LPIPS
from napari_tincture.progress import CancelToken
from napari_tincture.regrid import Window

SHAPE = (263, 301)


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, torch.Tensor]]:
    with pytest.MonkeyPatch.context() as patch:
        give_weights([METRIC], tmp_path_factory.mktemp("weights"), patch)
        yield torch.load(LPIPS.path(), weights_only=True)


def plain(state, image, reference):
    """Distances (y, x) of each layer, of images (3, y, x) in [-1, 1]."""
    # In float32, as networks keep them.
    shift, scale = np.float32([-0.03, -0.088, -0.188]), np.float32([0.458, 0.448, 0.45])
    found = []
    for values in (image, reference):
        scaled = (values - shift[:, None, None]) / scale[:, None, None]
        x, features = torch.from_numpy(scaled)[None], []
        for name, stride, padding, pooled in (
            ("slice1.0", 4, 2, False), ("slice2.3", 1, 2, True), ("slice3.6", 1, 1, True),
            ("slice4.8", 1, 1, False), ("slice5.10", 1, 1, False),
        ):  # fmt: skip
            weight, bias = (state[f"net.{name}.{kind}"].double() for kind in ("weight", "bias"))
            x = F.max_pool2d(x, kernel_size=3, stride=2) if pooled else x
            x = torch.clamp_min(F.conv2d(x, weight, bias, stride, padding), 0)
            features.append(x[0].numpy())
        found.append(features)
    result = []
    for number, (a, b) in enumerate(zip(*found, strict=True)):
        a, b = (v / (np.linalg.norm(v, axis=0) + 1e-10) for v in (a, b))
        weights = state[f"lin{number}.model.1.weight"].double().numpy()[0, :, 0, 0]
        result.append(np.tensordot(weights, (a - b) ** 2, 1))
    return result


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("shape", [(31, 31), (64, 97), SHAPE])
def test_a_whole_image_has_the_plain_formula(state, shape, dtype) -> None:
    image, reference = pair(shape, dtype)
    scaled = (2 * v.astype(np.float64) / RANGES[dtype] - 1 for v in (image, reference))
    expected = sum(layer.mean() for layer in plain(state, *scaled))
    found = figures(METRIC, image, reference, RANGES[dtype])["lpips"]
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_network_agrees_with_torchmetrics(state) -> None:
    lpips = pytest.importorskip("torchmetrics.functional.image.lpips")
    image, reference = (torch.from_numpy(2 * v[None] - 1) for v in pair((64, 70)))
    network = load_lpips().double()
    scaled = lpips.ScalingLayer().double()(image)
    # float32 constants on either side
    torch.testing.assert_close(network.scaling_layer(image), scaled, rtol=0, atol=0)
    maps = network(image, reference)
    for number, (a, b) in enumerate(
        zip(*(network.net(network.scaling_layer(v)) for v in (image, reference)), strict=True)
    ):
        head = lpips.NetLinLayer(a.shape[1], use_dropout=True).eval().double()
        head.model[1].weight.data = state[f"lin{number}.model.1.weight"].double()
        unit = (lpips._normalize_tensor(v, eps=0) for v in (a, b))
        torch.testing.assert_close(maps[number], head((next(unit) - next(unit)) ** 2)[:, 0])


def test_a_place_sees_what_its_layer_says(state) -> None:
    image, reference = pair(SHAPE)
    before = plain(state, image, reference)
    for at in ((0, 0), (131, 150), (240, 290)):
        changed = image.copy()
        changed[(slice(None), *at)] += 5
        for layer, one, other in zip(LAYERS, before, plain(state, changed, reference), strict=True):
            moved = np.argwhere(one != other)
            assert len(moved)
            middles = moved * layer.step + layer.step - 1
            furthest = np.abs(middles - at).max()
            assert layer.radius - layer.step < furthest <= layer.radius or at != (131, 150)
            assert furthest <= layer.radius


@pytest.mark.parametrize("area", [37, 120])
def test_blocks_that_do_not_see_each_other_make_the_whole(area, monkeypatch) -> None:
    image, reference = pair(SHAPE)
    regions = np.zeros(SHAPE, np.int32)
    regions[:, 130:] = 1
    regions[100:120] = -1
    monkeypatch.setattr(stream, "AREA", area)
    plan = stream.Survey(
        shape=SHAPE, images=[lambda p: Window(image[(slice(None), *p)], None)],
        reference=lambda p: Window(reference[(slice(None), *p)], None), channels=[0],
        statistics=[METRIC.statistic], data_range=1.0, regions=lambda p: regions[p], count=2,
    )  # fmt: skip
    tally = stream.survey(plan, lambda *_: None, CancelToken())
    found = tally.rows[stream.Key(0, None, METRIC.statistic)]
    whole = METRIC.statistic.measure(block(METRIC, image, reference, regions=regions, count=2))
    np.testing.assert_allclose(found, whole, rtol=1e-9)
    assert (found[:, ::2] > 0).all()


def test_regions_hold_the_places_whose_middle_they_hold(state) -> None:
    image, reference = pair((90, 110))
    regions = np.random.default_rng(0).integers(-1, 3, (90, 110)).astype(np.int32)
    rows = METRIC.statistic.measure(block(METRIC, image, reference, regions=regions, count=3))
    layers = plain(state, 2 * image - 1, 2 * reference - 1)
    for number, (layer, values) in enumerate(zip(LAYERS, layers, strict=True)):
        picked = regions[layer.step - 1 :: layer.step, layer.step - 1 :: layer.step]
        picked = picked[: values.shape[0], : values.shape[1]]
        for region, row in enumerate(rows):
            own = values[picked == region]
            assert row[2 * number] == own.size
            assert row[2 * number + 1] == pytest.approx(own.sum(), rel=1e-9)


def test_pixels_without_a_value_cost_the_places_that_see_them() -> None:
    image, reference = pair(SHAPE)
    bad = np.zeros(SHAPE, bool)
    bad[40, 200] = True
    rows = METRIC.statistic.measure(block(METRIC, image, reference, bad=bad))
    for number, layer in enumerate(LAYERS):
        whole = METRIC.statistic.measure(block(METRIC, image, reference))[0, 2 * number]
        seen = 1
        for at, side in zip((40, 200), SHAPE, strict=True):
            middles = np.arange(layer.step - 1, side, layer.step)
            # The last may have no place: one that sees such a pixel is not near the end here.
            seen *= np.count_nonzero(np.abs(middles - at) <= layer.radius)
        assert rows[0, 2 * number] == whole - seen


def test_too_small_images_have_none() -> None:
    with pytest.raises(Undefined, match="31 × 31"):
        figures(METRIC, *pair((30, 400)), 1.0)


def test_compare_asks_for_the_file_before_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    image, reference = (
        Raster.from_array(v, "cyx", rgb=True, name="image") for v in pair((40, 40), "uint8")
    )
    found = compare(image, reference, metrics=["lpips", "mse"])
    assert found.table[-1]["channel"] == "all"
    assert found.table[-1]["lpips"] > 0
    assert METRIC.needs.lacking() == ""
    monkeypatch.delenv(LPIPS.variable)
    with pytest.raises(InputError, match=r"state_dict.*NAPARI_TINCTURE_LPIPS"):
        compare(image, reference, metrics=["mse", "lpips"])
    assert "NAPARI_TINCTURE_LPIPS" in METRIC.needs.lacking()
    monkeypatch.setenv(LPIPS.variable, "nowhere.pth")
    assert "no file nowhere.pth" in METRIC.needs.lacking()


@pytest.mark.parametrize("kind", ["package", "without scaling", "safetensors"])
def test_the_users_file_is_loaded(state, tmp_path: Path, kind: str) -> None:
    given = dict(state)
    if kind == "package":  # lists its heads twice
        given |= {f"lins.{k[3:]}": v for k, v in state.items() if k.startswith("lin")}
    elif kind == "without scaling":
        given = {k: v for k, v in state.items() if not k.startswith("scaling")}
    path = tmp_path / ("lpips.safetensors" if kind == "safetensors" else "lpips.pth")
    (save_file if kind == "safetensors" else torch.save)(given, path)
    loaded = load_lpips(path)
    assert not loaded.training
    assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())


def test_the_names_are_those_of_the_package(state) -> None:
    assert set(state) == {
        "scaling_layer.shift", "scaling_layer.scale",
        *(f"lin{n}.model.1.weight" for n in range(5)),
        *(
            f"net.slice{n}.{place}.{kind}"
            for n, place in enumerate((0, 3, 6, 8, 10), 1)
            for kind in ("weight", "bias")
        ),
    }  # fmt: skip
    widths = [
        tuple(v.shape[:2]) for k, v in state.items() if k.startswith("net.") and "weight" in k
    ]
    assert widths == [(b, a) for a, b in pairwise((3, 64, 192, 384, 256, 256))]
    # torchvision's AlexNet has as many in its convolutions.
    assert sum(v.numel() for k, v in state.items() if k.startswith("net.")) == 2_469_696
    assert "lpips" not in architecture_names()


def test_other_files_are_refused(state, tmp_path: Path) -> None:
    path = tmp_path / "heads.pth"
    torch.save({k: v for k, v in state.items() if k.startswith("lin")}, path)
    with pytest.raises(ModelError, match=r"10 tensors differ.*slice1\.0\.bias: file lacks it"):
        load_lpips(path)
    with pytest.raises(InputError, match=r"no file .*nowhere\.pth"):
        load_lpips(tmp_path / "nowhere.pth")


def test_another_file_at_the_same_place_counts(state, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "lpips.pth"
    monkeypatch.setenv(LPIPS.variable, str(path))
    planes = pair((40, 40))
    torch.save(state, path)
    before = figures(METRIC, *planes, 1.0)["lpips"]
    torch.save({k: 2 * v if k.startswith("lin") else v for k, v in state.items()}, path)
    assert figures(METRIC, *planes, 1.0)["lpips"] == pytest.approx(2 * before, rel=1e-12)


def test_images_without_colours_are_refused() -> None:
    image, reference = pair((40, 40))
    with pytest.raises(InputError, match=r"three channels.*\(2, 40, 40\)"):
        figures(METRIC, image[:2], reference[:2], 1.0)
