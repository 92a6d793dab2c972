"""Requests to servers of others: https alone, and errors that say what was not reached."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from napari_tincture.errors import ModelError
from napari_tincture.io.remote import read_timeout

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
AGENT = "napari-tincture"


class NotReached(ModelError):
    """A server cannot be reached, or does not have a file.

    Attributes
    ----------
    status
        What the server said, such as 404; 0 where there was no answer.
    headers
        Of its answer.
    """

    def __init__(
        self, message: object = "", status: int = 0, headers: Mapping[str, str] | None = None,
        *, panel: str = "",
    ) -> None:  # fmt: skip
        super().__init__(message, panel=panel)
        self.status, self.headers = status, dict(headers or {})


def check_url(url: str, *, hashed: bool = False) -> None:
    """Refuse what is not ``https``; ``http`` passes from this computer, or where a hash is known.

    Raises
    ------
    ModelError
        Saying what was expected.
    """
    try:
        found = urlsplit(url)
        host = found.hostname
    except ValueError:
        found, host = urlsplit(""), None
    safe = found.scheme == "https" or (found.scheme == "http" and (hashed or host in LOOPBACK))
    if not safe or not host:
        other = ", or the SHA-256 of the file beside it" if found.scheme == "http" else ""
        raise ModelError(
            f"{url!r} cannot be downloaded from: expected an address with https://{other}."
        )


def open_url(url: str, headers: Mapping[str, str]) -> Any:
    """The response to a request, with its status and headers, to be closed.

    Raises
    ------
    NotReached
        If the server refuses.
    OSError
        If it cannot be reached.
    """
    request = urllib.request.Request(url, headers={"User-Agent": AGENT, **headers})
    try:
        return _OPENER.open(request, timeout=read_timeout())
    except urllib.error.HTTPError as error:
        with error:
            answer = dict(error.headers.items())
            raise _refused(url, error.code, str(error.reason), answer) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to no place that is less safe."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https" and urlsplit(req.full_url).scheme == "https":
            raise NotReached(
                f"{req.full_url} leads to {newurl}, which is not https, and is not followed."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)


def _refused(url: str, status: int, reason: str, headers: Mapping[str, str]) -> NotReached:
    remedy = "Check the address" if status in (404, 410) else "Try again later"
    text = f"{url} cannot be downloaded: the server says {status} {reason}. {remedy}."
    return NotReached(text, status, headers)


def said(error: Exception) -> str:
    """Why a server was not reached."""
    return str(getattr(error, "reason", None) or error) or type(error).__name__
