"""Which programs of others a user agreed to run, by the SHA-256 of their files.

No torch here: a list of what needs consent is made without running anything.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_tincture.errors import ConsentError, ModelError
from napari_tincture.models.shipped import library_folder

FILE = "consents.json"
_LOCK = threading.Lock()
_GIVEN: dict[str, bool] = {}


class _Limit(threading.local):
    """The only programs that may be run in a thread; None for all with consent."""

    programs: frozenset[str] | None = None


_LIMIT = _Limit()


@dataclass(frozen=True, slots=True)
class Program:
    """A file that is run rather than read.

    Attributes
    ----------
    file
        Its name in the package.
    sha256
        Of its content, hexadecimal, small letters.
    what
        What runs it, such as "Python code".
    """

    file: str
    sha256: str
    what: str

    @property
    def text(self) -> str:
        """One line for a person."""
        return f"{self.file} ({self.what}), SHA-256 {self.sha256}"


def sha256_of(content: bytes) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def consents_file() -> Path:
    """Where consents are remembered, beside the user's own models; it need not exist."""
    return library_folder() / FILE


def give_consent(consent: Mapping[str, bool]) -> None:
    """Take a user's word for the rest of this process; False takes it back.

    Raises
    ------
    ModelError
        If a key is no SHA-256 or a value no bool.
    """
    for key, value in consent.items():
        digits = str(key).lower()
        if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise ModelError(
                f"consent={{{key!r}: …}}: expected the SHA-256 of a file, 64 hexadecimal digits, "
                "as the error or inspect_package names it."
            )
        if not isinstance(value, bool):
            raise ModelError(f"consent={{{key!r}: {value!r}}}: expected True or False.")
    with _LOCK:
        _GIVEN.update({str(key).lower(): value for key, value in consent.items()})


def has_consent(sha256: str) -> bool:
    """Whether the user agreed, in this process or when the model was put into the library."""
    if _LIMIT.programs is not None and sha256 not in _LIMIT.programs:
        return False
    with _LOCK:
        given = _GIVEN.get(sha256)
    return sha256 in _remembered() if given is None else given


@contextmanager
def nothing_but(programs: Collection[str]) -> Iterator[None]:
    """Let this thread run no other programs, by SHA-256, whatever was agreed to before."""
    before, _LIMIT.programs = _LIMIT.programs, frozenset(programs)
    try:
        yield
    finally:
        _LIMIT.programs = before


def require_consent(programs: tuple[Program, ...]) -> None:
    """Raise a `ConsentError` that names every program without consent."""
    lacking = [program for program in programs if not has_consent(program.sha256)]
    if lacking:
        raise refusal(lacking)


def refusal(programs: Sequence[Program], others: str = "") -> ConsentError:
    """What a person must be told before programs are run.

    Parameters
    ----------
    others
        A sentence on what could be used instead.
    """
    keys = ", ".join(f'"{program.sha256}": True' for program in programs)
    files = ", ".join(f"{program.file} ({program.what})" for program in programs)

    def text(listed: str, remedy: str) -> str:
        return (
            f"The model is a program of others, which could do anything that you can: {listed}. "
            "It is not run without your consent. If you know and trust where it comes from, "
            f"{remedy}.{others}"
        )

    return ConsentError(
        text("; ".join(program.text for program in programs), f"pass consent={{{keys}}}"),
        {program.sha256: program.text for program in programs},
        panel=text(files, "tick 'Run this code' where its package is imported"),
    )


def verified(content: bytes, program: Program) -> bytes:
    """The very bytes to run, after comparing their hash and looking for consent.

    Raises
    ------
    ModelError
        If they are not those of the program.
    ConsentError
        If there is no consent.
    """
    found = sha256_of(content)
    if found != program.sha256:
        raise ModelError(
            f"{program.file} has the SHA-256 {found}, expected {program.sha256}: it was changed. "
            "Get the model again."
        )
    require_consent((program,))
    return content


def remember(programs: tuple[Program, ...]) -> None:
    """Note consents beside the user's models, for the processes that run them later."""
    file = consents_file()
    with _LOCK:
        known = {**_remembered(), **{p.sha256: f"{p.file} ({p.what})" for p in programs}}
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(known, indent=2, sort_keys=True), "utf-8")
        part.replace(file)


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(consents_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
