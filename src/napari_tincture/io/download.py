"""Files of the net: got in pieces, gone on with where they broke off, compared with their hash.

1. What comes goes to ``NAME.part``; a note beside it says of which URL and version it is.
2. Where a part lies, only the rest is asked for, on condition that the version is still the same.
3. A connection that breaks is taken up again as long as that brings something.
4. The whole gets its name once its SHA-256 is known to be right.
"""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from napari_tincture.errors import ModelError, OutputError
from napari_tincture.io.checksums import check_digits, check_sha256, sha256_of_file
from napari_tincture.io.download_part import Part
from napari_tincture.io.safe_http import NotReached, check_url, open_url, said
from napari_tincture.progress import CancelToken, Progress, unheard

PIECE = 1 << 18
"""Bytes between looks at whether somebody has cancelled."""
ATTEMPTS = 3
"""How often a connection is taken up again that brought nothing."""
NO_SUCH_RANGE = http.client.REQUESTED_RANGE_NOT_SATISFIABLE


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that is there, and its SHA-256, hexadecimal."""

    path: Path
    sha256: str


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    progress: Progress = unheard,
    cancel: CancelToken | None = None,
) -> Downloaded:
    """Get a file; one that is there already is not asked for again.

    Parameters
    ----------
    url
        ``https``; ``http`` from this computer, or where the hash is given.
    target
        What it becomes; its folder is made.
    sha256
        Of the whole, hexadecimal; not compared if not given.
    progress
        Called with bytes that are there, and of the whole (0 where the server does not say).
    cancel
        What came until then is kept, and gone on with.

    Raises
    ------
    NotReached
        If the server cannot be reached, refuses, or breaks off for good.
    ModelError
        If the hash is another; nothing is kept then. If the URL cannot be used.
    OutputError
        If there is no room on the disk, or it cannot be written.
    Cancelled
        If somebody has cancelled.
    """
    token = cancel or CancelToken()
    check_url(url, hashed=sha256 is not None)
    if sha256 is not None:
        check_digits(sha256)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if target.is_file():
                return _checked(target, sha256, url, token)
            part = Part(url, target, hashed=sha256 is not None)
            _get(part, progress, token)
            found = _checked(part.path, sha256, url, token)
            part.become(target)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error}.") from error
    return Downloaded(target, found.sha256)


def _checked(path: Path, sha256: str | None, url: str, token: CancelToken) -> Downloaded:
    """A file whose hash is right; it is gone where it is not."""
    found = sha256_of_file(path, token)
    try:
        check_sha256(found, sha256, url)
    except ModelError:
        path.unlink()
        raise
    return Downloaded(path, found)


def _get(part: Part, progress: Progress, token: CancelToken) -> None:
    """Fill a part until it is whole."""
    idle = 0
    while True:
        token.check()
        before, reason = part.size, "the connection broke off"
        try:
            if _receive(part, progress, token):
                return
        except (http.client.HTTPException, OSError) as error:
            if isinstance(error, OutputError):
                raise
            reason = said(error)
        if before and not part.size:
            continue  # it was of another file, or version
        idle = 0 if part.size > before else idle + 1
        if idle > ATTEMPTS or not part.size:
            kept = f" {part.size / 1e6:,.1f} MB are kept, and another attempt goes on from there."
            raise NotReached(f"{part.url} cannot be reached: {reason}.{kept if part.size else ''}")


def _receive(part: Part, progress: Progress, token: CancelToken) -> bool:
    """Ask once, and take what comes; whether all of it is there then."""
    try:
        response = open_url(part.url, part.asked())
    except NotReached as error:
        if error.status != NO_SUCH_RANGE:
            raise
        return _is_all(part, error.headers.get("Content-Range", ""))
    with response:
        have = part.size if response.status == http.client.PARTIAL_CONTENT else 0
        if have != _start(response.headers):
            part.drop()
            return False
        if not have:
            part.begin(response.headers)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else 0
        _check_room(part.path.parent, total - have)
        with part.path.open("ab" if have else "wb") as file:
            for there in _pieces(response, file, have):
                token.check()
                progress(there, total)
    return not total or part.size >= total


def _pieces(response: Any, file: BinaryIO, have: int) -> Iterator[int]:
    """Write what comes, and tell how much is there after each piece."""
    yield have
    while piece := response.read1(PIECE):
        try:
            file.write(piece)
        except OSError as error:
            raise OutputError(f"Cannot write {file.name}: {error}.") from error
        have += len(piece)
        yield have


def _start(headers: Any) -> int:
    """Where what comes begins, by ``Content-Range: bytes 5-9/10``; 0 if it is not said."""
    text = str(headers.get("Content-Range") or "").removeprefix("bytes").partition("-")[0].strip()
    return int(text) if text.isdigit() else 0


def _is_all(part: Part, answer: str) -> bool:
    """Whether a server that has no more than is there says so; else what is there is dropped."""
    total = answer.rpartition("/")[2]
    if total.isdigit() and int(total) == part.size:
        return True
    part.drop()
    return False


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"The download takes {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in "
            f"{folder}. Make room there."
        )


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Let nobody else write the same file meanwhile."""
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"{target.name} is being downloaded by another process already; wait for it."
        ) from None
    try:
        yield
    finally:
        lock.release()
