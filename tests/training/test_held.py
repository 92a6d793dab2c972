from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from translations import fields, images_for, small_recipe

import napari_tincture as nt
from napari_tincture.io.open import open_image
from napari_tincture.models.card import Channel, ModelCard
from napari_tincture.models.layers.fixed_size import FixedSize
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.tiling.reach import with_reach
from napari_tincture.training.held import choose_held, whole
from napari_tincture.training.images.material import Material, open_material
from napari_tincture.training.translate import train_translation

SIDE = 16
HELD = ["field-1"]


class Brightened(nn.Module):
    """Adds to an image how much its pixels of 16 × 16 images vary."""

    def __init__(self) -> None:
        super().__init__()
        self.tell = FixedSize(SIDE, SIDE, 1, Contrast())

    def forward(self, x: Tensor) -> Tensor:
        return 0.4 * x + 3 * (self.tell(x) - 0.33)[:, :, None, None]


class Contrast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.std(1, keepdim=True)


def model() -> Model:
    card = ModelCard(
        name="m", task="stain", architecture="test", inputs=tuple(map(Channel, "abc")),
        outputs=tuple(map(Channel, "abc")), output_range=(-1, 1),
        normalisation=Normalisation("dtype", target=(-1.0, 1.0)),
    )  # fmt: skip
    return with_reach(Model(Brightened(), card))


def material(images: Mapping[str, Any]) -> Material:
    recipe = small_recipe("ugatit", split={"validation": HELD}, crop=32)
    return open_material(recipe, images=images)


def shown(how: str, image: Any) -> Any:
    """What the network makes of a field when γ and β come from it in a certain way."""
    asked = model().with_card(model().card.replace(held=how))
    made = open_image(np.asarray(nt.stain(image, asked, dtype="uint8")), axes="cyx")
    return replace(made, name=image.name)


@pytest.mark.parametrize("how", ["reduced", "tiles"])
def test_the_better_way_is_kept(how: str) -> None:
    a = fields(4)
    b = [shown(how, image) for image in a]
    other = {"reduced": "tiles", "tiles": "reduced"}[how]
    registered = material({"a": a, "b": a, "pairs": {"a": a, "b": b}}).validation
    found, figures = choose_held(model(), registered)
    assert found == how
    assert figures[f"held {how} ssim"] > 0.998 > figures[f"held {other} ssim"]
    unpaired = material({"a": a, "b": b}).validation
    found, figures = choose_held(model(), unpaired)
    assert found == how
    assert figures[f"held {how} frechet"] < figures[f"held {other} frechet"]


def test_whole_fields_are_those_that_stain_gives() -> None:
    part = material(images_for(small_recipe("ugatit"), 2)).validation
    assert part.a is not None
    picture = part.a.pictures[0]
    expected = np.asarray(nt.stain(picture.raster, model(), dtype="float32"))
    np.testing.assert_allclose(whole(model(), picture), expected, atol=1e-5)


def test_there_may_be_nothing_to_choose() -> None:
    images = images_for(small_recipe("ugatit"))
    anything = material(images).validation
    plain = Model(nn.Identity(), model().card)
    assert choose_held(plain, anything) == ("reduced", {})
    small = {name: [image.crop({"y": slice(0, SIDE), "x": slice(0, SIDE)}) for image in domain]
             for name, domain in images.items()}  # fmt: skip
    recipe = small_recipe("ugatit", split={"validation": HELD})
    alone = open_material(recipe, images=small).validation
    assert choose_held(model(), alone) == ("reduced", {})


def test_the_card_of_a_trained_network_says_which_was_better() -> None:
    recipe = small_recipe("ugatit", networks={"light": False}, crop=32, steps=1)
    found, _ = train_translation(recipe, open_material(recipe, images=images_for(recipe)))
    figures = found.card.figures
    reduced, tiles = (figures[f"validation held {how} frechet"] for how in ("reduced", "tiles"))
    assert found.card.held == ("reduced" if reduced <= tiles else "tiles")
    image = torch.rand(1, 3, 40, 36)
    assert found.predict(image).shape == image.shape
