"""Images behind a URL: how long a connection may stand still before a read counts as failed."""

from __future__ import annotations

import os
from typing import Any

from napari_tincture.errors import InputError

VARIABLE = "NAPARI_TINCTURE_READ_TIMEOUT"
"""Environment variable that states the seconds; the processes that run jobs inherit it."""
SECONDS = 60.0


def read_timeout() -> float:
    """Seconds without a byte after which a read has failed; slow is not still.

    Raises
    ------
    InputError
        If the environment variable is no positive number.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"{VARIABLE}={text!r}: expected a number of seconds above 0, such as 60.")
    return seconds


def storage_options(url: str) -> dict[str, Any] | None:
    """Options for fsspec that end a read which stands still; None where it takes none of ours.

    Parameters
    ----------
    url : str
        ``http``, ``https`` and ``s3`` are known; other protocols keep their own limits.

    Raises
    ------
    InputError
        If the package for the protocol is missing.
    """
    protocol = url.split("://")[0].lower() if "://" in url else ""
    seconds = read_timeout()
    if protocol in ("http", "https"):
        return {"client_kwargs": {"timeout": _http_timeout(seconds)}}
    if protocol in ("s3", "s3a"):
        return {"config_kwargs": {"connect_timeout": seconds, "read_timeout": seconds}}
    return None


def _http_timeout(seconds: float) -> Any:
    try:
        from aiohttp import ClientTimeout
    except ImportError as error:
        raise InputError(
            "Images behind http need the package aiohttp: pip install aiohttp."
        ) from error
    # No limit for the whole: a large chunk over a slow line takes its time.
    return ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
