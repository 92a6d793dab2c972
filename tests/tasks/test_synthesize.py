"""Images of label maps: the same seed gives the same image, in the map's place."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from painters import CLASSES, at_once, denoiser, label_map

import napari_tincture as nt
from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.errors import Cancelled, InputError, ModelError
from napari_tincture.models.card import Channel
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken

QUICK = {"steps": 3}
MODEL = denoiser()


def made(labels: Any = None, model: Any = MODEL, **how: Any) -> np.ndarray:
    return np.asarray(
        nt.synthesize(label_map() if labels is None else labels, model, **QUICK | how)
    )


def test_the_seed_decides() -> None:
    first = made(seed=3)
    assert first.shape == (48, 60)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, made(seed=3))
    assert (first != made(seed=4)).mean() > 0.5


def test_the_map_decides() -> None:
    other = label_map()
    other[:24] = 4
    assert (made() != made(other)).mean() > 0.2


def test_values_are_the_networks_in_its_range() -> None:
    values = made(dtype="float32")
    assert values.dtype == np.float32
    assert np.abs(values).max() <= 1
    np.testing.assert_array_equal(made(), np.rint((values + 1) * 127.5).astype(np.uint8))


def test_the_result_lies_where_the_map_lies() -> None:
    place = Placement.build(
        ("z", "y", "x"), scale=(2.0, 0.5, 0.25), translate=(1.0, 2.0, 3.0), units=("um",) * 3
    )
    labels = np.stack([label_map(seed=n) for n in range(2)])
    source = nt.Raster.from_array(labels, "zyx", kind="labels", placement=place)
    result = nt.synthesize(source, MODEL, **QUICK)
    assert result.axes == "zyx"
    assert result.placement == place
    planes = np.asarray(result)
    # Planes have noise of their own; the first is that of a map alone.
    np.testing.assert_array_equal(planes[0], made(labels[0]))
    assert (planes[1] != made(labels[1])).mean() > 0.5


def test_colour_images() -> None:
    result = nt.synthesize(label_map(), denoiser(outputs=3), **QUICK)
    assert result.rgb
    assert result.axes == "cyx"
    assert np.asarray(result).shape == (3, 48, 60)


def test_a_region_is_drawn_as_if_it_were_all() -> None:
    labels = label_map()
    region = nt.synthesize(labels, MODEL, region={"y": (8, 40), "x": (4, 36)}, **QUICK)
    np.testing.assert_array_equal(np.asarray(region), made(labels[8:40, 4:36]))
    assert region.translate == (8, 4)


def test_saved_computed_lazy_and_in_another_process_it_is_the_same(tmp_path: Path) -> None:
    expected = made()
    result = nt.synthesize(label_map(), MODEL, **QUICK)
    path = result.save(tmp_path / "made.ome.zarr")
    np.testing.assert_array_equal(np.asarray(nt.open_image(path)), expected)
    lazy = nt.synthesize(label_map(), MODEL, **QUICK).data[5:9, 30:50]
    np.testing.assert_array_equal(lazy.compute(), expected[5:9, 30:50])
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(result))), expected)
    step = nt.open_image(path).provenance["steps"][-1]
    assert step["step"] == "synthesize"
    assert step["settings"]["seed"] == 0
    assert step["weights"] == MODEL.fingerprint


def test_what_was_drawn_before_a_kill_is_not_drawn_again(tmp_path: Path) -> None:
    labels = np.stack([label_map(seed=n) for n in range(2)])
    expected = made(nt.open_image(labels, axes="zyx"))
    token = CancelToken()

    def stop(done: int, total: int) -> None:
        if done > total / 2 + 1:
            token.cancel()

    path = tmp_path / "made.ome.zarr"
    result = nt.synthesize(nt.open_image(labels, axes="zyx"), MODEL, **QUICK)
    with pytest.raises(Cancelled):
        result.save(path, progress=stop, cancel=token)
    again = nt.synthesize(nt.open_image(labels, axes="zyx"), MODEL, **QUICK)
    again.save(path)
    assert set(again.runner.artist.shown) == {(1,)}
    np.testing.assert_array_equal(np.asarray(nt.open_image(path)), expected)


@pytest.mark.parametrize(
    "how",
    [
        {"sampler": "ddim"},
        {"sampler": "ddpm"},
        {"sampler": "dpm_solver", "sampler_options": {"order": 3}},
    ],
    ids=lambda how: how["sampler"],
)
def test_a_plane_goes_on_where_it_was_stopped(tmp_path: Path, how: dict[str, Any]) -> None:
    labels, path = label_map(40, 90), tmp_path / "made.ome.zarr"
    model = denoiser(coarse=2)
    drawn = partial(nt.synthesize, labels, model, steps=6, **how)
    expected, token = np.asarray(drawn()), CancelToken()

    def stop(done: int, total: int) -> None:
        if done >= 0.6 * total:
            token.cancel()

    with pytest.raises(Cancelled):
        drawn().save(path, progress=stop, cancel=token)
    with counted() as whole:
        drawn().compute()
    with counted() as rest:
        drawn().save(path)
    assert 0 < len(rest) < 0.55 * len(whole)
    np.testing.assert_array_equal(np.asarray(nt.open_image(path)), expected)
    assert not [*tmp_path.rglob("*.answers")]


def test_an_unfinished_file_is_of_this_map_to_the_last_pixel() -> None:
    labels, model = label_map(320, 200), denoiser()

    def identity(changed: np.ndarray = labels, **how: Any) -> Any:
        return nt.synthesize(changed, model, steps=2, **how).runner.identity()

    other = labels.copy()
    other[100, 100] = 4 - other[100, 100]
    known = [
        identity(),
        identity(other),
        identity(classes={9: "wall"}),
        identity(region={"y": (0, 100)}),
        identity(region={"y": (100, 200)}),
        identity(instances=labels),
    ]
    assert identity(labels.copy()) == known[0]
    assert all(a != b for n, a in enumerate(known) for b in known[:n])


def test_one_step_makes_an_image_and_no_noise() -> None:
    labels, model = np.zeros((32, 32), np.uint8), denoiser()
    found = nt.synthesize(labels, model, steps=1, dtype="float32").compute()
    noise = NoiseField(0).draw(0, 1, slice(0, 32), slice(0, 32))[0].clip(-1, 1)
    assert abs(np.corrcoef(found.ravel(), noise.ravel())[0, 1]) < 0.9


def test_a_cache_that_cannot_be_made_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_TINCTURE_CACHE", "/proc/nowhere/tiles")
    assert nt.synthesize(label_map(24, 24), denoiser(), steps=1).compute().shape == (24, 24)


@contextmanager
def counted() -> Iterator[list[int]]:
    """One entry each time that a network is asked."""
    asked, run = list[int](), Asking._run

    def counting(self: Asking, x: torch.Tensor, *args: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        return run(self, x, *args)

    with patch.object(Asking, "_run", counting):
        yield asked


def test_an_image_gives_its_style() -> None:
    dark, light = np.full((48, 60), 20, np.uint8), np.full((48, 60), 230, np.uint8)
    # Nearly all of the image is left: what the network does in the last step is little.
    low, high = (made(style=style, style_strength=0.995) for style in (dark, light))
    assert low.mean() < 90 < 160 < high.mean()


def test_a_number_gives_a_style_and_guidance_asks_twice() -> None:
    assert (made(style=1) != made(style=2)).any()
    assert (made(guidance=2.0) != made()).any()


def test_a_model_says_how_it_draws_best_and_a_person_may_say_otherwise() -> None:
    best = {"sampler": "dpm_solver", "steps": 4, "guidance": 1.5}
    model = denoiser(usual=best)
    plain = partial(nt.synthesize, label_map())
    np.testing.assert_array_equal(plain(model), plain(MODEL, **best))
    assert plain(model).provenance["steps"][-1]["settings"]["guidance"] == 1.5
    np.testing.assert_array_equal(plain(model, steps=3), plain(MODEL, **{**best, "steps": 3}))
    other = plain(model, sampler="ddim").provenance["steps"][-1]["settings"]
    assert (other["steps"], other["guidance"]) == (40, 1.5)
    with pytest.raises(ModelError, match="usual pace"):
        denoiser(usual={"pace": 3})


def test_classes_may_be_said() -> None:
    labels = label_map()
    moved = np.where(labels == 4, 77, labels)
    np.testing.assert_array_equal(made(moved, classes={77: "wall"}), made(labels))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "1 to 100"),
        ({"steps": 101}, "1 to 100"),
        ({"sampler": "magic"}, "known are"),
        ({"sampler_options": {"foo": 1}}, "foo"),
        ({"seed": -1}, "seed"),
        ({"guidance": 0.5}, "guidance"),
        ({"guidance": "much"}, "expected a number"),
        ({"style": 3}, "styles 1 to 2"),
        ({"style": np.zeros((48, 60, 3), np.uint8)}, "axes"),
        ({"style": np.full((48, 60), np.nan)}, "NaN"),
        ({"style": np.zeros((48, 60)), "style_strength": 1.0}, "style_strength"),
        ({"classes": {3: "sky"}}, "sky"),
        ({"instances": np.zeros((5, 5), int)}, "shape"),
        ({"dtype": "int8"}, "dtype"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        nt.synthesize(label_map(), MODEL, **{**QUICK, **wrong})


def test_guidance_needs_a_model_that_knows_empty_maps() -> None:
    with pytest.raises(InputError, match="never learned"):
        nt.synthesize(label_map(), denoiser(guided=False), guidance=2.0)


def test_maps_of_other_values_or_of_floats_are_refused() -> None:
    with pytest.raises(InputError, match=r"9 \("):
        made(label_map() + 9)
    with pytest.raises(InputError, match="integers"):
        nt.synthesize(label_map().astype(float), MODEL)


def test_a_model_that_stains_does_not_synthesize() -> None:
    stains = MODEL.with_card(MODEL.card.replace(task="stain", denoising=None))
    with pytest.raises(InputError, match="made to stain"):
        nt.synthesize(label_map(), stains)


@pytest.mark.parametrize("tile", [16, 64])
def test_networks_of_one_pass_give_the_whole_image_in_tiles(tile: int) -> None:
    labels, model = label_map(100, 90), at_once()
    maps = np.stack([labels == c.value for c in CLASSES]).astype(np.float32)
    expected = model.network(torch.from_numpy(maps)[None])[0, 0].numpy()
    found = np.asarray(nt.synthesize(labels, model, dtype="float32"))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_networks_of_one_pass_see_edges_of_instances() -> None:
    class Edges(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x[:, 3:] - 1

    model = at_once(edges=True)
    model = nt.Model(Edges(), model.card)
    labels = np.zeros((1030, 1040), np.uint8)
    objects = np.zeros((1030, 1040), np.int32)
    objects[:, 1024:], objects[1024:, :1024] = 5, 6  # on the borders of blocks
    found = np.asarray(nt.synthesize(labels, model, instances=objects))
    expected = np.zeros(objects.shape, bool)
    for axis in (0, 1):
        differ = np.diff(objects, axis=axis) != 0
        near = np.moveaxis(expected, axis, 0)
        near[:-1] |= np.moveaxis(differ, axis, 0)
        near[1:] |= np.moveaxis(differ, axis, 0)
    np.testing.assert_array_equal(found == 255, expected)


def test_previews_are_of_the_image_that_comes(monkeypatch: Any) -> None:
    monkeypatch.setattr("napari_tincture.tasks._artist.PAUSE", 0.0)
    result = nt.synthesize(label_map(70, 50), denoiser(coarse=2), **QUICK)
    seen = []
    result.runner.show = lambda plane, values, place: seen.append((values, place))
    image = result.compute()
    assert image.shape == (70, 50)
    # Three steps of the smaller drawing, and those of the image from the noise level on.
    assert len(seen) > 3
    assert all(v.shape == (1, p[0].stop, p[1].stop) for v, p in seen)
    last = np.rint((seen[-1][0][0, :70, :50] + 1) * 127.5).astype(np.uint8)
    np.testing.assert_array_equal(last, image)


def test_class_channels_may_have_no_values() -> None:
    inputs = tuple(Channel(c.name, source="class") for c in CLASSES)
    model = MODEL.with_card(MODEL.card.replace(inputs=inputs))
    labels = label_map()
    numbered = np.where(labels == 4, 2, labels)
    np.testing.assert_array_equal(made(numbered, model), made(labels))
