"""Imports go downward only, and heavy libraries are loaded by those who compute with them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import napari_tincture

PACKAGE = Path(napari_tincture.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Lower floors first. A folder is a room of its own; the modules beside them share the lowest floor.
FLOORS = [
    {module.stem for module in PACKAGE.glob("*.py")} - {"__init__", "demo"},
    {"models"},
    {"io", "samples", "tiling", "training", "diffusion", "metrics", "alignment", "deriving"},
    {"tasks"},
    {"worker"},
    {"widgets"},
    {"demo"},
    {"cli"},
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


def test_imports_go_downward() -> None:
    wrong = []
    for module, used, line in _uses():
        room = _room(module)
        upward = FLOOR[used] > FLOOR[room] and (room, used) not in UPWARD
        if upward or (used != room and {room, used} <= STRANGERS):
            wrong.append(f"{_label(module)}:{line} imports {used}")
    assert wrong == []


def _uses() -> Iterator[tuple[Path, str, int]]:
    """Which rooms each module imports, and in which line."""
    for module in MODULES:
        if _room(module) != "__init__":
            for used, line in _rooms_used(module):
                yield module, used, line


def _importers(libraries: set[str], rooms: set[str]) -> list[str]:
    """Places in these rooms that import one of the libraries."""
    return [
        f"{_label(module)}:{line} imports {name}"
        for module in MODULES
        if _room(module) in rooms
        for name, line in _imported(module)
        if name.split(".")[0] in libraries
    ]


def test_napari_and_qt_stay_in_the_widgets() -> None:
    libraries = {"napari", "qtpy", "magicgui", "superqt"}
    assert _importers(libraries, set(map(_room, MODULES)) - {"widgets", "demo"}) == []
    # The rule finds what it looks for.
    assert _importers(libraries, {"widgets"})


def test_widgets_never_import_torch() -> None:
    assert _importers({"torch"}, {"widgets"}) == []
    assert _importers({"torch"}, {"models"})


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
