"""The panels that the manifest names, so that pictures and pages of them need no list."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import yaml


@dataclass(frozen=True, slots=True)
class Panel:
    """One widget of the manifest.

    Attributes
    ----------
    name
        Of its command, and of its picture: "stain".
    title
        As napari's menu has it.
    python_name
        Where its class is: "module:class".
    """

    name: str
    title: str
    python_name: str


def panels() -> list[Panel]:
    """All panels, in the order of the manifest."""
    text = files("napari_tincture").joinpath("napari.yaml").read_text("utf-8")
    contributions = yaml.safe_load(text)["contributions"]
    places = {each["id"]: each["python_name"] for each in contributions["commands"]}
    return [
        Panel(
            each["command"].rpartition(".")[2],
            each["display_name"],
            places[each["command"]],
        )
        for each in contributions["widgets"]
    ]
