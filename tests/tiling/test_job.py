"""A job gives the whole image's numbers, whatever tiles, memory and order of asking there are."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch
from models import (
    CONTEXT,
    PLAIN,
    SmallMemory,
    check_equal,
    image_of,
    job_of,
    model_of,
    result_of,
    whole,
)
from networks import EXACT, INEXACT, Fn, conv, half, resnet, unet
from torch import nn

from napari_tincture.errors import DeviceError, InputError, ModelError, TinctureWarning
from napari_tincture.models import Normalisation
from napari_tincture.tiling.reach import reach_of

IMAGE = image_of((2, 150, 130))


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("shape", [(70, 90), (9, 40)])
def test_every_exact_network_gives_the_whole_images_result(name, shape):
    model = model_of(EXACT[name]())
    image = image_of((2, *shape), "float32")
    stride = reach_of(model).geometry.stride
    tolerance = CONTEXT if reach_of(model).sites else PLAIN
    found = result_of(job_of(model, image, core=max(stride, 20), context="exact"))
    check_equal(found, whole(model, image), tolerance)


@pytest.mark.parametrize("kind", ["none", "range", "dtype", "percentile", "standard"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_normalisation_is_that_of_the_whole_image(kind, dtype):
    low, high = (2, 98) if kind == "percentile" else (10, 200)
    normalisation = Normalisation(kind, low, high, clip=(-0.5, 1.5))
    model = model_of(EXACT["nearest"](), normalisation=normalisation)
    image = image_of((2, 64, 80), dtype)
    signed = image.astype("int32") if dtype == "uint16" else image
    stats = model.measure(image)
    found = result_of(job_of(model, image, core=16))
    check_equal(found, whole(model, signed, stats), PLAIN)


def test_one_pixel(plain, normed):
    image = IMAGE[:, :1, :1]
    check_equal(result_of(job_of(plain, image)), whole(plain, image), PLAIN)
    # Without any spread an instance norm divides rounding errors by its epsilon.
    assert np.isfinite(result_of(job_of(normed, image))).all()


@pytest.mark.parametrize("core", [4, 20, 64, "auto"])
def test_a_region_is_the_crop_of_the_whole(plain, normed, core):
    image, region = IMAGE[:, :75, :66], ((17, 51), (3, 66))
    for model, tolerance in ((plain, PLAIN), (normed, CONTEXT)):
        job = job_of(model, image, core=core, region=region, context="exact")
        expected = whole(model, image)
        check_equal(result_of(job), expected[:, 17:51, 3:66], tolerance)


def test_values_found_by_one_job_serve_another(normed):
    first = job_of(normed, IMAGE, core=40, context="exact")
    expected = result_of(first)
    region = ((50, 80), (60, 61))
    engine = SmallMemory(normed, 10**9)
    second = job_of(normed, IMAGE, core=16, region=region, known=first.known, engine=engine)
    check_equal(result_of(second), expected[:, 50:80, 60:61], CONTEXT)
    assert len(engine.sizes) == len(second)


def test_a_block_is_computed_once(plain):
    engine = SmallMemory(plain, 10**9)
    job = job_of(plain, IMAGE, core=40, engine=engine)
    blocks = [[job.block((), tile.index) for tile in job.grid] for _ in range(3)]
    assert len(engine.sizes) == len(job.grid)
    assert all(a is b for a, b in zip(blocks[0], blocks[2], strict=True))
    result_of(job)
    assert len(engine.sizes) == len(job.grid)


def test_lock_step_computes_each_tile_once(normed):
    engine = SmallMemory(normed, 10**9)
    job = job_of(normed, IMAGE, core=40, engine=engine)
    result_of(job)
    assert len(engine.sizes) == len(job.grid)
    for tile in job.grid:
        job.block((), tile.index)
    assert len(engine.sizes) == len(job.grid)


def test_a_block_asked_for_alone_brings_its_neighbours_from_lock_step(normed):
    engine = SmallMemory(normed, 10**9)
    job = job_of(normed, IMAGE, core=40, engine=engine)
    job.block((), (2, 1))
    assert len(engine.sizes) == len(job.grid)
    expected = whole(normed, IMAGE)
    for tile in job.grid:
        check_equal(job.block((), tile.index), expected[(slice(None), *tile.kept)], CONTEXT)
    assert len(engine.sizes) == len(job.grid)


def test_blocks_cannot_be_written_to(plain):
    block = job_of(plain, IMAGE, core=64).block((), (0, 0))
    with pytest.raises(ValueError, match="read-only"):
        block[...] = 0


def test_many_threads_ask_for_the_same_blocks(plain):
    engine = SmallMemory(plain, 10**9)
    job = job_of(plain, IMAGE, core=40, engine=engine)
    found = [{} for _ in range(4)]

    def ask(mine):
        mine.update({tile.index: job.block((), tile.index) for tile in job.grid})

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engine.sizes) == len(job.grid)
    assert all(f[index] is found[0][index] for f in found for index in f)


def test_batches_hold_tiles_of_one_kind_and_give_the_same(plain, normed):
    for model, tolerance in ((plain, PLAIN), (normed, CONTEXT)):
        engine = SmallMemory(model, 10**9)
        job = job_of(model, IMAGE, core=24, engine=engine, context="exact")
        job.portions.batch = 4
        check_equal(result_of(job), whole(model, IMAGE), tolerance)
        if model is plain:
            assert max(size[0] for size in engine.sizes) > 1
            assert sum(size[0] for size in engine.sizes) == len(job.grid)


@pytest.mark.parametrize("network", ["plain", "normed"])
def test_want_of_memory_halves_the_batch_then_the_tiles(network, request):
    model = request.getfixturevalue(network)
    image = IMAGE[:, :120, :104]
    expected = whole(model, image)
    window = 75 * 65
    engine = SmallMemory(model, window)
    job = job_of(model, image, core=120, engine=engine, context="exact")
    job.portions.batch = 4
    with pytest.warns(TinctureWarning, match="out of memory"):
        found = result_of(job)
    check_equal(found, expected, CONTEXT if network == "normed" else PLAIN)
    text = " ".join(job.portions.events)
    assert "batch halved to 2" in text
    assert "batch halved to 1" in text
    assert "tiles divided into 2 parts" in text
    assert job.portions.batch == 1
    assert max(size[-1] * size[-2] for size in engine.sizes[-4:]) <= window


@pytest.mark.parametrize("context", ["exact", "sampled", "auto"])
def test_memory_for_one_tile_at_a_time_gives_the_same(normed, context, monkeypatch):
    monkeypatch.setattr("napari_tincture.tiling.whole.memory_budget", lambda _: 0)
    engine = SmallMemory(normed, 100 * 100)
    job = job_of(normed, IMAGE, core=40, engine=engine, context=context)
    check_equal(result_of(job), whole(normed, IMAGE), CONTEXT)
    assert {v.how["context"] for v in job.known.values()} == {"passes"}
    assert len(engine.sizes) > 9 * len(job.grid)


@pytest.mark.filterwarnings("ignore::napari_tincture.errors.TinctureWarning")
@pytest.mark.parametrize("name", ["unet", "resnet", "self-attention", "mirror unet"])
@pytest.mark.parametrize("context", ["exact", "sampled"])
def test_too_little_memory_for_the_smallest_tile_is_an_error_with_a_remedy(name, context):
    network = EXACT[name]() if name in EXACT else INEXACT[name][0]().eval()
    model = model_of(network)
    job = job_of(model, IMAGE, core=64, engine=SmallMemory(model, 3), context=context)
    with pytest.raises(DeviceError, match="device='cpu'") as caught:
        result_of(job)
    assert "CUDA out of memory" in str(caught.value)


@pytest.mark.filterwarnings("ignore::napari_tincture.errors.TinctureWarning")
def test_memory_that_runs_out_on_loading_counts_too(plain, monkeypatch):
    job = job_of(plain, IMAGE, core=150)
    calls = {"n": 0}
    normalise = plain.normalise

    def scarce(tensor, stats):
        calls["n"] += 1
        if tensor[0, 0].numel() > 10_000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return normalise(tensor, stats)

    monkeypatch.setattr(plain, "normalise", scarce)
    found = result_of(job)
    monkeypatch.undo()
    check_equal(found, whole(plain, IMAGE), PLAIN)
    assert job.portions.events


@pytest.mark.parametrize("name", INEXACT)
def test_what_cannot_be_exact_is_blended_and_does_not_fail(name):
    torch.manual_seed(0)
    model = model_of(INEXACT[name][0]().eval())
    image = IMAGE[:, :30, :60]
    job = job_of(model, image, core=32)
    found = result_of(job)
    assert np.isfinite(found).all()
    if "noise" not in name and "dropout" not in name:
        again = job_of(model, image, core=32)
        for tile in again.grid:
            block = again.block((), tile.index)
            np.testing.assert_array_equal(block, found[(slice(None), *again.grid.place(tile))])


def test_blending_hides_seams_that_cutting_shows():
    model = model_of(half("bilinear", align_corners=True))
    image = np.ones((2, 256, 256), "float32") * np.linspace(0, 1, 256, dtype="float32")
    found = result_of(job_of(model, image, core=64))[0]
    steps = np.abs(np.diff(found, 2, axis=1))
    assert steps[:, 62:66].max() < 3 * np.median(np.abs(np.diff(found, axis=1)))


def test_an_inexact_network_with_a_norm_is_blended_whichever_way_it_is_asked():
    def forward(self, x):
        y = torch.nn.functional.instance_norm(self.a(x))
        return torch.nn.functional.interpolate(
            y, scale_factor=2, mode="bilinear", align_corners=True
        )

    model = model_of(Fn(forward, a=conv(2, 1, 3, stride=2)))
    first, second = (job_of(model, IMAGE, core=40) for _ in range(2))
    found = result_of(first)
    for tile in second.grid:
        place = (slice(None), *second.grid.place(tile))
        np.testing.assert_allclose(second.block((), tile.index), found[place], atol=1e-6)


def test_a_network_that_fails_is_named():
    def forward(self, x):
        if x.device.type != "meta" and x.shape[-1] not in (64, 128):
            raise RuntimeError("no such size")
        return x[:, :1]

    model = model_of(Fn(forward))
    with pytest.raises(ModelError, match=r"'small' failed on a window of 64 × 40.*no such size"):
        result_of(job_of(model, IMAGE[:, :64, :40]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_integers_span_the_cards_output_range(dtype):
    card = {"output_range": (-1.0, 1.0), "normalisation": Normalisation("none")}
    model = model_of(Fn(lambda _, x: x[:, :1]), **card)
    values = np.array([[[-3, -1, -0.5, 0, 0.5, 1, 3]]] * 2, "float32")
    found = result_of(job_of(model, values, dtype=np.dtype(dtype)))[0, 0]
    if dtype.startswith("u"):
        top = np.iinfo(dtype).max
        expected = np.rint((np.clip(values[0, 0], -1, 1) + 1) / 2 * top)
        assert found.tolist() == expected.tolist()
    else:
        assert found.tolist() == values[0, 0].tolist()


def test_bad_values_are_told_wherever_they_are_met(plain, normed):
    image = IMAGE.astype("float32")
    image[0, 100, 100] = np.nan
    for model in (plain, normed):
        job = job_of(model, image, core=40)
        with pytest.raises(InputError, match="1 of"):
            result_of(job)
        with pytest.raises(InputError, match="NaN or infinite"):
            job.block((), (2, 2))


def test_nan_as_background_is_the_same_in_every_tile(plain):
    image = IMAGE.astype("float32")
    image[0, 20:70, 30:90] = np.nan
    image[1, 0, 0] = -np.inf
    lowest = np.nanmin(np.where(np.isfinite(image), image, np.nan), axis=(1, 2), keepdims=True)
    expected = whole(plain, np.where(np.isfinite(image), image, lowest))
    for core in (16, 48, 1000):
        check_equal(
            result_of(job_of(plain, image, core=core, nonfinite="background")), expected, PLAIN
        )
    nothing = np.full_like(image, np.nan)
    found = result_of(job_of(plain, nothing, core=48, nonfinite="background"))
    check_equal(found, whole(plain, np.zeros_like(image)), PLAIN)


def test_the_size_and_number_of_what_is_made(plain):
    job = job_of(plain, image_of((3, 2, 50, 40)), "tcyx", core=32, dtype=np.dtype("uint16"))
    assert len(job) == 3 * 2 * 2
    assert job.bytes == 3 * 50 * 40 * 2
    assert len(list(job.items())) == len(job)


@pytest.mark.parametrize("build", [unet, resnet])
def test_the_users_network_is_left_alone(build):
    model = model_of(build().eval())
    network = model.network
    network.requires_grad_(True)
    before = {k: (v.clone(), v.stride(), v.data_ptr()) for k, v in network.state_dict().items()}
    result_of(job_of(model, IMAGE, core=48, precision="bfloat16"))
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    for key, value in network.state_dict().items():
        old, stride, pointer = before[key]
        assert torch.equal(old, value)
        assert value.stride() == stride
        assert value.data_ptr() == pointer
        assert value.dtype == old.dtype


@pytest.mark.parametrize(("limit", "tiles"), [(0.5, 8), (1e-9, 64)])
def test_samples_that_disagree_are_told(limit, tiles, monkeypatch):
    model = model_of(nn.Sequential(nn.Conv2d(2, 1, 3, padding=1), nn.InstanceNorm2d(1)))
    monkeypatch.setattr("napari_tincture.tiling.whole.memory_budget", lambda _: 0)
    monkeypatch.setattr("napari_tincture.tiling.whole.HALVES_MAY_DIFFER", limit)
    job = job_of(model, image_of((2, 200, 200)), core=20, context="sampled")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        how = job.values_of(()).how
    assert (how["context"], how["tiles"], how["of_tiles"]) == ("sampled", tiles, 100)
    told = [str(w.message) for w in caught if w.category is TinctureWarning]
    assert len(told) == (how["halves_differ"] > limit)
    assert all("context='exact'" in text and "64 of 100" in text for text in told)
    assert bool(told) == (tiles == 64)
