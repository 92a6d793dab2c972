"""Settings are checked once and survive JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from napari_tincture.errors import InputError
from napari_tincture.worker.settings import JobSettings


def test_settings_survive_json() -> None:
    settings = JobSettings(
        task="segment",
        model="nuclei",
        channels=((0, "z", 3), (1, "", 0)),
        region={"y": (3, 20), "x": (0, 7)},
        context="exact",
        options={"output": "labels"},
        save_to="labels.zarr",
    )
    assert JobSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "os.system"}, "name of a task"),
        ({"model": ""}, "choose one"),
        ({"context": "whole"}, "auto, exact, sampled, tile"),
        ({"precision": "int4"}, "bfloat16"),
        ({"region": {"y": (5, 5)}}, "holds no pixel"),
        ({"region": {"x": (-1, 5)}}, "holds no pixel"),
    ],
)
def test_what_cannot_be_right_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        JobSettings(**{"task": "stain", "model": "m", **values})


def test_unknown_settings_are_named() -> None:
    with pytest.raises(InputError, match="colour"):
        JobSettings.from_json({"task": "stain", "model": "m", "colour": "red"})
