"""Styles by the names of images: each is learned as colours, the map as layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from painters import label_map
from skimage.io import imsave

import napari_tincture as nt
from napari_tincture.errors import InputError, TinctureWarning
from napari_tincture.models.card import Part
from napari_tincture.training.denoising import forgotten
from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import open_material
from napari_tincture.training.presets import preset
from napari_tincture.training.translation import TranslationRecipe

NETWORK = {
    "in_channels": 3, "out_channels": 1, "width": 8, "channel_mult": [1, 2], "res_blocks": 1,
    "patch": 2, "attention_factors": [], "spade_width": 4, "norm_groups": 4, "style_dim": 8,
    "dropout": 0.0,
}  # fmt: skip
LEVELS = {"smooth": (20, 50, 90), "rough": (130, 170, 230)}
"""Brightness of the classes 0, 1 and 4 of each style."""


def painted(labels: NDArray[Any], style: str) -> NDArray[np.uint8]:
    classes = [labels == value for value in (0, 1, 4)]
    return np.select(classes, LEVELS[style]).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("styles")
    for style in LEVELS:
        for number in range(3):
            labels = label_map(64, 64, seed=number)
            for kind, values in (("images", painted(labels, style)), ("labels", labels)):
                (root / kind).mkdir(exist_ok=True)
                imsave(root / kind / f"{style}_{number}.png", values, check_contrast=False)
    return root


def recipe_of(steps: int = 2, **options: Any) -> TranslationRecipe:
    recipe = preset(
        "diffusion", "tiny", in_channels=3, out_channels=1, name="two styles", steps=steps,
        crop=32, batch=4, lr=1e-2, foreground=0.0, warmup=10, ema=0.9, validate_every=steps,
        data={"pairs": {"a": {"images": "images"}, "b": {"images": "labels"}}},
        split={"validation": ["smooth_2", "rough_2"]},
        options={
            "style_from": "^([a-z]+)_", "predicts": "image", "steps": 100, "window": 64,
            "overlap": 16, **options,
        },
    )  # fmt: skip
    return recipe.replace(networks={"forward": Part("semantic_sr3", NETWORK)})


def test_images_have_the_style_of_their_names(folder: Path) -> None:
    recipe, material = fitted(recipe_of(), open_material(recipe_of(), folder))
    assert recipe.options["styles"] == ["rough", "smooth"]
    assert recipe.networks["forward"].options["styles"] == 2
    for picture in material.train.pairs.a.pictures:
        assert picture.style == (1 if picture.name.startswith("rough") else 2)
    batch = material.train.sampler(recipe.sampling)(0)
    bright = batch["a"].mean((1, 2, 3)) > 0
    assert batch["style"].tolist() == torch.where(bright, 1, 2).tolist()
    assert len(set(batch["style"].tolist())) == 2


def test_styles_of_a_recipe_stay_whatever_is_added(folder: Path) -> None:
    named = recipe_of(styles=["smooth", "blurred"])
    recipe, material = fitted(named, open_material(named, folder))
    assert recipe.options["styles"] == ["smooth", "blurred"]
    styles = {picture.name: picture.style for picture in material.train.pairs.a.pictures}
    assert styles == {"rough_0": 0, "rough_1": 0, "smooth_0": 1, "smooth_1": 1}
    assert fitted(recipe, material)[0] == recipe


def test_numbers_are_sorted_as_numbers(folder: Path) -> None:
    from napari_tincture.training.labels.styles import _counted

    assert sorted(["v10", "v9", "v1"], key=_counted) == ["v1", "v9", "v10"]


def test_styles_are_forgotten_as_often_as_asked() -> None:
    torch.manual_seed(0)
    style = torch.full((4000,), 3)
    found = forgotten(style, 0.25)
    assert found.dtype == torch.int64
    assert abs((found == 0).float().mean() - 0.25) < 0.03
    assert set(found.tolist()) == {0, 3}
    assert forgotten(style, 0.0) is style


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_from": "^slide"}, "found in none of 4 training images"),
        ({"style_from": "(("}, "no regular expression"),
        ({"style_drop": 1.0}, "style_drop"),
        ({"style_from": "", "styles": ["day"]}, "give style_from"),
    ],
)
def test_what_cannot_be_right_is_refused(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    recipe = recipe_of(**options)
    with pytest.raises(InputError, match=message):
        fitted(recipe, open_material(recipe, folder))[0].build_objective({})


def test_classes_that_no_training_image_shows_are_told_of(folder: Path) -> None:
    recipe = recipe_of(classes=[0, 1, 4, {"value": 9, "name": "rare"}])
    with pytest.warns(TinctureWarning, match=r"rare \(9\)"):
        found, _ = fitted(recipe, open_material(recipe, folder))
    assert found.networks["forward"].options["in_channels"] == 4


@pytest.mark.slow
def test_two_styles_of_a_map_differ_in_colour_not_in_layout(folder: Path, tmp_path: Path) -> None:
    model = nt.train(recipe_of(80), data=folder, out=tmp_path / "two.safetensors", device="cpu")
    labels = label_map(64, 64, seed=9)
    drawn = {
        style: np.asarray(nt.synthesize(labels, model, style=style, steps=8)).astype(float)
        for style in LEVELS
    }
    places = [labels == value for value in (0, 1, 4)]
    layout = np.select(places, [0.0, 1.0, 2.0])
    for style, image in drawn.items():
        means = np.array([image[place].mean() for place in places])
        apart = {name: np.abs(means - levels).max() for name, levels in LEVELS.items()}
        assert min(apart, key=apart.__getitem__) == style
        assert (np.diff(means) > 0).all()
        assert np.corrcoef(image.ravel(), layout.ravel())[0, 1] > 0.6
