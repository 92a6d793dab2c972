"""Create the virtual environment that the Makefile uses; needs nothing but Python and pip.

`TORCH_INDEX` names a package index to take torch from. Without it, a Linux machine with no
Nvidia GPU gets the CPU build where one can be found, since PyPI's wheel brings gigabytes of CUDA.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CONSTRAINTS = ["--constraint", str(ROOT / "constraints.txt")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("extras", help="for example dev,bench")
    arguments = parser.parse_args()
    python = create(arguments.venv)
    pip(python, "install", "--upgrade", "pip>=24.2")
    install_torch(python)
    pip(python, "install", *CONSTRAINTS, "--editable", f"{ROOT}[{arguments.extras}]")


def create(venv: Path) -> Path:
    """Make the environment unless it is there and works; return its interpreter."""
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if works(python, "import pip"):
        return python
    if venv.exists():
        shutil.rmtree(venv)
    if works(Path(sys.executable), "import ensurepip"):
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        return python
    # Debian without python3-venv: any pip can fill an environment that has none.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "pip"]
    if subprocess.run(command).returncode:
        shutil.rmtree(venv)
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"{sys.executable} has neither ensurepip nor pip, so no environment can be made. "
            f"Install one of them: sudo apt-get install python{version}-venv"
        )
    return python


def install_torch(python: Path) -> None:
    """Install torch alone; what it depends on comes with the package."""
    if works(python, "import torch"):
        return
    pip(python, "install", "--no-deps", *CONSTRAINTS, *torch_index(python), "torch")


def torch_index(python: Path) -> list[str]:
    """Options for pip that make it find the right build of torch."""
    if index := os.environ.get("TORCH_INDEX"):
        return ["--extra-index-url", index]
    if sys.platform != "linux" or has_nvidia_gpu() or found_build(python).endswith("+cpu"):
        return []
    print(f"No Nvidia GPU here: looking for the CPU build of torch at {CPU_INDEX}.", flush=True)
    # Short, so that a machine which cannot reach it goes on with what pip finds elsewhere.
    return ["--extra-index-url", CPU_INDEX, "--timeout", "10", "--retries", "1"]


def has_nvidia_gpu() -> bool:
    tool = shutil.which("nvidia-smi")
    return tool is not None and not subprocess.run([tool, "-L"], capture_output=True).returncode


def found_build(python: Path) -> str:
    """Version of torch that a plain install would take, or an empty string."""
    options = ["--dry-run", "--quiet", "--no-deps", "--report", "-", *CONSTRAINTS]
    command = [str(python), "-m", "pip", "install", *options, "torch"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return ""
    return str(json.loads(done.stdout)["install"][0]["metadata"]["version"])


def works(python: Path, statement: str) -> bool:
    command = [str(python), "-c", statement]
    return python.exists() and not subprocess.run(command, capture_output=True).returncode


def pip(python: Path, *arguments: str) -> None:
    done = subprocess.run([str(python), "-m", "pip", *arguments])
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
