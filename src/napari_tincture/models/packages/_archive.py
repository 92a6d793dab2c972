"""The files of a package, a zip or a folder, each read at most as it was announced."""

from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from napari_tincture.errors import ModelError
from napari_tincture.models.consent import sha256_of

DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
LARGEST = 16 * 2**30
"""Bytes of all files of a zip together, unpacked."""
LARGEST_DESCRIPTION = 4 * 2**20
"""Bytes."""


def is_package(path: Path) -> bool:
    """Whether a path has the form of a package: a zip, a description, or a folder with one."""
    if path.is_dir():
        return any((path / name).is_file() for name in DESCRIPTIONS)
    return path.suffix.lower() == ".zip" or path.name in DESCRIPTIONS


class Archive:
    """A package on disk; nothing of it is unpacked.

    Raises
    ------
    ModelError
        If it is neither a zip nor a folder, holds no description, or names files outside itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        if self.path.is_dir():
            self._names = _in_folder(self.path)
        elif self.path.is_file():
            self._names = _in_zip(self.path)
        else:
            raise ModelError(f"There is no package {path}; expected a .zip file or a folder.")
        self.description = self._find()

    def read(self, name: str, sha256: str | None = None) -> bytes:
        """Content of a file that the description names.

        Raises
        ------
        ModelError
            If it is missing, damaged, elsewhere, or has another hash than the description says.
        """
        real = self._real(name)
        try:
            if self.path.is_dir():
                content = (self.path / real).read_bytes()
            else:
                with zipfile.ZipFile(self.path) as archive:
                    content = archive.read(real)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise ModelError(f"{name} of {self.path} cannot be read: {error}.") from error
        if sha256 and sha256_of(content) != str(sha256).lower():
            raise ModelError(
                f"{name} of {self.path} has the SHA-256 {sha256_of(content)}, its description says "
                f"{sha256}: the file is damaged or was changed. Get the package again."
            )
        return content

    def _real(self, name: str) -> str:
        if is_address(name):
            raise ModelError(
                f"{self.path} names a file on the net, {name}, which is not fetched. Download the "
                "package with all its files."
            )
        parent = PurePosixPath(self.description).parent
        real = str(parent / safe_name(name.removeprefix("./"), self.path))
        if real not in self._names:
            listed = ", ".join(sorted(self._names)[:8])
            raise ModelError(f"{self.path} lacks the file {name}; it holds {listed}.")
        return real

    def _find(self) -> str:
        found = [name for name in self._names if PurePosixPath(name).name in DESCRIPTIONS]
        # A package may be packed together with its folder.
        shallow = sorted(found, key=lambda name: (name.count("/"), name))
        best = [name for name in shallow if name.count("/") == shallow[0].count("/")]
        if not best or best[0].count("/") > 1:
            raise ModelError(
                f"{self.path} is no model package: it holds none of {', '.join(DESCRIPTIONS)}."
            )
        order = {name: n for n, name in enumerate(DESCRIPTIONS)}
        return min(best, key=lambda name: order[PurePosixPath(name).name])

    def describe(self) -> dict[str, Any]:
        """The description, as plain values.

        Raises
        ------
        ModelError
            If it is no YAML mapping.
        """
        import yaml

        content = self.read(PurePosixPath(self.description).name)
        if len(content) > LARGEST_DESCRIPTION:
            raise ModelError(f"{self.description} of {self.path} is too large to be a description.")
        try:
            found = yaml.safe_load(content)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise ModelError(f"{self.description} of {self.path} is no YAML: {error}.") from error
        if not isinstance(found, dict):
            raise ModelError(f"{self.description} of {self.path} is no mapping of fields.")
        return found


def _in_folder(root: Path) -> set[str]:
    inside = root.resolve()
    found = set()
    for file in sorted(root.rglob("*")):
        if file.is_file():
            if not file.resolve().is_relative_to(inside):
                raise ModelError(f"{file} leads out of the package {root}. Get it from its source.")
            found.add(file.relative_to(root).as_posix())
    return found


def _in_zip(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            items = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelError(f"{path} is no model package: {error}. Expected a .zip file.") from error
    if sum(item.file_size for item in items) > LARGEST:
        raise ModelError(f"{path} would unpack to more than {LARGEST // 2**30} GiB.")
    for item in items:
        safe_name(item.filename, path)
        if stat.S_ISLNK(item.external_attr >> 16):
            raise ModelError(f"{path} holds a link, {item.filename!r}, which is not followed.")
    files = [item.filename for item in items if not item.is_dir()]
    if len(set(files)) < len(files):
        raise ModelError(f"{path} holds files of the same name. Get it from its source.")
    return set(files)


def is_address(name: str) -> bool:
    """Whether a file is named by its URL."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:", name) is not None


def safe_name(name: str, path: Path | str) -> str:
    """A file's name within its package, of which `path` is told.

    Raises
    ------
    ModelError
        If it leads out of the package.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise ModelError(
            f"{path} names a file outside the package, {name!r}: it is not to be trusted. Get it "
            "from its source."
        )
    return str(PurePosixPath(name))
