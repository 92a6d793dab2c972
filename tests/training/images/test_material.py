from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.io import imsave
from translations import fields, images_for, small_recipe

from napari_tincture.errors import InputError
from napari_tincture.training.images.material import AS_SEEN, open_material, windows
from napari_tincture.training.translation import TranslationRecipe

GAN, PAIRED, ALONE = "cyclegan", "pix2pix", "autoencoder"


def recipe_of(family: str = GAN, **changes: Any) -> TranslationRecipe:
    return small_recipe(family, **changes)


@pytest.mark.parametrize(
    ("family", "images", "message"),
    [
        (GAN, {}, "two domains, a and b; missing: a and b"),
        (GAN, {"b": fields(2)}, "missing: a"),
        (GAN, {"pairs": {"a": fields(2), "b": fields(2)}}, "missing: a and b"),
        (GAN, {"a": fields(2), "b": fields(2), "c": 1}, "given as c; expected a, b, pairs"),
        (GAN, {"a": fields(2), "b": fields(2), "pairs": fields(2)}, "no mapping of a and b"),
        (PAIRED, {"a": fields(2), "b": fields(2)}, "pix2pix learns from registered pairs"),
        (PAIRED, {"pairs": {"b": fields(2)}}, "Pairs need images a and b; a is missing"),
        (
            PAIRED,
            {"a": fields(2), "pairs": {"a": fields(2), "b": fields(2)}},
            "from pairs alone; leave out a and b",
        ),
        (
            GAN,
            {"a": fields(2, (1, 40, 40)), "b": fields(2)},
            r"from 3 to 3 channels; the images have 1 and 3.*channels=\[0\]",
        ),
        (
            PAIRED,
            {"pairs": {"a": fields(2), "b": fields(2, (3, 72, 80))}},
            r"2 of 2 pairs differ in size.*field-0 \(72 × 90\) and field-0 \(72 × 80\)",
        ),
        (ALONE, {"b": fields(2)}, "one domain; give images={'a'.*neither b nor pairs"),
        (ALONE, {"a": fields(2), "b": fields(2)}, "neither b nor pairs"),
        (ALONE, {"pairs": {"a": fields(2), "b": fields(2)}}, "neither b nor pairs"),
        (
            PAIRED,
            {"pairs": {"a": fields(3), "b": fields(2)}},
            r"Images of one side alone: field-2 \(first 1 without a partner",
        ),
    ],
)
def test_images_that_do_not_suit_the_recipe_are_refused(
    family: str, images: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_material(recipe_of(family), images=images)


def test_images_smaller_than_a_crop_are_named() -> None:
    recipe = recipe_of()
    images = {"a": [*fields(2), *fields(1, (3, 20, 90))], "b": fields(2)}
    images["a"][2] = fields(3, (3, 20, 90))[2]
    everything = recipe.replace(split={"validation": 0.0})
    material = open_material(everything, images=images)
    with pytest.raises(InputError, match=r"smaller .* crops of 32 px: field-2 \(20 × 90\)"):
        material.train.sampler(recipe.sampling)
    with pytest.raises(InputError, match="too small to be split"):
        open_material(recipe, images={"a": fields(1, (3, 40, 40)), "b": fields(2)})


def test_unknown_settings_of_the_split_are_refused() -> None:
    for wrong in ({"valid": 0.1}, {"a": {"valid": 0.1}}):
        recipe = recipe_of(split=wrong)
        with pytest.raises(InputError, match="names valid; expected validation"):
            open_material(recipe, images=images_for(recipe))


def test_files_that_the_recipe_names_are_opened_below_its_root(tmp_path: Path) -> None:
    for side in "ab":
        (tmp_path / side).mkdir()
        for image in fields(3):
            values = np.moveaxis(np.asarray(image), 0, -1)
            imsave(tmp_path / side / f"{image.name}.png", values, check_contrast=False)
    split = {"a": {"validation": ["field-1"]}, "b": {"validation": 0.0, "test": ["field-0"]}}
    recipe = recipe_of(data={s: {"images": s} for s in "ab"}, split=split)
    material = open_material(recipe, tmp_path)
    names = {
        part: [
            [picture.name for picture in domain.pictures] if domain else []
            for domain in (portion.a, portion.b)
        ]
        for part, portion in vars(material).items()
        if part != "note"
    }
    assert names == {
        "train": [["field-0", "field-2"], ["field-1", "field-2"]],
        "validation": [["field-1"], []],
        "test": [[], ["field-0"]],
    }
    assert material.channels == (3, 3)
    assert "validation: field-1" in material.note
    again = open_material(recipe, tmp_path, {"a": fields(2)})
    assert [p.raster.memory is not None for p in again.train.sources.pictures] == [True]


def test_what_the_recipe_says_of_a_domain_holds_for_given_images() -> None:
    recipe = recipe_of(data={"a": {"images": "nowhere", "channels": [0, 0, 0]}})
    images = {"a": fields(2, (1, 72, 90)), "b": fields(2)}
    assert open_material(recipe, images=images).channels == (3, 3)
    other = {**images, "a": {"images": fields(2), "channels": [0, 1, 2]}}
    assert open_material(recipe, images=other).channels == (3, 3)


def test_images_alone_are_made_of_themselves(tmp_path: Path) -> None:
    recipe = recipe_of(ALONE).replace(split={"a": {"validation": ["field-1"]}})
    weight = [np.full((72, 90), 3.0, np.float32) for _ in range(3)]
    apart = {"test": {"a": {"images": fields(1, seed=5)}, "columns": [0, 80]}}
    material = open_material(
        recipe.replace(data=apart), images={"a": {"images": fields(3), "weight": weight}}
    )
    for part in (material.train, material.validation, material.test):
        assert part.pairs is not None
        for one, other in zip(part.pairs.a.pictures, part.pairs.b.pictures, strict=True):
            y, x = (slice(0, n) for n in one.shape)
            assert torch.equal(one.read(y, x), other.read(y, x))
            assert one.normalisation == AS_SEEN
    assert [p.name for p in material.validation.sources.pictures] == ["field-1"]
    assert material.test.sources.pictures[0].shape == (72, 80)
    batch = material.train.sampler(recipe.sampling)(0)
    assert torch.equal(batch["a"], batch["b"])
    assert batch["weight"].unique().tolist() == [3]


def test_windows_are_evenly_spread_and_within_their_pictures() -> None:
    recipe = recipe_of(split={"validation": 0.0})
    pictures = open_material(recipe, images=images_for(recipe, 2)).train.sources.pictures
    found = windows(pictures, 32, 100)
    assert len(found) == 2 * 2 * 2
    for number, y, x in found:
        height, width = pictures[number].shape
        assert 0 <= y.start < y.stop <= height
        assert 0 <= x.start < x.stop <= width
    corners = [(y.start, x.start) for number, y, x in found if number == 0]
    assert corners == [(2, 6), (2, 51), (38, 6), (38, 51)]
    assert windows(pictures, 32, 4) == found[::2]
    assert len(windows(pictures, 500, 9)) == 2
