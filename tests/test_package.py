from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, metadata
from importlib.resources import files
from itertools import chain
from pathlib import Path

import pytest

import napari_tincture as nt

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", nt.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(nt, name)
    assert name in dir(nt)
    assert value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'stian'"):
        nt.stian  # noqa: B018


def test_type_checkers_and_python_see_the_same_names() -> None:
    tree = ast.parse(Path(nt.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.name: f"{node.module}".removeprefix("napari_tincture.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == nt._HOME
    assert set(nt.__all__) == {*told, "__version__"}


def test_the_version_is_the_distributions() -> None:
    assert nt.__version__ == metadata("napari-tincture")["Version"]


def test_napari_finds_the_manifest() -> None:
    (entry,) = entry_points(group="napari.manifest", name="napari-tincture")
    assert entry.value == "napari_tincture:napari.yaml"
    assert files("napari_tincture").joinpath("napari.yaml").is_file()


def test_the_base_install_brings_no_qt_binding() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    base = " ".join(project["dependencies"]).lower()
    assert not any(binding in base for binding in ("pyqt", "pyside", "[all]"))
    bounds = chain(project["dependencies"], *project["optional-dependencies"].values())
    bounds = (bound.partition(";")[0] for bound in bounds)
    assert not any("<" in bound or "==" in bound or "~=" in bound for bound in bounds)


def test_every_import_is_declared() -> None:
    """What is installed beside the checkout is not in a user's environment."""
    import re
    from importlib.metadata import packages_distributions

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    bounds = chain(
        project["dependencies"], *(extras[name] for name in extras if name not in ("dev", "bench"))
    )
    declared = {re.split(r"[\[>; ]", bound)[0].lower() for bound in bounds}
    homes = packages_distributions()
    strangers = set()
    for path in (ROOT / "src").rglob("*.py"):
        for name in _imported(ast.parse(path.read_text("utf-8"))):
            known = {home.lower().replace("_", "-") for home in homes.get(name, [name])}
            if name not in sys.stdlib_module_names and not known & declared:
                strangers.add(f"{name} in {path.relative_to(ROOT)}")
    assert strangers == set()


def _imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} - {"napari_tincture"}


CONDA = {"torch": "pytorch", "dask": "dask-core", "napari": "napari-base"}
"""What conda-forge calls packages that need not bring everything."""


def test_the_conda_recipe_asks_for_the_same() -> None:
    import re

    import yaml

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = {}
    for bound in project["dependencies"]:
        name, _, version = bound.partition(";")[0].strip().partition(">=")
        name = re.sub(r"\[.*\]", "", name)
        found[CONDA.get(name, name)] = version
    recipe = yaml.safe_load((ROOT / "conda/recipe.yaml").read_text("utf-8"))
    wanted = dict(each.split(" >=") for each in recipe["requirements"]["run"])
    assert wanted.pop("python") == "${{ python_min }}"
    assert wanted == found
    assert project["requires-python"] == f">={recipe['context']['python_min']}"
    scripts = [f"{name} = {place}" for name, place in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_the_root_links_to_the_manifest() -> None:
    link = ROOT / "napari.yaml"
    manifest = ROOT / "src/napari_tincture/napari.yaml"
    # Where git makes no links, the file holds the path.
    assert link.samefile(manifest) or link.read_text().strip() == "src/napari_tincture/napari.yaml"


@pytest.mark.slow
def test_wheel_and_sdist_hold_what_is_shipped(tmp_path: Path) -> None:
    import tarfile
    import zipfile

    build = [sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    (sdist,) = tmp_path.glob("*.tar.gz")
    source = ROOT / "src"
    shipped = {
        str(path.relative_to(source).as_posix())
        for path in (source / "napari_tincture").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        assert shipped <= set(archive.namelist())
        manifest = archive.read("napari_tincture/napari.yaml")
    assert manifest == (source / "napari_tincture/napari.yaml").read_bytes()
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {f"src/{name}" for name in shipped} <= names
    assert {"napari.yaml", "LICENSE", "NOTICE", "README.md", "tests/conftest.py"} <= names
