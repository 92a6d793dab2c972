from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest

import napari_tincture

MANIFEST = PluginManifest.from_file(Path(napari_tincture.__file__).with_name("napari.yaml"))
COMMANDS = {command.id: command for command in MANIFEST.contributions.commands or []}
SAMPLES = MANIFEST.contributions.sample_data or []


def test_the_manifest_is_valid() -> None:
    MANIFEST.validate_imports()
    assert MANIFEST.name == "napari-tincture"
    assert str(MANIFEST.schema_version) == "0.3.0"


def test_napari_discovers_it_by_its_entry_point() -> None:
    manager = PluginManager()
    manager.discover(include_npe1=False)
    assert "napari-tincture" in manager
    assert {w.display_name for w in manager.get_manifest("napari-tincture").contributions.widgets}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_resolves(name: str) -> None:
    module, _, attribute = str(COMMANDS[name].python_name).partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_every_contribution_names_a_command() -> None:
    contributions = MANIFEST.contributions
    files = [*(contributions.readers or []), *(contributions.writers or [])]
    used = {item.command for item in [*(contributions.widgets or []), *SAMPLES, *files]}
    for items in (contributions.menus or {}).values():
        used |= {item.command for item in items}
    assert used == COMMANDS.keys()


def test_the_panels_are_in_the_menus_of_their_work() -> None:
    menus = MANIFEST.contributions.menus or {}
    placed = {menu: [item.command for item in items] for menu, items in menus.items()}
    assert placed["napari/layers/filter"] == [
        f"napari-tincture.{name}" for name in ("stain", "synthesize", "train")
    ]
    assert placed["napari/layers/segment"] == ["napari-tincture.segment"]
    assert placed["napari/layers/annotate"] == ["napari-tincture.correct"]
    assert placed["napari/layers/measure"] == ["napari-tincture.compare"]
    assert placed["napari/layers/metadata"] == ["napari-tincture.made"]
    assert placed["napari/file/new_layer"] == ["napari-tincture.new_map"]


def test_files_that_are_read_are_those_that_are_written() -> None:
    (reader,) = MANIFEST.contributions.readers or []
    written = {e for w in MANIFEST.contributions.writers or [] for e in w.filename_extensions}
    assert {pattern.removeprefix("*") for pattern in reader.filename_patterns} <= written
    assert reader.accepts_directories


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_ordinary_names_are_left_to_other_writers(kind) -> None:
    manager = PluginManager()
    manager.discover(include_npe1=False)
    for name, plugin in (("a.tif", "napari"), ("a.png", "napari"), ("a", "napari"),
                         ("a.ome.tif", "napari-tincture"), ("a.ome.zarr", "napari-tincture"),
                         ("a.zarr", "napari-tincture")):  # fmt: skip
        if (kind, name) != ("labels", "a.png"):
            writer, _ = manager.get_writer(name, [kind])
            assert writer.plugin_name == plugin, name


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.key)
def test_every_sample_gives_layers(sample) -> None:
    manager = PluginManager()
    manager.register(MANIFEST)
    manager.activate(MANIFEST.name)
    for data, options, kind in sample.open(_registry=manager.commands):
        finest = data[0] if options.get("multiscale") else data
        assert kind in {"image", "labels"}
        assert options["name"]
        assert np.ndim(finest) >= 2
