"""What the table trains: variants of the denoiser, and other methods of equal budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import napari_tincture as nt
from benchmarks.synthesis_draw import CLASSES, one_hot
from benchmarks.synthesis_judge import TISSUE, TRAINED, section
from napari_tincture.training.presets import preset
from napari_tincture.training.starters import read_recipe
from napari_tincture.training.translation import TranslationRecipe

STARTER, SEGMENTER = "em-tissue", "em-membranes"
OF_TRAINING = ("schedule", "predicts")
"""Options of the training; others are of the network."""
BASE: Mapping[str, Any] = {"condition": "both", "blocks": "biggan", "res_blocks": 2}
ABLATION: Mapping[str, Mapping[str, Any]] = {
    "map concatenated and by SPADE, BigGAN blocks, 2 per level, cosine schedule": {},
    "map concatenated": {"condition": "concatenate"},
    "map by SPADE": {"condition": "spade"},
    "plain blocks": {"blocks": "plain"},
    "3 blocks per level": {"res_blocks": 3},
    "linear schedule": {"schedule": "linear"},
    "the image predicted, not the velocity": {"predicts": "image"},
}
"""What differs from the first."""
METHODS = ("spade", "pix2pix", "cyclegan", "diffusion")
SIZES: Mapping[str, Sequence[int]] = {"a tenth": [5], "all": list(TRAINED)}
"""Sections that are learned from; a tenth of eleven is the middle one."""
HELD = {"validation": ["11", "12"], "test": ["13", "14", "15"]}
WIDTH, CROP, BATCH = 20, 128, 4


def starter(name: str = STARTER) -> TranslationRecipe:
    """A committed recipe."""
    found = read_recipe(name)
    assert isinstance(found, TranslationRecipe)
    return found


def names_of(sections: Sequence[int]) -> list[str]:
    """Of these sections and of those that are held back."""
    return [f"{number:02}" for number in sections] + HELD["validation"] + HELD["test"]


def data_of(
    sections: Sequence[int], labels: str = f"{TISSUE}/classes", suffix: str = ".png"
) -> dict[str, Any]:
    """Images and label maps of sections, as recipes of both name them."""
    names = names_of(sections)
    a = {"images": [f"{TISSUE}/raw/{name}.png" for name in names], "channels": [0]}
    return {"a": a, "b": {"images": [f"{labels}/{name}{suffix}" for name in names]}}


def diffusion(name: str, sections: Sequence[int], steps: int, **options: Any) -> TranslationRecipe:
    """The starter's recipe with a narrower network, fewer steps, and other options."""
    recipe = starter()
    forward = recipe.networks["forward"]
    learned = {key: value for key, value in options.items() if key in OF_TRAINING}
    own = {**forward.options, "width": WIDTH, "head_channels": WIDTH, **BASE, **options}
    own = {key: value for key, value in own.items() if key not in OF_TRAINING}
    schedule = dataclasses.replace(
        recipe.schedule, steps=steps, warmup=min(100, steps // 10), validate_every=steps,
        save_every=50, ema=min(recipe.schedule.ema, 1 - 5 / steps),
    )  # fmt: skip
    return recipe.replace(
        name=name,
        options={**recipe.options, **learned},
        networks={"forward": dataclasses.replace(forward, options=own)},
        schedule=schedule,
        sampling=dataclasses.replace(recipe.sampling, crop=CROP, batch=BATCH),
        data={"pairs": data_of(sections)},
        split=HELD,
        card={},
    )


def method(family: str, size: str, steps: int, hot: Path) -> TranslationRecipe:
    """A method of equal crops, batch and steps.

    Parameters
    ----------
    hot
        Folder of `write_one_hot`, for those that translate images.
    """
    sections, name = SIZES[size], f"{family} {size} {steps}"
    if family == "diffusion":
        return diffusion(name, sections, steps)
    given: dict[str, Any] = {
        "name": name, "steps": steps, "crop": CROP, "batch": BATCH, "flips": (True, True),
        "rot90": True, "validate_every": steps, "save_every": 50, "out_channels": 1,
        "in_channels": CLASSES, "split": HELD,
    }  # fmt: skip
    if family == "spade":
        options = {"unlabelled": -1, "classes": starter().options["classes"]}
        return preset(
            family, "tiny", data={"pairs": data_of(sections)}, options=options, ema=0.99, **given
        )
    both = data_of(sections, str(hot), ".ome.tif")
    sides = {"a": both["b"], "b": both["a"]}
    return preset(family, "tiny", data={"pairs": sides} if family == "pix2pix" else sides, **given)


def write_one_hot(data: Path, folder: Path) -> Path:
    """Label maps of all sections with a channel per class."""
    for number in range(16):
        path = folder / f"{number:02}.ome.tif"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            hot = one_hot(section(data, "classes", number))
            nt.open_image(hot, axes="cyx").save(path)
    return folder.resolve()


def segmentation(steps: int) -> TranslationRecipe:
    """A shorter training of the segmentation starter, to tell what its images are worth."""
    recipe = starter(SEGMENTER)
    schedule = dataclasses.replace(recipe.schedule, steps=steps, validate_every=max(steps // 4, 1))
    sampling = dataclasses.replace(recipe.sampling, crop=CROP)
    return recipe.replace(name=f"segmentation {steps}", schedule=schedule, sampling=sampling)
