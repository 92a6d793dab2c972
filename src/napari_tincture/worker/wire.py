"""Messages between napari's process and the worker: a JSON header, then raw bytes.

Arrays travel as bytes over the connection, never pickled and never through shared memory
(``/dev/shm`` is 64 MB in a container, and touching a page it cannot hold kills the process).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

PIECE = 1 << 20
"""Bytes per write: larger pieces cost more, since the receiver allocates each one."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes
    ----------
    kind
        What the message says; the receiver dispatches on it.
    fields
        JSON-able values.
    payload
        An array of any shape and of any dtype but object, or None.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    payload: np.ndarray | None = None

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


class Link:
    """One end of the connection; any thread may send, one thread receives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message.

        Raises
        ------
        OSError
            If the other process is gone.
        """
        header: dict[str, Any] = {"kind": message.kind, "fields": dict(message.fields)}
        payload = message.payload
        if payload is not None:
            header["dtype"], header["shape"] = payload.dtype.str, payload.shape
        text = json.dumps(header).encode()
        with self._sending:
            self._connection.send_bytes(text)
            if payload is not None:
                self._send_array(payload)

    def _send_array(self, array: np.ndarray) -> None:
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(data), PIECE):
            self._connection.send_bytes(data[start : start + PIECE])

    def poll(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; tell whether `receive` will not wait."""
        return self._connection.poll(timeout)

    def receive(self) -> Message:
        """Wait for the next message.

        Raises
        ------
        EOFError, OSError
            If the other process is gone.
        """
        header = json.loads(self._connection.recv_bytes())
        payload = None
        if "dtype" in header:
            payload = self._receive_array(np.dtype(header["dtype"]), tuple(header["shape"]))
        return Message(header["kind"], header["fields"], payload)

    def _receive_array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
        array = np.empty(shape, dtype)
        data = array.reshape(-1).view(np.uint8).data
        start = 0
        while start < len(data):
            start += self._connection.recv_bytes_into(data, start)
        return array

    def close(self) -> None:
        """Close this end; the other end's `receive` raises EOFError."""
        self._connection.close()
