"""Whether a file is the one that was meant: its SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from napari_tincture.errors import ModelError
from napari_tincture.progress import CancelToken

PIECE = 1 << 20
"""Bytes between looks at whether somebody has cancelled."""


def sha256_of_file(path: Path, cancel: CancelToken | None = None) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            if cancel is not None:
                cancel.check()
    return digest.hexdigest()


def check_digits(sha256: str) -> str:
    """A hash in small letters.

    Raises
    ------
    ModelError
        If it cannot be one.
    """
    digits = sha256.strip().lower().removeprefix("sha256:")
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise ModelError(f"sha256={sha256!r}: expected 64 hexadecimal digits.")
    return digits


def check_sha256(found: str, expected: str | None, what: str) -> None:
    """Raise a `ModelError` that names both hashes unless they are the same, or none is expected."""
    if expected is not None and found != (wanted := check_digits(expected)):
        raise ModelError(
            f"{what} has the SHA-256 {found}, expected {wanted}. It is damaged or another file, "
            "and is not used. Get it again, or the right hash from who publishes it."
        )
