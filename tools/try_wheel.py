"""Build wheel and sdist, and use them as a stranger does: in an environment that has nothing else.

``python tools/try_wheel.py FOLDER [--oldest]`` checks sizes and metadata, installs the wheel with
``[all]``, validates the manifest, and runs the command line and the demo where no checkout is.
With ``--oldest`` every declared dependency is installed in its least version instead, and the
shipped networks are run on their samples.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

from bootstrap import CONSTRAINTS, ROOT, create, install_torch, pip

LARGEST_WHEEL = 45 * 2**20
LARGEST_WEIGHTS, LARGEST_SAMPLES = 30 * 2**20, 10 * 2**20
"""Bytes; what an installation takes from the network is the users' time."""
SAMPLES = "napari_tincture/samples/"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="is emptied first")
    parser.add_argument("--oldest", action="store_true", help="the least versions declared")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wheel, sdist = build(folder / "dist")
    weigh(wheel, sdist)
    python = create(folder / "venv")
    pip(python, "install", "--quiet", "--upgrade", "pip>=24.2")
    if arguments.oldest:
        install_oldest(python, wheel)
        run_networks(python, folder)
    else:
        install_torch(python)
        # What a user gets is newer in time than what the tests ran with; here both are the same.
        pip(python, "install", "--quiet", *CONSTRAINTS, f"{wheel}[all]", "twine")
        use(python, folder, wheel, sdist)
    print("The wheel does what it should.", flush=True)


def build(folder: Path) -> tuple[Path, Path]:
    """Make both in a folder; give their paths."""
    run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], quiet=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def weigh(wheel: Path, sdist: Path) -> None:
    """Print sizes; stop if the wheel or a part of it has outgrown its budget."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    weights = sum(n for name, n in sizes.items() if name.endswith(".safetensors"))
    samples = sum(n for name, n in sizes.items() if name.startswith(f"{SAMPLES}data/"))
    for what, size, limit in (
        ("wheel", wheel.stat().st_size, LARGEST_WHEEL),
        ("weights", weights, LARGEST_WEIGHTS),
        ("sample images", samples, LARGEST_SAMPLES),
    ):
        print(f"{what}: {size / 2**20:.1f} MiB of {limit / 2**20:.0f}", flush=True)
        if size > limit:
            sys.exit(f"The {what} have outgrown their budget.")
    print(f"sdist: {sdist.stat().st_size / 2**20:.1f} MiB", flush=True)
    with tarfile.open(sdist) as archive:
        if not any(name.endswith("/pyproject.toml") for name in archive.getnames()):
            sys.exit("The sdist lacks pyproject.toml.")


def use(python: Path, folder: Path, wheel: Path, sdist: Path) -> None:
    """What a stranger does first, away from any checkout."""
    home = folder / "home"
    home.mkdir()
    own = python.parent / "napari-tincture"
    run([python, "-m", "twine", "check", "--strict", wheel, sdist], home)
    run([python, "-m", "npe2", "validate", "napari-tincture"], home)
    run([own, "--version"], home)
    run([own, "models", "list"], home)
    findings = json.loads(run([own, "doctor", "--json"], home))
    wrong = [each for each in findings if not each["well"]]
    print(f"doctor: {len(findings)} findings, {len(wrong)} to mend", flush=True)
    run([own, "segment", "sample:nuclei", "nuclei", "--out", "nuclei.ome.zarr"], home)
    run([own, "explain", "nuclei.ome.zarr"], home)
    run([own, "demo", "--out", "demo"], home)
    made = [
        "demo/stain.ome.zarr",
        "demo/nuclei.ome.zarr",
        "demo/comparison.html",
        "demo/napari.png",
    ]
    if missing := [name for name in made if not (home / name).exists()]:
        sys.exit(f"The demo has not made {', '.join(missing)}.")


def install_oldest(python: Path, wheel: Path) -> None:
    """Install the least versions of the direct dependencies that go together, as uv finds them."""
    pip(python, "install", "--quiet", "uv")
    # PyPI's torch brings gigabytes of CUDA; the build without is as good a test of the others.
    install_torch(python)
    show = [str(python), "-m", "pip", "list", "--format", "freeze"]
    listed = run([*show], quiet=True).splitlines()
    (torch,) = (line for line in listed if line.startswith("torch=="))
    torch_only = python.parent / "torch.txt"
    torch_only.write_text(torch)
    # Of the project's own requirements, not of what those require.
    command = ["uv", "pip", "install", "--resolution", "lowest-direct", *places_of_packages()]
    own = ["--requirements", ROOT / "pyproject.toml", "--extra", "pyqt6"]
    run([python, "-m", *command, "--override", torch_only, *own])
    pip(python, "install", "--quiet", "--no-deps", str(wheel))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[\[>; ]", each)[0].lower() for each in declared["dependencies"]}
    found = run([*show], quiet=True).splitlines()
    print("\n".join(line for line in found if line.split("==")[0].lower() in names), flush=True)


def places_of_packages() -> list[str]:
    """Where pip is told to look, in uv's words: uv does not read pip's settings."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    )
    found = ["--index-strategy", "unsafe-best-match"]  # as pip does
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        option = {"find-links": "--find-links", "extra-index-url": "--index"}.get(
            name.rpartition(".")[2]
        )
        if option is not None:
            for place in value.strip("'\"").split():
                found += [option, place]
    return found


def run_networks(python: Path, folder: Path) -> None:
    """Every kind of task with what is shipped, on the samples, and a window with a panel."""
    own = python.parent / "napari-tincture"
    for words in (
        ("stain", "sample:neuron_phase", "phase-to-dapi", "--out", "stain.ome.zarr"),
        ("segment", "sample:nuclei", "nuclei", "--out", "nuclei.ome.tif"),
        ("compare", "stain.ome.zarr", "stain.ome.zarr", "--set", "data_range=2.0", "--json"),
    ):
        run([own, *words], folder)
    run([own, "demo", "--out", "demo"], folder)


def run(words: list[object], folder: Path | None = None, *, quiet: bool = False) -> str:
    """Run a program and give what it printed; stop with it if it fails."""
    line = " ".join(Path(str(word)).name if "/" in str(word) else str(word) for word in words)
    print(f"$ {line}", flush=True)
    # What the checkout's environment says is not the stranger's.
    unset = ("PYTHONPATH", "VIRTUAL_ENV", "NAPARI_TINCTURE_MODELS", "NAPARI_TINCTURE_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT if quiet else None,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{done.stdout}\n{line}: exit code {done.returncode}")
    return str(done.stdout)


if __name__ == "__main__":
    main()
