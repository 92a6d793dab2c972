"""The user's own models: added, renamed, removed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import napari_tincture as nt
from napari_tincture.models import Channel, Model, ModelCard, library
from napari_tincture.models.registry import build_network
from napari_tincture.models.shipped import VARIABLE, find_card, shipped_folder
from napari_tincture.models.weights import read_card


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    options = {"in_channels": 1, "out_channels": 1, "depth": 1, "width": 4}
    card = ModelCard("mine", "stain", "unet", (Channel("a"),), (Channel("b"),), options)
    return Model(build_network("unet", options), card).save(tmp_path / "elsewhere.safetensors")


def names() -> set[str]:
    return {card.name for card in nt.list_models()}


def test_a_file_is_copied_in_with_the_same_numbers(own: Path, file: Path) -> None:
    one, second = library.add_model(file), library.add_model(file)
    assert (one.parent, one.stem, second.stem) == (own, "mine", "mine-2")
    assert {"mine", "mine-2"} <= names()
    assert read_card(second).name == "mine-2"
    assert library.is_own("mine")
    assert not library.is_own("nuclei")
    x = torch.rand(1, 1, 32, 32)
    np.testing.assert_array_equal(
        nt.load_model("mine-2").predict(x), nt.load_model(file).predict(x)
    )
    assert nt.load_model("mine-2").fingerprint == nt.load_model(file).fingerprint


def test_a_renamed_model_is_the_same_under_its_new_name(own: Path, file: Path) -> None:
    library.add_model(file)
    library.note_origin(own / "mine.safetensors", {"url": "https://a", "sha256": "0"})
    before = nt.load_model("mine").fingerprint
    assert nt.rename_model("mine", "Stain_2+") == own / "Stain_2+.safetensors"
    assert "mine" not in names()
    card = nt.load_model("Stain_2+").card
    assert (card.name, card.origin["url"]) == ("Stain_2+", "https://a")
    assert nt.load_model("Stain_2+").fingerprint == before
    assert nt.rename_model("Stain_2+", "Stain_2+").is_file()
    assert nt.rename_model("Stain_2+", "stain_2+").stem == "stain_2+"
    assert [path.stem for path in own.glob("*.safetensors")] == ["stain_2+"]


@pytest.mark.parametrize(
    ("name", "new", "text"),
    [
        ("nuclei", "cells", "only these are renamed"),
        ("mine", "nuclei", "another model"),
        ("mine", "Nuclei", "'nuclei' is the name of another model"),
        ("mine", "a/b", "such as 'a-b'"),
        ("mine", "", "such as 'model'"),
        ("mine", ".hidden", "such as 'hidden'"),
        ("none", "other", "Unknown model"),
    ],
)
def test_names_that_cannot_be_given_are_refused(
    own: Path, file: Path, name: str, new: str, text: str
) -> None:
    library.add_model(file)
    with pytest.raises(nt.ModelError, match=text):
        nt.rename_model(name, new)
    assert [path.stem for path in own.iterdir()] == ["mine"]


def test_only_own_models_are_removed(own: Path, file: Path) -> None:
    library.add_model(file)
    with pytest.raises(nt.ModelError, match="shipped"):
        nt.remove_model("nuclei")
    with pytest.raises(nt.ModelError, match="only these are removed"):
        nt.remove_model(str(file))
    assert nt.remove_model("mine") == own / "mine.safetensors"
    assert "mine" not in names()
    assert file.is_file()
    assert (shipped_folder() / "nuclei.safetensors").is_file()


def test_a_file_without_a_card_is_not_added(own: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "bare.safetensors")
    with pytest.raises(nt.ModelError, match="without a model card"):
        library.add_model(tmp_path / "bare.safetensors")
    assert not own.exists()
    assert find_card("nuclei").origin == {}
