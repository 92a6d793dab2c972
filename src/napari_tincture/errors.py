"""What can go wrong for a user, one class per kind of remedy.

Every message names what was received, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping


class TinctureError(Exception):
    """Base class of every error that napari-tincture raises on purpose."""


class InputError(TinctureError, ValueError):
    """The image, its axes, channels or values cannot be used as they are.

    Attributes
    ----------
    panel
        The message where there are fields to fill in, and no arguments to pass; else the same.
    """

    def __init__(self, message: object = "", *, panel: str = "") -> None:
        super().__init__(message)
        self.panel = panel or str(message)


class DataRangeError(InputError):
    """The range of values must be stated.

    Attributes
    ----------
    candidates
        Ranges that are likely meant.
    """

    def __init__(
        self, message: str, candidates: tuple[float, ...] = (), *, panel: str = ""
    ) -> None:
        super().__init__(message, panel=panel)
        self.candidates = candidates


class ReadError(InputError):
    """Pixels could not be read from where they are; another attempt, or another place, may do."""


class ModelError(TinctureError, ValueError):
    """A model is unknown, damaged, foreign, or does not fit its card.

    Attributes
    ----------
    panel
        As of `InputError`.
    """

    def __init__(self, message: object = "", *, panel: str = "") -> None:
        super().__init__(message)
        self.panel = panel or str(message)


class ConsentError(ModelError):
    """A model is a program that someone else wrote, and the user has not agreed to run it.

    Attributes
    ----------
    programs
        What the files are, by their SHA-256: the keys that ``consent=`` takes.
    """

    def __init__(
        self, message: object = "", programs: Mapping[str, str] | None = None, *, panel: str = ""
    ) -> None:
        super().__init__(message, panel=panel)
        self.programs = dict(programs or {})


class DeviceError(TinctureError, RuntimeError):
    """The requested device or precision is not available, or its memory ran out."""


class OutputError(TinctureError, OSError):
    """The result cannot be written where it was asked to go."""


class WorkerError(TinctureError, RuntimeError):
    """The process that runs jobs for the panels died or could not be started."""


class TrainingError(TinctureError, RuntimeError):
    """A training came to nothing: its losses are no numbers any more."""


class Cancelled(TinctureError):
    """The user cancelled the job; nothing is wrong."""


class TinctureWarning(UserWarning):
    """Something was done otherwise than asked, or the result needs a caveat; nothing failed."""


def is_read_error(error: Exception) -> bool:
    """Tell whether reading failed at the source, and not in what computes or asks for pixels."""
    if isinstance(error, TinctureError):
        return isinstance(error, ReadError)
    return not isinstance(error, MemoryError)
