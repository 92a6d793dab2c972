"""Blending where exact tiles are dear: what it costs, how far off it is, and what is said of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from models import CONTEXT, SmallMemory, check_equal, image_of, job_of, model_of, result_of, whole
from torch import nn

from napari_tincture import Raster, open_image, seam_error, stain
from napari_tincture.call import Call
from napari_tincture.errors import InputError
from napari_tincture.grid import Geometry
from napari_tincture.models.registry import build_network
from napari_tincture.tiling.cores import core_sides, geometry_of
from napari_tincture.tiling.reach import Reach, reach_of

IMAGE = image_of((2, 300, 600))


def seeing_far(norm: bool = False) -> nn.Module:
    """Sees 160 pixels, its neighbourhood most; with a norm over the image if wanted."""
    torch.manual_seed(0)
    far = nn.Conv2d(4, 1, 5, padding=160, dilation=80)
    with torch.no_grad():
        far.weight *= 0.05
        far.weight[:, :, 2, 2] += 0.5
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.InstanceNorm2d(4) if norm else nn.Tanh(), far
    )


@pytest.fixture(scope="module")
def far():
    return model_of(seeing_far())


@pytest.mark.parametrize("norm", [False, True])
def test_a_blend_is_near_the_whole_and_runs_each_window_once(norm):
    model = model_of(seeing_far(norm))
    engine = SmallMemory(model, 10**9)
    job = job_of(model, IMAGE, core=200, seams="blend", engine=engine)
    assert job.geometry.halo == 64 < job.reach.geometry.halo
    found, expected = result_of(job), whole(model, IMAGE)
    assert len(engine.sizes) == len(job.grid) == 6
    gap = np.abs(found - expected)
    seams = job.blending.seams.summary([], 64)
    assert seams["tiles"] == 6
    assert seams["std"][0] == pytest.approx(expected.std(), rel=1e-2)
    # Not exact; by its weights, no more than a tenth of what is seen can lie beyond the windows.
    assert 1e-3 < gap.max() / expected.std() < 0.1
    # The windows lie apart about as far as they lie off: each lacks another side of the image.
    assert 0.25 < seams["max"][0] / gap.max() < 4
    assert 0.25 < seams["mean"][0] / gap.mean() < 4
    exact = job_of(model, IMAGE, core=200, context="exact")
    check_equal(result_of(exact), expected, CONTEXT)
    assert not exact.blended


def test_lazy_streamed_and_sparing_of_memory_give_the_same(far, monkeypatch):
    expected = result_of(job_of(far, IMAGE, core=200, seams="blend"))
    lazy = job_of(far, IMAGE, core=200, seams="blend")
    for tile in reversed(list(lazy.grid)):
        block = lazy.block((), tile.index)
        np.testing.assert_array_equal(block, expected[(slice(None), *lazy.grid.place(tile))])
    monkeypatch.setattr("napari_tincture.tiling.blending.PARTS_BYTES", 2**18)
    engine = SmallMemory(far, 10**9)
    scarce = job_of(far, IMAGE, core=200, seams="blend", engine=engine)
    np.testing.assert_array_equal(result_of(scarce), expected)
    assert len(engine.sizes) > len(scarce.grid)


def test_windows_of_half_a_stride_share_out_every_feature_map():
    torch.manual_seed(0)
    network = build_network(
        "unet_generator",
        {"in_channels": 2, "out_channels": 1, "num_downs": 8, "ngf": 2, "norm": "instance"},
    )
    model = model_of(network.eval())
    job = job_of(model, image_of((2, 768, 300)), core=256, seams="blend")
    assert (job.geometry.stride, job.geometry.halo) == (256, 128)
    assert len(job.grid) > 1
    # Every sample of every map is in one core: 768 × 512 pixels at strides 4 to 128 and back to 2.
    areas = [768 * 512 // share.count for share in job.values_of(()).shares]
    assert areas == [4**k for k in (2, 3, 4, 5, 6, 7, 7, 6, 5, 4, 3, 2, 1)]


def test_who_is_blended():
    def halo(stride, halo, **more):
        reach = Reach(Geometry(stride, halo, **more), (), ())
        return geometry_of(reach, "blend").halo

    assert [halo(4, 176), halo(128, 256), halo(256, 512), halo(96, 384)] == [64, 64, 128, 96]
    assert [halo(4, 60), halo(16, 96), halo(64, 128)] == [60, 96, 128]
    assert halo(16, 240, border="mirror", margin=94) == 240
    # A quarter more pixels than without overlap, whatever the stride.
    for geometry in (Geometry(16, 64), Geometry(256, 128)):
        (side, _) = core_sides(geometry, (10**5, 10**5), True)
        assert (1 + 2 * geometry.halo / side) ** 2 == pytest.approx(81 / 64)


def test_the_choice_and_the_seams_are_recorded(far, tmp_path):
    image = Raster.from_array(IMAGE, "cyx", name="scan")
    result = stain(image, far, tile=200, seams="blend")
    assert result.provenance["steps"][0]["settings"]["seams"] == "blend"
    assert isinstance(result.call, Call)
    assert result.call.arguments["seams"] == "blend"
    saved = open_image(result.save(tmp_path / "a.ome.zarr"))
    facts = json.loads(json.dumps(saved.provenance))
    assert facts["exact"] is False
    assert facts["seams"]["overlap"] == 128
    assert facts["seams"]["tiles"] == 6
    assert np.array_equal(np.asarray(saved), np.asarray(result))
    plain = stain(image, far, tile=200)
    np.asarray(plain)
    assert plain.provenance["steps"][0]["settings"]["seams"] == "exact"
    assert plain.runner.facts()["exact"] is True
    assert "seams" not in plain.runner.facts()
    with pytest.raises(InputError, match="'exact' or 'blend'"):
        stain(image, far, seams="smooth")


def test_one_window_for_the_whole_is_exact(far):
    result = stain(Raster.from_array(IMAGE, "cyx"), far, seams="blend")
    check_equal(result, whole(far, IMAGE), 1e-5)
    assert result.runner.facts()["exact"] is True


def test_the_error_of_a_blend_is_measured(far):
    assert reach_of(far).exact
    image = Raster.from_array(IMAGE, "cyx")
    assert seam_error(far, image, tile=150).relative_max < 1e-5
    assert 1e-4 < seam_error(far, image, tile=150, seams="blend").relative_max < 1
