from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from translations import fields, images_for, small_recipe

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.model import Model
from napari_tincture.raster import Raster
from napari_tincture.training.correction_set import Corrections, pinned
from napari_tincture.training.corrections import Lessons, corrected, open_lessons
from napari_tincture.training.images.crops import Crops
from napari_tincture.training.images.material import open_material
from napari_tincture.training.objective import find_objective

SIDE = np.s_[20:52, 30:70]
"""Where the toy's stain is wrong."""


def negative(image: Raster) -> Raster:
    return replace(open_image(255 - np.asarray(image), axes="cyx"), name=image.name)


def changed(image: Raster) -> Raster:
    """Another stain than the network learned, in one place."""
    values = np.asarray(image).copy()
    values[:, *SIDE] = 255 - values[:, *SIDE]
    return replace(open_image(values, axes="cyx"), name=image.name)


def marks(value: int) -> np.ndarray:
    found = np.zeros((72, 90), np.uint8)
    found[SIDE] = value
    return found


@pytest.fixture
def trained(tmp_path: Path) -> Model:
    """A regression that has learned to leave images as they are, roughly."""
    recipe = small_recipe("regression", steps=2, lr=0.0)
    return nt.train(recipe, images=images_for(recipe), out=tmp_path / "before.safetensors")


def lessons_of(model: Model, folder: Path, **known: Any) -> Lessons:
    image = fields(1, seed=7)[0]
    return Lessons.of(nt.correct(model, image, folder=folder, **known))


def read(picture: Any) -> np.ndarray:
    height, width = picture.shape
    return picture.read(slice(0, height), slice(0, width)).numpy()


def test_what_is_right_is_its_own_target(trained: Model, tmp_path: Path) -> None:
    found = lessons_of(trained, tmp_path / "set", marks=marks(1))
    assert found.wrong is None
    (a,), (b,) = found.pairs.a.pictures, found.pairs.b.pictures
    image = fields(1, seed=7)[0]
    np.testing.assert_allclose(read(a), np.asarray(image) / 127.5 - 1, atol=1e-6)
    expected = trained.predict(torch.from_numpy(np.asarray(image))[None])[0]
    # Values reach 2, and processors sum in other orders.
    np.testing.assert_allclose(read(b), expected, atol=3e-5)
    np.testing.assert_array_equal(a.weight.raw(*map(slice, (0, 0), (72, 90)))[0], marks(1))


