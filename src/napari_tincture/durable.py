"""Files that are whole on the disk, or not there: also after a kill or a power failure."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def flush_file(path: Path) -> None:
    """Wait until the contents of a file are on the disk."""
    with path.open("r+b") as file:  # Windows flushes no file that is open for reading alone
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "nt":
        return  # Windows opens no folders; it writes names with the files
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path, names: frozenset[str]) -> None:
    """Wait until all files below a folder that bear one of some names are on the disk."""
    for file in folder.rglob("*"):
        if file.name in names:
            flush_file(file)
            flush_folder(file.parent)
    flush_folder(folder.parent)


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file that is there completely or not at all."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is there completely or not at all."""
    write_file(path, lambda file: file.write(json.dumps(value, indent=1).encode()))
