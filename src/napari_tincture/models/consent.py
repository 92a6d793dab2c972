"""Which programs of others a user agreed to run, by the SHA-256 of their files.

No torch here: a list of what needs consent is made without running anything.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_tincture.errors import ConsentError, ModelError
from napari_tincture.models.shipped import library_folder

FILE = "consents.json"
_LOCK = threading.Lock()
_GIVEN: dict[str, bool] = {}


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
    with _LOCK:
        given = _GIVEN.get(sha256)
    return sha256 in _remembered() if given is None else given


def require_consent(programs: tuple[Program, ...]) -> None:
    """Raise a `ConsentError` that names every program without consent."""
    lacking = [program for program in programs if not has_consent(program.sha256)]
    if lacking:
        raise ConsentError(asking(lacking), {p.sha256: p.text for p in lacking})


def asking(programs: list[Program]) -> str:
    """What a person must be told before programs are run."""
    listed = "; ".join(program.text for program in programs)
    keys = ", ".join(f'"{program.sha256}": True' for program in programs)
    return (
        f"The model is a program of others, which could do anything that you can: {listed}. It is "
        "not run without your consent. If you know and trust where it comes from, pass "
        f"consent={{{keys}}}."
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
