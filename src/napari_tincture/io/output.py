"""Places where results go: what may be replaced, and what is said if writing fails."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_tincture.errors import OutputError
from napari_tincture.io.ome_zarr import MARKERS

_NO_SPACE = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


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


def take_place(path: Path, temporary: Path, *, overwrite: bool) -> None:
    """Move a complete file or folder to `path`; a folder that was there stays as ``.old``."""
    check_free(path, overwrite=overwrite)
    if not path.is_dir():
        temporary.replace(path)
        return
    old = temporary.with_suffix(".old")
    path.replace(old)
    try:
        temporary.replace(path)
    except OSError:
        old.replace(path)
        raise


def _reason(path: Path, error: OSError) -> str:
    if error.errno in _NO_SPACE:
        free = shutil.disk_usage(_existing(path)).free / 1e9
        return (
            f"the disk is full ({free:.1f} GB are free) or a quota is used up. Free some space or "
            "save to another disk; what is finished is kept, and the same call continues."
        )
    if error.errno in _FORBIDDEN:
        return "its folder is not writable. Choose another folder or change its permissions."
    return f"{error.strerror or error}. Choose another place."


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
