"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_tincture.errors import OutputError
from napari_tincture.io.ome_zarr import MARKERS

_NO_SPACE = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def appearing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place at the end.

    What was written is removed on any error or cancel; an existing output stays until the new
    one is complete.

    Raises
    ------
    OutputError
        If `path` exists (without `overwrite`), or is a folder that holds no zarr store, or its
        place cannot be written.
    """
    check_free(path, overwrite=overwrite)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        with writing(path):
            _replace(path, temporary, overwrite=overwrite)
    finally:
        remove(temporary)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that exists and may not be replaced."""
    if not path.exists():
        return
    if not overwrite:
        raise OutputError(f"{path} exists. Choose another name, or pass overwrite=True.")
    if path.is_dir() and not any((path / marker).is_file() for marker in MARKERS):
        raise OutputError(
            f"{path} is a folder that is no zarr store, so it is not overwritten. Choose another "
            "name."
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into an `OutputError` that names the remedy."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {_reason(path, error)}") from error


def remove(path: Path) -> None:
    """Remove a file or folder, if it exists and as far as it can be removed."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _replace(path: Path, temporary: Path, *, overwrite: bool) -> None:
    check_free(path, overwrite=overwrite)
    if not path.is_dir():
        temporary.replace(path)
        return
    old = temporary.with_suffix(".old")
    path.replace(old)
    temporary.replace(path)
    remove(old)


def _reason(path: Path, error: OSError) -> str:
    if error.errno in _NO_SPACE:
        free = shutil.disk_usage(_existing(path)).free / 1e9
        return (
            f"the disk is full ({free:.1f} GB are free) or a quota is used up. Free some space or "
            "save to another disk; what was written has been removed."
        )
    if error.errno in _FORBIDDEN:
        return "its folder is not writable. Choose another folder or change its permissions."
    return f"{error.strerror or error}. Choose another place."


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
