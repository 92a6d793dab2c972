from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_tincture.errors import InputError, OutputError
from napari_tincture.training.begun import (
    Begun,
    list_begun,
    read_begun,
    trainings_folder,
    unused_name,
)

RECIPE: dict[str, Any] = {"schedule": {"steps": 50}}


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_TINCTURE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def begun(name: str, step: int = 0) -> Begun:
    """One that has saved a checkpoint."""
    made = Begun(name, RECIPE, {"a": 1}, step)
    made.write()
    made.checkpoint.write_bytes(b"")
    return made


def test_what_was_written_is_read_until_it_is_discarded() -> None:
    made = begun("one")
    made.at(7).write()
    assert read_begun("one") == made.at(7)
    assert [(each.name, each.step, each.steps) for each in list_begun()] == [("one", 7, 50)]
    made.discard()
    made.discard()
    assert list_begun() == []
    assert not list(trainings_folder().glob("one.*"))


def test_without_a_checkpoint_or_in_another_format_it_is_not_listed() -> None:
    Begun("early", RECIPE).write()
    for name, text in (("cut", "{"), ("foreign", '{"name": "x"}'), ("empty", "[]")):
        begun(name)
        (trainings_folder() / f"{name}.json").write_text(text)
    begun("good")
    assert [each.name for each in list_begun()] == ["good"]


def test_names_are_those_of_no_model_and_no_training(library: Path) -> None:
    assert unused_name("My stain: 3") == "My-stain-3"
    begun("cells")
    assert unused_name("cells") == "cells-2"
    (library / "cells-2.safetensors").write_bytes(b"")
    assert unused_name("cells") == "cells-3"
    assert unused_name("nuclei") == "nuclei-2", "the package ships one of that name"


def test_one_at_a_time() -> None:
    made = begun("one")
    with made.held(), pytest.raises(InputError, match="in another window"), made.held():
        pass
    with made.held():
        pass


def test_a_folder_that_cannot_be_written_to_is_named(library: Path) -> None:
    library.write_bytes(b"a file where the folder should be")
    with pytest.raises(OutputError, match="NAPARI_TINCTURE_MODELS"):
        Begun("one", RECIPE).write()