def test_what_is_wrong_is_no_target_but_looked_at_more_often(
    trained: Model, tmp_path: Path
) -> None:
    found = lessons_of(trained, tmp_path / "set", marks=marks(2))
    assert found.pairs is None
    recipe = small_recipe("cyclegan")
    material = corrected(open_material(recipe, images=images_for(recipe, 9)), found)
    pictures = material.train.a.pictures
    assert [picture.odds for picture in pictures] == [1.0] * 8 + [10.0]
    assert len({picture.image for picture in pictures}) == 9
    crops = Crops(
        [(p,) for p in pictures], [None], size=32, augment=recipe.sampling.augment, epochs=False,
        foreground=0.0, limit=0.0, seed=(0, 0),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    drawn = [crops.draw(number, rng).scene for number in range(400)]
    assert np.mean(np.array(drawn) == 8) == pytest.approx(10 / 18, abs=0.1)
    assert "corrections: 1 for training" in material.note


def test_references_weigh_more_where_the_stain_is_wrong(trained: Model, tmp_path: Path) -> None:
    image = fields(1, seed=7)[0]
    found = lessons_of(
        trained, tmp_path / "set", marks=marks(2), reference=changed(image), weight=4.0
    )
    assert found.wrong is None
    (a,), (b,) = found.pairs.a.pictures, found.pairs.b.pictures
    np.testing.assert_allclose(read(b), np.asarray(changed(image)) / 127.5 - 1, atol=1e-6)
    weights = a.weight.raw(slice(0, 72), slice(0, 90))[0]
    np.testing.assert_array_equal(weights, np.where(marks(2) == 2, 4.0, 1.0))


def test_values_of_the_whole_image_normalise_its_parts(tmp_path: Path) -> None:
    recipe = small_recipe("regression", steps=1, crop=32)
    norm = {"kind": "percentile", "low": 1.0, "high": 99.0, "target": [-1.0, 1.0]}
    given = {side: {"images": images, "normalisation": norm}
             for side, images in images_for(recipe)["pairs"].items()}  # fmt: skip
    model = nt.train(recipe, images={"pairs": given}, out=tmp_path / "m.safetensors")
    values = np.asarray(fields(1, (3, 136, 150), seed=7)[0]).copy()
    values[:, :40] //= 4
    place = np.zeros((136, 150), np.uint8)
    place[:4, :4] = 1
    lessons = Lessons.of(nt.correct(model, values_of(values), place, folder=tmp_path / "set"))
    (picture,) = lessons.pairs.a.pictures
    assert picture.shape != (136, 150)
    low, high = np.percentile(values, [1, 99], axis=(1, 2))[:, :, None, None]
    whole = (values - low) / (high - low) * 2 - 1
    height, width = picture.shape
    np.testing.assert_allclose(read(picture), whole[:, :height, :width], atol=1e-5)


def made_by(model: Model, image: Raster) -> np.ndarray:
    return model.predict(torch.from_numpy(np.asarray(image))[None])[0].numpy()


def values_of(values: np.ndarray) -> Raster:
    return open_image(values, axes="cyx")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ugatit", "pix2pix"])
def test_families_learn_from_corrections(family: str, tmp_path: Path) -> None:
    recipe = small_recipe(family, steps=2)
    where = {"images": images_for(recipe), "out": tmp_path / "a.safetensors"}
    model = nt.train(recipe, **where)
    image, crop = fields(1, seed=7)[0], recipe.sampling.crop
    data = nt.correct(model, image, marks(1))
    data = nt.correct(model, image, marks(2), reference=changed(image))
    assert data.folder == tmp_path / "a.corrections"
    again = nt.train(
        model, corrections=data, images=where["images"], out=tmp_path / "b.safetensors"
    )
    assert again.card.recipe["data"]["corrections"] == pinned(data.folder)
    assert again.card.recipe["start"] == str(tmp_path / "a.safetensors")
    material = corrected(open_material(recipe, images=where["images"]), Lessons.of(data))
    batch = material.train.sampler(recipe.sampling)(0)
    paired = find_objective(family).PUBLISHED.data == "paired"
    name = "weight" if paired else "pair_weight"
    assert batch[name].shape == (1, 1, crop, crop)
    assert any(not torch.equal(p, q) for p, q in zip(
        again.network.parameters(), model.network.parameters(), strict=True))  # fmt: skip


def test_a_grown_data_set_does_not_change_a_training_that_goes_on(
    trained: Model, tmp_path: Path
) -> None:
    image = fields(1, seed=7)[0]
    data = nt.correct(trained, image, marks(1), folder=tmp_path / "set")
    before = pinned(data.folder)
    nt.correct(trained, fields(1, seed=8)[0], marks(1), folder=tmp_path / "set")
    assert len(data) == 2
    assert len(open_lessons(before).pairs.pictures) == 1
    assert len(open_lessons({"folder": "set"}, tmp_path).pairs.pictures) == 2


# What is corrected here is unlike what little was learned from.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is unlike what.*")
@pytest.mark.parametrize("family", ["regression", "cyclegan"])
def test_the_error_in_a_corrected_place_falls(family: str, tmp_path: Path) -> None:
    recipe = small_recipe(family, steps=50, lr=1e-2, decay="constant", validate_every=99, crop=32)
    a = fields(3, seed=1)
    domains = {"pairs": {"a": a, "b": a}} if family == "regression" else {"a": a, "b": a}
    begun = nt.train(recipe, images=domains, out=tmp_path / "a.safetensors")
    # Bright places, which the network has not seen, are to become dark.
    image = open_image(200 + np.asarray(fields(1, seed=7)[0]) // 5, axes="cyx")
    wanted = negative(image)
    stain = open_image(made_by(begun, image), axes="cyx")
    data = nt.correct(begun, image, marks(2), stain, wanted, tmp_path / "set")
    errors = {}
    for name, corrections in (("without", None), ("with", data)):
        model = nt.train(
            begun, images=domains, corrections=corrections, out=tmp_path / f"{name}.safetensors"
        )
        known = np.asarray(wanted) / 127.5 - 1
        errors[name] = np.abs(made_by(model, image) - known)[:, *SIDE].mean()
    assert errors["with"] < 0.7 * errors["without"]


def test_what_does_not_fit_is_refused(trained: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no corrections in"):
        pinned(tmp_path / "empty")
    for wrong in (3, {"regions": []}, {"folder": "x", "odd": 1}):
        with pytest.raises(InputError, match="describes no corrections"):
            open_lessons(wrong)
    data = nt.correct(trained, fields(1, seed=7)[0], marks(1), folder=tmp_path / "set")
    grey = small_recipe("regression", in_channels=1, steps=1)
    a, b = fields(3, (1, 72, 90)), fields(3)
    with pytest.raises(InputError, match=r"Corrections have 3 channels.* 1"):
        nt.train(grey, images={"pairs": {"a": a, "b": b}}, corrections=data,
                 out=tmp_path / "m.safetensors")  # fmt: skip
    with pytest.raises(InputError, match="names no family"):
        nt.train("nuclei", corrections=data, out=tmp_path / "m.safetensors")
    assert isinstance(data, Corrections)
