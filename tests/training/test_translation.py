from __future__ import annotations

from typing import Any

import pytest
from translations import small_recipe

from napari_tincture.errors import InputError
from napari_tincture.training.translation import TranslationRecipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": {}}, "no network 'forward'"),
        ({"data": {"c": {}}}, "names the data c; expected a, b, pairs"),
        ({"card": {"licens": "CC0"}}, "says licens of the model's card"),
        ({"schedule": {}}, "no recipe for translating images.*steps"),
        ({"schedule": {"steps": 0}}, "steps ≥ 1"),
        ({"networks": [1]}, "no recipe for translating images"),
        ({"extra": 1}, "no recipe for translating images.*extra"),
    ],
)
def test_what_is_no_recipe_is_refused(change: dict[str, Any], message: str) -> None:
    values = {**small_recipe("cyclegan").to_dict(), **change}
    with pytest.raises(InputError, match=message):
        TranslationRecipe.from_dict(values)


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        TranslationRecipe.from_json("{")
    with pytest.raises(InputError, match="no recipe"):
        TranslationRecipe.from_json("[1]")


def test_a_lacking_network_and_an_unknown_initialisation_are_named() -> None:
    recipe = small_recipe("cyclegan")
    networks = recipe.build_networks()
    del networks["backward"]
    with pytest.raises(InputError, match="backward"):
        recipe.build_objective(networks)
    with pytest.raises(InputError, match="initialisation 'magic'"):
        recipe.replace(initialisation="magic").build_networks()
