"""A web server on the loopback some of whose files stall, fail, or break off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class FaultyServer(ThreadingHTTPServer):
    """Serves a folder; `faults` maps a path to "stall", "fail" or "break", and how often."""

    daemon_threads = False

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.faults: dict[str, tuple[str, int]] = {}
        self.asked: list[str] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault_of(self, path: str) -> str:
        kind, left = self.faults.get(path, ("", 0))
        if left:
            self.faults[path] = kind, left - 1
        return kind if left else ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait is what the tests are about."""


class _Handler(SimpleHTTPRequestHandler):
    server: FaultyServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        fault = self.server.fault_of(self.path)
        if fault == "stall":
            self.server.released.wait()
            return
        if fault == "fail":
            self.send_error(500)
            return
        if fault == "break":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"only this")
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[FaultyServer]:
    """Serve a folder; all that stalls is let go at the end."""
    server = FaultyServer(folder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
