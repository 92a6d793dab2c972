"""What is there of a file that is being downloaded, and of which version of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class Part:
    """A file ``NAME.part``, and a note beside it.

    Parameters
    ----------
    url
        Parts of another one are dropped.
    target
        What it will become.
    hashed
        Whether the hash of the whole is known: the rest may then be asked for also where the
        server names no version.
    """

    def __init__(self, url: str, target: Path, *, hashed: bool) -> None:
        self.url, self._hashed, self._version = url, hashed, ""
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        known: Mapping[str, Any] = {}
        with suppress(OSError, ValueError):
            known = json.loads(self._note.read_text("utf-8"))
        if known.get("url") == url:
            self._version = str(known.get("version") or "")
        if known.get("url") != url or not (self._version or hashed):
            self.drop()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def asked(self) -> dict[str, str]:
        """Headers that ask for what is missing, as long as it is of the same version."""
        if not self.size or not (self._version or self._hashed):
            return {}
        condition = {"If-Range": self._version} if self._version else {}
        return {"Range": f"bytes={self.size}-", **condition}

    def begin(self, headers: Any) -> None:
        """Note the version that a server sends."""
        tag = str(headers.get("ETag") or "")
        # A weak tag promises the same meaning, not the same bytes.
        self._version = tag if tag.startswith('"') else str(headers.get("Last-Modified") or "")
        self._note.write_text(json.dumps({"url": self.url, "version": self._version}), "utf-8")

    def drop(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        """Give the whole its name."""
        self.path.replace(target)
        self._note.unlink(missing_ok=True)
