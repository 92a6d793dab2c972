"""A web server on the loopback that gives files, or parts of them, and breaks off when told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class FileServer(ThreadingHTTPServer):
    """Gives `files` by path.

    Attributes
    ----------
    ranges, versions
        Whether parts of a file are given, and whether its version is named.
    breaks
        By path, after how many bytes each of the next answers breaks off.
    asked
        Path and Range of each request.
    """

    daemon_threads = False

    def __init__(self, files: dict[str, bytes], *, ranges: bool, versions: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.ranges, self.versions = files, ranges, versions
        self.breaks: dict[str, list[int]] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, self.headers.get("Range", "")
        self.server.asked.append((self.path, asked))
        if path in self.server.moved:
            self.send_response(302)
            self.send_header("Location", self.server.moved[path])
            self.end_headers()
        elif path not in self.server.files:
            self.send_error(404)
        else:
            self._give(path, self.server.files[path], asked)

    def _give(self, path: str, content: bytes, asked: str) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        start = 0
        same = self.headers.get("If-Range", tag) == tag
        if asked and self.server.ranges and same:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if self.server.versions:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        pending = self.server.breaks.get(path)
        stop = start + pending.pop(0) if pending else len(content)
        self.wfile.write(content[start:stop])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def file_server(
    files: dict[str, bytes], *, ranges: bool = True, versions: bool = True
) -> Iterator[FileServer]:
    """Serve files by path."""
    server = FileServer(files, ranges=ranges, versions=versions)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
