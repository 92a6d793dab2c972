"""Short questions to the worker beside its jobs: checkpoints, packages, families and recipes.

No torch here before a question is answered.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from napari_tincture.errors import TinctureError, WorkerError
from napari_tincture.worker.errors import describe_error, rebuild_error
from napari_tincture.worker.package_questions import import_package, inspect_package
from napari_tincture.worker.train_questions import families, recipe
from napari_tincture.worker.wire import Link, Message


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question: JSON-able values, or why there are none."""

    values: Mapping[str, Any]
    error: TinctureError | None = None


Listener = Callable[[Answer], None]


class Asked:
    """Questions of napari's process that wait for their answers."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._listeners: dict[int, Listener] = {}
        self._lock = threading.Lock()

    def add(self, listener: Listener) -> int:
        """Remember who wants to know; give the question's number."""
        number = next(self._numbers)
        with self._lock:
            self._listeners[number] = listener
        return number

    def receive(self, message: Message) -> None:
        """Pass an answer on."""
        with self._lock:
            listener = self._listeners.pop(message["number"], None)
        if listener is not None:
            error = rebuild_error(message) if "error" in message.fields else None
            listener(Answer(message.fields.get("values", {}), error))

    def fail(self, reason: WorkerError) -> None:
        """Tell all who wait that no answer will come."""
        with self._lock:
            listeners, self._listeners = list(self._listeners.values()), {}
        for listener in listeners:
            listener(Answer({}, reason))


class Desk:
    """Answers questions in a thread of the worker, also while a job runs."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._thread = ThreadPoolExecutor(1, "tincture-questions")

    def take(self, message: Message) -> None:
        """Answer soon."""
        self._thread.submit(self._answer, message)

    def close(self) -> None:
        """Let the question at hand end; drop those that wait."""
        self._thread.shutdown(cancel_futures=True)

    def _answer(self, message: Message) -> None:
        fields: dict[str, Any] = {"number": message["number"]}
        try:
            fields["values"] = KNOWN[message["what"]](message["fields"])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told in napari
            fields |= describe_error(error)
        with suppress(OSError):  # napari's process may be gone
            self._link.send(Message("answer", fields))


def inspect(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a checkpoint is, as `Found.to_json` does."""
    from napari_tincture.tasks.import_checkpoint import inspect_checkpoint

    return inspect_checkpoint(fields["path"], **fields["options"]).to_json()


def bring(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Import a checkpoint into the user's library; give the name of the model."""
    from napari_tincture.models.library import note_origin
    from napari_tincture.tasks.import_checkpoint import LIBRARY, import_checkpoint

    model = import_checkpoint(
        fields["path"],
        name=fields["name"] or None,
        pixel_size=fields["pixel_size"],
        save_to=LIBRARY,
        **fields["options"],
    )
    if (origin := fields.get("origin")) and model.path is not None:
        note_origin(model.path, origin)
    return {"name": model.card.name}


def add(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a model file into the user's library; give the name of the model."""
    from napari_tincture.models.library import add_model, note_origin

    path = add_model(fields["path"])
    if origin := fields.get("origin"):
        note_origin(path, origin)
    return {"name": path.stem}


KNOWN: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "inspect": inspect,
    "import": bring,
    "add": add,
    "inspect_package": inspect_package,
    "import_package": import_package,
    "families": families,
    "recipe": recipe,
}
