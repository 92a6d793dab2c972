"""Imports go downward only, and heavy libraries are loaded by those who compute with them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_tincture

PACKAGE = Path(napari_tincture.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Lower floors first. A folder is a room of its own; the modules beside them share the lowest floor.
FLOORS = [
    {module.stem for module in PACKAGE.glob("*.py")} - {"__init__", "demo"},
    {"models"},
    {"io", "samples", "tiling", "training", "diffusion", "metrics", "alignment"},
    {"tasks"},
    {"worker"},
    {"widgets"},
    {"demo"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
STRANGERS = {"tiling", "diffusion", "metrics", "alignment"}
"""Rooms of one floor that do not import each other."""

UPWARD = {
    # The methods of Raster and of its source that reach upward, importing when they are called.
    ("raster", "io"),
    ("source", "io"),
    ("raster", "widgets"),
}


def _room(module: Path) -> str:
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _imports(other)
        else:
            yield from _imports(node)


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "relative import"
    return [f"{node.module}.{alias.name}" for alias in node.names]


def _imported(module: Path) -> Iterator[tuple[str, int]]:
    for node in _imports(ast.parse(module.read_text("utf-8"))):
        for name in _names(node):
            yield name, node.lineno


def _rooms_used(module: Path) -> Iterator[tuple[str, int]]:
    for name, line in _imported(module):
        parts = name.split(".")
        if parts[0] == "napari_tincture" and len(parts) > 1 and parts[1] in FLOOR:
            yield parts[1], line


def _label(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def test_every_module_has_a_floor() -> None:
    assert {_room(module) for module in MODULES} - {"__init__"} <= FLOOR.keys()


@pytest.mark.parametrize("module", MODULES, ids=_label)
def test_imports_go_downward(module: Path) -> None:
    room = _room(module)
    if room == "__init__":
        return
    for used, line in _rooms_used(module):
        place = f"{_label(module)}:{line} imports {used}"
        assert FLOOR[used] <= FLOOR[room] or (room, used) in UPWARD, place
        assert used == room or not {room, used} <= STRANGERS, place


@pytest.mark.parametrize("module", MODULES, ids=_label)
def test_napari_and_qt_stay_in_the_widgets(module: Path) -> None:
    if _room(module) in {"widgets", "demo"}:
        return
    for name, line in _imported(module):
        library = name.split(".")[0]
        assert library not in {"napari", "qtpy", "magicgui", "superqt"}, f"{_label(module)}:{line}"


@pytest.mark.parametrize("module", [m for m in MODULES if _room(m) == "widgets"], ids=_label)
def test_widgets_never_import_torch(module: Path) -> None:
    for name, line in _imported(module):
        assert name.split(".")[0] != "torch", f"{_label(module)}:{line}"


def _loaded_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return set(done.stdout.split())


def test_importing_the_package_loads_neither_torch_nor_napari() -> None:
    loaded = _loaded_after("import napari_tincture")
    assert "napari_tincture" in loaded
    assert not loaded & {"torch", "napari", "dask", "zarr", "skimage", "scipy", "qtpy"}


def test_what_napari_imports_loads_no_torch() -> None:
    widgets = [m for m in MODULES if _room(m) == "widgets"]
    names = [".".join(m.relative_to(PACKAGE.parent).with_suffix("").parts) for m in widgets]
    modules = [name.removesuffix(".__init__") for name in names]
    modules += ["napari_tincture.samples", "napari_tincture.io.napari_files"]
    loaded = _loaded_after(f"import {', '.join(modules)}")
    assert "torch" not in loaded


def test_the_live_pyramid_knows_neither_qt_nor_zarr_nor_torch() -> None:
    loaded = _loaded_after("import napari_tincture.tiling.live, napari_tincture.tiling.levels")
    assert not loaded & {"torch", "zarr", "napari", "qtpy"}
