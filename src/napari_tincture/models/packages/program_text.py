"""What a person reads of a program before agreeing to run it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from napari_tincture.models.consent import Program
from napari_tincture.models.packages._archive import Archive

LONGEST = 500_000
"""Characters."""
LARGEST = 16 * 2**20
"""Bytes of the code within TorchScript, unpacked."""


def program_text(path: Path, program: Program) -> str:
    """The text of a program of a package; of TorchScript, the code that it was compiled from.

    Parameters
    ----------
    path
        The package.

    Returns
    -------
    str
        Cut, which it says, at `LONGEST`; says so where there is no text.

    Raises
    ------
    ModelError
        If the file cannot be read, or is not the one that was found before.
    """
    content = Archive(path).read(program.file, program.sha256)
    text = _compiled(content) if program.what == "TorchScript" else content.decode(errors="replace")
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters: read the file itself."


def _compiled(content: bytes) -> str:
    parts, size = [], 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for item in archive.infolist():
                if "/code/" in item.filename and item.filename.endswith(".py"):
                    size += item.file_size
                    if size > LARGEST:
                        return "(Its code is too long to be shown.)"
                    code = archive.read(item).decode(errors="replace")
                    parts.append(f"# {item.filename}\n{code}")
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        return f"(Its code cannot be read: {error}.)"
    return "\n".join(parts) or "(It holds no code that can be read.)"
