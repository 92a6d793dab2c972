from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cells import named

from napari_tincture.errors import InputError
from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import Material, open_material
from napari_tincture.training.presets import preset
from napari_tincture.training.translation import TranslationRecipe


def fit(
    labels: list[np.ndarray], split: dict[str, Any] | None = None, **options: Any
) -> tuple[TranslationRecipe, Material]:
    recipe = preset("segmentation", "tiny", crop=16, options=options, split=split or {})
    images = [named(np.zeros((2, 3), np.uint8).repeat(20, 0).repeat(20, 1), f"i{n}")
              for n in range(len(labels))]  # fmt: skip
    given = {"image": images, "labels": [named(own, f"i{n}") for n, own in enumerate(labels)]}
    return fitted(recipe, open_material(recipe, images=given))


def halves(*values: int) -> np.ndarray:
    return np.repeat(np.array(values, np.uint16), 60 // len(values))[None].repeat(40, 0)


def test_recipes_name_the_classes_that_occur_and_fit_again_to_themselves() -> None:
    recipe, material = fit([halves(0, 300, 5), halves(5, 0), halves(300, 5)])
    assert [each["value"] for each in recipe.options["classes"]] == [5, 300]
    options = recipe.networks["forward"].options
    assert (options["in_channels"], options["out_channels"]) == (1, 2)
    assert TranslationRecipe.from_json(recipe.to_json()) == recipe
    assert fitted(recipe, material)[0] == recipe
    dense, _ = fit([halves(0, 5)] * 2, unlabelled=-1)
    assert [each["value"] for each in dense.options["classes"]] == [0, 5]


def test_classes_have_the_names_and_colours_that_were_given() -> None:
    named_one = {"value": 9, "name": "vessel", "colour": "red"}
    recipe, material = fit([halves(0, 4, 9, 11)] * 2, classes=[named_one, 4])
    first, second = recipe.options["classes"]
    assert first == named_one
    assert (second["value"], second["name"]) == (4, "class 4")
    assert second["colour"].startswith("#")
    assert material.train.pairs is not None
    found = material.train.pairs.b.pictures[0].read(slice(0, 1), slice(0, 60))[0, 0, ::15]
    assert found.tolist() == [-1, 1, 0, -1]


def test_networks_that_synthesize_lead_from_the_classes_to_the_images() -> None:
    recipe = preset("spade", "tiny", crop=32, networks={"use_vae": True})
    images = [named(np.zeros((40, 60), np.uint8), f"i{n}") for n in range(2)]
    labels = [named(halves(5, 300, 7, 9), f"i{n}") for n in range(2)]
    found, material = fitted(recipe, open_material(recipe, images={"a": images, "b": labels}))
    options = {name: part.options for name, part in found.networks.items()}
    assert (options["forward"]["in_channels"], options["forward"]["out_channels"]) == (4, 1)
    assert options["discriminator"]["in_channels"] == 4 + 1
    assert options["encoder"]["in_channels"] == 1
    assert fitted(found, material)[0] == found
    assert material.train.sources is not None
    assert material.train.sources.pictures[0].normalisation.span == (-1, 1)


def test_what_teaches_nothing_is_refused() -> None:
    bare, full = halves(0, 0), halves(1, 2)
    with pytest.raises(InputError, match=r"1 of 2 images have no label: i1.*leave them out"):
        fit([full, bare, full], {"validation": ["i2"]})
    with pytest.raises(InputError, match=r"'i0' are empty.*split=\{'validation': 0\}"):
        fit([bare], {"validation": 0})
    with pytest.raises(InputError, match=r"one class, 3: there is nothing to tell apart"):
        fit([halves(0, 3)] * 2)
    with pytest.raises(InputError, match=r"no label of class 2 \(2\).*'validation': 0"):
        fit([halves(1, 3), full], {"validation": ["i1"]})
    with pytest.raises(InputError, match="None of 1 training images has an object"):
        fit([bare, full], {"validation": ["i1"]}, target="instances")


def test_images_without_labels_are_asked_for() -> None:
    recipe = preset("segmentation", "tiny")
    with pytest.raises(InputError, match=r"learns from images and labels.*'labels'"):
        open_material(recipe, images={"pairs": None})
    with pytest.raises(InputError, match="b is missing"):
        open_material(recipe, images={"image": [named(halves(1, 2))]})
