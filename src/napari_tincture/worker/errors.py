"""An error on its way from the worker to napari."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

from napari_tincture import errors
from napari_tincture.errors import InputError, ModelError, TinctureError, WorkerError
from napari_tincture.worker.wire import Message


def describe_error(error: Exception) -> Mapping[str, str]:
    """Give class, message and traceback of an error, JSON-able."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        return {
            "error": "MemoryError",
            "message": f"Memory ran out ({error}). Choose a smaller region, or write the result "
            "to disk instead of memory.",
            "details": details,
        }
    told = {"error": type(error).__name__, "message": str(error), "details": details}
    panel = getattr(error, "panel", "")
    return told | ({"panel": panel} if panel and panel != str(error) else {})


def rebuild_error(message: Message) -> TinctureError:
    """Make the error again that `describe_error` described; its traceback becomes a note."""
    kind = getattr(errors, message["error"], None)
    text = message["message"]
    if not (isinstance(kind, type) and issubclass(kind, TinctureError)):
        kind, text = WorkerError, f"{message['error']}: {text}"
    panel = message.fields.get("panel", "")
    if panel and issubclass(kind, InputError | ModelError):
        error: TinctureError = kind(text, panel=panel)
    else:
        error = kind(text)
    error.add_note(message["details"])
    return error
