"""Fields of stained tissue become pairs that are named by their stain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import napari_tincture as nt
from napari_tincture.deriving.touching import object_classes
from napari_tincture.errors import InputError
from napari_tincture.io.png import write_png
from napari_tincture.models.card import Part
from napari_tincture.training import nuclei_tissue
from napari_tincture.training.starters import TISSUE, data_of, read_recipe
from napari_tincture.training.translation import TranslationRecipe

GROUNDS = {"white": (210, 210, 212), "purple": (180, 160, 210), "pink": (215, 130, 180)}
NUCLEI = {"white": (90, 30, 120), "purple": (80, 40, 190), "pink": (120, 50, 140)}


def field(stain: str) -> tuple[np.ndarray, np.ndarray]:
    """An image of two nuclei that touch and one that does not, and their labels."""
    labels = np.zeros((48, 64), np.uint16)
    labels[8:20, 8:20], labels[8:20, 20:32], labels[30:40, 40:52] = 1, 2, 3
    image = np.where(labels[..., None] > 0, NUCLEI[stain], GROUNDS[stain])
    noise = np.random.default_rng(0).integers(-9, 10, image.shape)
    return (image + noise).astype(np.uint8), labels


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / nuclei_tissue.FOLDER
    rows = ["file,mode"]
    for number, stain in enumerate((*GROUNDS, *GROUNDS, *GROUNDS)):
        # Of each stain one for training, one (b) for validation and one (c) for testing.
        name = f"{'abc'[number // 3]}{number}"
        image, labels = field(stain)
        write_png(folder / "images" / f"{name}.png", image)
        write_png(folder / "labels" / f"{name}.png", labels)
        rows.append(f"{name},rgb")
    (folder / "index.csv").write_text("\n".join([*rows, "grey,gray"]))
    return tmp_path / "data"


def test_borders_lie_where_objects_touch() -> None:
    _, labels = field("white")
    found = object_classes(labels)
    assert set(np.unique(found[8:20, 18:22])) == {1, 2}
    assert (found[8:20, 19:21] == 2).all()
    assert (found[30:40, 40:52] == 1).all()
    assert (found[labels > 0] > 0).all()
    assert (found[labels == 0] != 1).all()


def test_fields_are_named_by_their_stain(data: Path, tmp_path: Path) -> None:
    source = data / nuclei_tissue.FOLDER
    written = nuclei_tissue.prepare(source, tmp_path / "out")
    assert [path.stem.split("_")[0] for path in written] == list(GROUNDS) * 3
    for path in written:
        image = np.asarray(nt.open_image(path.parents[1] / "images" / path.name))
        assert nuclei_tissue.stain_of(np.moveaxis(image, 0, -1)) == path.stem.split("_")[0]
        assert np.unique(np.asarray(nt.open_image(path))).tolist() == [0, 1, 2]
    (source / "index.csv").write_text("file,mode\ngrey,gray")
    with pytest.raises(InputError, match="no image of mode rgb"):
        nuclei_tissue.prepare(source, tmp_path / "none")


def test_two_steps_give_a_model_with_a_style_per_stain(data: Path, tmp_path: Path) -> None:
    recipe = read_recipe(TISSUE)
    assert isinstance(recipe, TranslationRecipe)
    part = recipe.networks["forward"]
    options = {**part.options, "width": 6, "head_channels": 6, "channel_mult": [1, 2]}
    options["attention_factors"] = [4]
    small = recipe.replace(
        networks={"forward": Part(part.architecture, options)},
        sampling=replace(recipe.sampling, crop=32, batch=2),
        schedule=replace(recipe.schedule, steps=2, warmup=0, save_every=2, validate_every=2),
    )
    model = nt.train(small, data=data_of(TISSUE, data, tmp_path / "work"), device="cpu")
    assert model.card.styles == ("pink", "purple", "white")
    assert [channel.name for channel in model.card.class_inputs][1:] == [
        "nucleus", "border between nuclei",
    ]  # fmt: skip
    assert model.card.rgb_output
    assert 0 < model.card.figures["test denoising"] < 10
