"""What `stain` gives beside the stain: tiled, cropped, saved and sent away, it stays the same."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from models import CONTEXT, check_equal, image_of
from two_way import JUDGES, noisy, two_way

import napari_tincture as nt
from napari_tincture import Raster, open_image, stain
from napari_tincture.errors import Cancelled, InputError, OutputError
from napari_tincture.models.directions import turned
from napari_tincture.models.outputs import ask
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken
from napari_tincture.tasks.outputs import Outputs

TRIPS = ("image", "reconstruction", "cycle_error", "cycle_error_twice", "realism")
SHAPE = (2, 60, 66)
IMAGE = image_of(SHAPE)
PLACE = Placement.build(
    "cyx", scale=(1, 0.5, 0.25), translate=(0, 7, -3), units=("pixel", "um", "um")
)


def raster(values=IMAGE, axes="cyx", **options) -> Raster:
    return Raster.from_array(values, axes, name="cells", **options)


def by_hand(model, names, values=IMAGE, samples=1):
    """All answers at once on the whole plane, each (c, y, x)."""
    question = ask(model, names, samples)
    tensor = torch.from_numpy(np.ascontiguousarray(values))[None].float()
    height, width = tensor.shape[2:]
    low, high = model.card.normalisation.target
    x = tensor / 255 * (high - low) + low
    pad = (0, -width % 8, 0, -height % 8)
    mirrored = np.pad(x[0].numpy(), ((0, 0), (0, pad[3]), (0, pad[1])), "symmetric")
    with torch.inference_mode():
        found = question.model.network(torch.from_numpy(mirrored)[None])[0, :, :height, :width]
    return {name: found[slice(*a.channels)].numpy() for name, a in question.answers.items()}


def arrays(outputs: Outputs) -> dict[str, np.ndarray]:
    return {name: found.data.compute(scheduler="sync") for name, found in outputs.items()}


@pytest.mark.parametrize("judges", JUDGES)
def test_tiles_give_all_answers_of_the_whole(judges: str) -> None:
    model = two_way(judges)
    values = image_of((2, 64, 80))
    expected = by_hand(model, TRIPS, values)
    found = stain(raster(values), model, outputs=TRIPS, tile=40, context="exact")
    assert list(found) == list(TRIPS)
    for name, computed in found.compute().items():
        check_equal(computed, expected[name], CONTEXT)
    for name, computed in arrays(found).items():
        check_equal(computed, expected[name], CONTEXT)


@pytest.mark.parametrize("generator", ["ugatit", "attention_generator"])
def test_tiles_give_what_the_generator_knows(generator: str) -> None:
    model = two_way(generator=generator)
    names = ("image", *model.network.extras)
    values = image_of((2, 64, 80))
    expected = by_hand(model, names, values)
    found = stain(raster(values), model, outputs=names, tile=40, context="exact")
    for name, computed in found.compute().items():
        check_equal(computed, expected[name], CONTEXT)


def test_a_region_is_that_part_of_the_whole() -> None:
    model = two_way()
    whole = stain(raster(), model, outputs=TRIPS, tile=40, context="exact").compute()
    region = {"y": (16, 50), "x": (31, 66)}
    part = stain(raster(), model, outputs=TRIPS, region=region, tile=40, context="exact")
    for name, computed in part.compute().items():
        filled = whole[name].copy()
        filled[..., 16:50, 31:66] = computed
        check_equal(filled, whole[name], CONTEXT)


def test_planes_are_answered_one_by_one() -> None:
    model = two_way()
    stack = image_of((2, 2, 1, 40, 33))
    names = ("cycle_error", "image", "std")
    found = stain(raster(stack, "tczyx"), model, outputs=names, tile=40, context="exact")
    assert [found[name].axes for name in names] == ["tzyx", "tczyx", "tzyx"]
    values = found.compute()
    for t, z in np.ndindex(2, 1):
        single = stain(raster(stack[t, :, z]), model, outputs=names, tile=40, context="exact")
        for name, expected in single.compute().items():
            own = values[name][t, :, z] if name == "image" else values[name][t, z]
            check_equal(own, expected, CONTEXT)
    crop = stain(
        raster(stack, "tczyx"), model, outputs=names, tile=40, context="exact",
        region={"t": (1, 2), "y": (5, 30)},
    ).compute()  # fmt: skip
    check_equal(crop["cycle_error"], values["cycle_error"][1:, :, 5:30], 10 * CONTEXT)
    check_equal(crop["std"], values["std"][1:, :, 5:30], 10 * CONTEXT)


def test_names_places_and_looks() -> None:
    model = two_way(generator="ugatit", calibration=tuple(np.linspace(-1, 1, 101)))
    offered = model.card.offers
    found = stain(raster(placement=PLACE), model, outputs=offered, tile=40)
    assert tuple(found) == offered
    looks = {
        "image": (["b0", "b1"], ["gray", "green"], [-1.0, 1.0]),
        "heatmap": (["heatmap"], ["inferno"], [0.0, 1.0]),
        "reconstruction": (["a0", "a1"], ["gray", "gray"], [-1.0, 1.0]),
        "cycle_error": (["cycle_error"], ["magma"], [0.0, 0.2]),
        "cycle_error_twice": (["cycle_error_twice"], ["magma"], [0.0, 0.2]),
        "realism": (["realism"], ["viridis"], [0.0, 1.0]),
        "std": (["std"], ["magma"], [0.0, 0.4]),
    }
    for name, (channels, colours, limits) in looks.items():
        result = found[name]
        assert list(result.channels) == channels, name
        assert result.display["colours"] == colours, name
        assert result.display["limits"] == [limits] * len(channels), name
        assert result.scale[-2:] == (0.5, 0.25), name
        assert result.translate[-2:] == (7, -3), name
        assert result.units[-1] == "micrometer", name
        assert result.dtype == np.float32, name
    assert found["image"].name == "cells ugatit patch"
    assert found["cycle_error"].name == "cells ugatit patch cycle error"


def test_only_images_take_another_type() -> None:
    names = ("image", "reconstruction", "cycle_error")
    found = stain(raster(), two_way(), outputs=names, dtype="uint8", tile=40)
    assert [found[name].dtype.name for name in names] == ["uint8", "uint8", "float32"]
    assert found["image"].display["limits"][0] == [0.0, 255.0]
    fine = stain(raster(), two_way(), outputs=names, tile=40).compute()
    coarse = found.compute()
    expected = np.rint((fine["image"].clip(-1, 1) + 1) / 2 * 255)
    assert np.abs(coarse["image"] - expected).max() <= 1


def test_one_output_is_a_raster() -> None:
    model = two_way()
    error = stain(raster(), model, outputs=("cycle_error",), tile=40, context="exact")
    assert isinstance(error, Raster)
    both = stain(raster(), model, outputs=("image", "cycle_error"), tile=40, context="exact")
    check_equal(np.asarray(error), both.compute()["cycle_error"], CONTEXT)


def test_backward_is_the_other_model() -> None:
    model = two_way("ugatit")
    names = ("image", "reconstruction", "cycle_error", "realism")
    values = image_of((2, 64, 64))
    there = stain(
        raster(values), model, outputs=names, direction="backward", tile=40, context="exact"
    ).compute()
    expected = by_hand(turned(model), names, values)
    for name in names:
        check_equal(there[name], expected[name], CONTEXT)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outputs": ("image", "heatmap")}, r"'cycle_error'.*'realism'.*'heatmap' was asked"),
        ({"outputs": ()}, "one name or several"),
        ({"outputs": ("image", "image")}, "each once"),
        ({"direction": "sideways"}, "'forward' or 'backward'"),
        ({"outputs": ("std", "image"), "samples": 0}, "samples=0"),
    ],
)
def test_what_cannot_be_is_refused(options, words) -> None:
    with pytest.raises(InputError, match=words):
        stain(raster(), two_way(), **options)


# Noise


def test_noise_belongs_to_places_and_seeds() -> None:
    model = noisy()
    values = image_of((2, 270, 264))
    names = ("image", "std")
    options = {"outputs": names, "context": "exact", "samples": 2}
    whole = stain(raster(values), model, tile=136, seed=4, **options).compute()
    other_tiles = stain(raster(values), model, tile=200, seed=4, **options).compute()
    other_seed = stain(raster(values), model, tile=136, seed=5, **options).compute()
    part = stain(
        raster(values),
        model,
        tile=200,
        seed=4,
        region={"y": (200, 260), "x": (240, 264)},
        **options,
    ).compute()
    for name in names:
        check_equal(other_tiles[name], whole[name], CONTEXT)
        filled = whole[name].copy()
        filled[..., 200:260, 240:264] = part[name]
        check_equal(filled, whole[name], CONTEXT)
        assert np.abs(other_seed[name] - whole[name]).max() > 1e-3


def test_mean_and_spread_over_draws_by_hand() -> None:
    model = noisy(back=False)
    drawn = stain(raster(), model, outputs=("image", "std"), samples=4, seed=7, tile=40)
    found = drawn.compute()
    job = drawn.together.runner.job
    whole = tuple(slice(0, n) for n in SHAPE[1:])
    lanes = job.inputs.read((), *whole)
    noise = np.asarray(lanes)[2:]
    assert noise.shape == (4, *SHAPE[1:])
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert len(np.unique(noise[:, 0, 0])) == 4, "every draw is another"
    x = torch.from_numpy(IMAGE).float() / 127.5 - 1
    with torch.inference_mode():
        images = [
            model.network(torch.cat([x, torch.from_numpy(draw)[None]])[None])[0] for draw in noise
        ]
    images = torch.stack(images).numpy()
    check_equal(found["image"], images.mean(0), CONTEXT)
    check_equal(found["std"], images.std(0).mean(0), CONTEXT)


def test_a_plane_has_the_noise_that_it_has_in_its_stack() -> None:
    model = noisy(back=False)
    stack = raster(image_of((2, 2, 40, 33)), "zcyx")
    options = {"samples": 2, "context": "exact", "tile": 24}
    whole = np.asarray(stain(stack, model, **options))
    second = np.asarray(stain(stack, model, region={"z": (1, 2)}, **options))
    check_equal(second[:, 0], whole[:, 1], CONTEXT)
    assert np.abs(whole[:, 0] - whole[:, 1]).max() > 1e-3


# Turns


def test_spread_over_flips_and_turns_by_hand() -> None:
    model = two_way()
    values = image_of((2, 64, 48))
    found = np.asarray(stain(raster(values), model, outputs=("std",), tile=40, context="exact"))
    x = torch.from_numpy(values)[None].float() / 127.5 - 1
    images = []
    with torch.inference_mode():
        for turns, flip in itertools.product(range(4), (False, True)):
            seen = torch.rot90(x.flip(-1) if flip else x, turns, (2, 3))
            back = torch.rot90(model.network(seen), -turns, (2, 3))
            images.append(back.flip(-1) if flip else back)
    expected = torch.cat(images).std(0, correction=0).mean(0).numpy()
    check_equal(found, expected, CONTEXT)


def test_one_of_a_run_beside_one_of_turns(tmp_path) -> None:
    found = stain(raster(), two_way(), outputs=("std", "cycle_error"), tile=40, context="exact")
    values = found.compute()
    alone = stain(raster(), two_way(), outputs=("cycle_error",), tile=40, context="exact")
    check_equal(values["cycle_error"], np.asarray(alone), CONTEXT)
    paths = found.save(tmp_path)
    for name, path in paths.items():
        check_equal(np.asarray(open_image(path)), values[name], CONTEXT)


# Files and other processes


def count(model) -> list[int]:
    """Pixels of the windows that the generator sees, call by call."""
    seen: list[int] = []
    model.network.register_forward_hook(
        lambda _, given, __: seen.append(math.prod(given[0].shape[-2:]))
    )
    return seen


def test_saving_runs_the_network_once(tmp_path) -> None:
    names = ("image", "reconstruction", "cycle_error")
    model = two_way()
    single = stain(raster(), model, outputs=("cycle_error",), tile=40)
    found = stain(raster(), model, outputs=names, tile=40)
    calls = count(model)
    np.asarray(single)
    once = list(calls)
    calls.clear()
    paths = found.save(tmp_path / "all")
    assert calls == once
    assert {p.name for p in (tmp_path / "all").iterdir()} == {f"{n}.ome.zarr" for n in names}
    expected = found.compute()
    for name, path in paths.items():
        opened = open_image(path)
        check_equal(np.asarray(opened), expected[name], CONTEXT)
        assert opened.display["limits"] == found[name].display["limits"]
        assert opened.display["colours"] == found[name].display["colours"]
        (step,) = opened.provenance["steps"]
        assert step["settings"]["outputs"] == list(names)
        assert opened.provenance["device"] == "cpu"
        assert "signature" in step["sources"][0]


def test_saving_goes_on_where_it_ended(tmp_path) -> None:
    model = two_way()
    names = ("image", "cycle_error")
    folder = tmp_path / "all"
    token = CancelToken()

    def stop(done: int, total: int) -> None:
        if done == total // 2:
            token.cancel()

    def result():
        return stain(raster(), model, outputs=names, tile=40, context="exact")

    with pytest.raises(Cancelled):
        result().save(folder, progress=stop, cancel=token)
    assert not any(p.suffix == ".zarr" and not p.name.startswith(".") for p in folder.iterdir())
    paths = result().save(folder)
    straight = result().compute()
    for name, path in paths.items():
        check_equal(np.asarray(open_image(path)), straight[name], CONTEXT)
    with pytest.raises(OutputError, match=r"image\.ome\.zarr.*overwrite"):
        result().save(folder)
    assert result().save(folder, overwrite=True) == paths


def test_after_a_kill_between_two_results_the_rest_is_written(tmp_path, monkeypatch) -> None:
    model = two_way()
    names = ("image", "cycle_error")
    folder = tmp_path / "all"
    found = stain(raster(), model, outputs=names, tile=40, context="exact")
    monkeypatch.setattr(Raster, "save", _dying_at("cycle_error", Raster.save))
    with pytest.raises(KeyboardInterrupt):
        found.save(folder)
    monkeypatch.undo()
    other = stain(raster(), model, outputs=names, tile=40, context="tile")
    with pytest.raises(OutputError, match="already"):
        other.save(folder)
    seen = count(model)
    again = stain(raster(), model, outputs=names, tile=40, context="exact")
    before = len(seen)
    again.save(folder)
    assert len(seen) == before, "the run itself was there"
    expected = again.compute()
    for name in names:
        check_equal(np.asarray(open_image(folder / f"{name}.ome.zarr")), expected[name], CONTEXT)


def test_results_travel(tmp_path) -> None:
    model = nt.load_model(str(two_way().save(tmp_path / "two.safetensors")))
    names = ("image", "cycle_error", "std")
    found = stain(raster(placement=PLACE), model, outputs=names, tile=40, context="exact")
    for own in found.values():
        there = pickle.loads(pickle.dumps(own))
        check_equal(np.asarray(there), np.asarray(own), CONTEXT)
        assert (there.axes, there.name, there.channels) == (own.axes, own.name, own.channels)
        assert there.placement == own.placement


def test_the_whole_travels_for_a_cluster(tmp_path) -> None:
    model = nt.load_model(str(two_way().save(tmp_path / "two.safetensors")))
    for names in (("image", "cycle_error"), ("std", "cycle_error")):
        own = stain(raster(), model, outputs=names, tile=40, context="exact").together
        there = pickle.loads(pickle.dumps(own))
        assert there.runner.identity() == own.runner.identity()
        assert (there.shape, there.dtype) == (own.shape, own.dtype)


def test_other_settings_do_not_go_on_with_an_unfinished_run(tmp_path, monkeypatch) -> None:
    found = stain(raster(), two_way(), outputs=("image", "cycle_error"), tile=40)
    monkeypatch.setattr(Raster, "save", _dying_at("image", Raster.save))
    with pytest.raises(KeyboardInterrupt):
        found.save(tmp_path)
    monkeypatch.undo()
    backward = stain(
        raster(), two_way(), outputs=("image", "cycle_error"), direction="backward", tile=40
    )
    with pytest.raises(OutputError, match="unfinished run of other settings"):
        backward.save(tmp_path)
    paths = backward.save(tmp_path, overwrite=True)
    check_equal(np.asarray(open_image(paths["image"])), backward.compute()["image"], CONTEXT)


def _dying_at(name: str, save):
    def dying(self, path, **options):
        if path.name == f"{name}.ome.zarr":
            raise KeyboardInterrupt
        return save(self, path, **options)

    return dying


def test_provenance_names_what_was_asked() -> None:
    found = stain(raster(), noisy(), outputs=("std", "cycle_error"), seed=9, samples=2, tile=40)
    for result in found.values():
        (step,) = result.provenance["steps"]
        settings = step["settings"]
        assert settings["outputs"] == ["std", "cycle_error"]
        assert (settings["seed"], settings["samples"], settings["direction"]) == (9, 2, "forward")
