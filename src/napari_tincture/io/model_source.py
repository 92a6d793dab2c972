"""Where a model is to be had on the net: an address, or its id at BioImage.IO.

Ids are resolved as bioimageio.spec does: the description of each resource lies under its id at
the collection's server; a map of all ids stands in where that is not reached.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

from napari_tincture.errors import ModelError
from napari_tincture.models.checkpoints._files import SUFFIXES
from napari_tincture.models.packages._archive import DESCRIPTIONS

BIOIMAGE_IO = {
    "description": "https://hypha.aicell.io/bioimage-io/artifacts/{id}/files/rdf.yaml",
    "version": "?version={version}",
    "map": "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io/id_map.json",
    "page": "https://bioimage.io/#/artifacts/{id}",
    "zenodo": "https://zenodo.org/records/{record}/files/{file}",
    "zenodo page": "https://zenodo.org/records/{record}",
}
"""Where the collection keeps what; ``bioimageio.spec`` 0.5 has the same."""
NICKNAME = re.compile(r"(?P<id>[a-z]+(?:-[a-z]+)+)(?:/(?P<version>[\w.]+))?")
DOI = re.compile(r"(?:doi:)?10\.5281/zenodo\.(?P<concept>\d+)(?:/(?P<record>\d+))?", re.IGNORECASE)
PAGES = re.compile(r"https?://(?:www\.)?bioimage\.io/#/?(?:artifacts/|\?.*\bid=)(?:bioimage-io/)?")
RESOLVER = re.compile(r"https?://(?:dx\.)?doi\.org/")
ENDINGS = (*SUFFIXES, ".zip")


@dataclass(frozen=True, slots=True)
class Source:
    """A model on the net.

    Attributes
    ----------
    key
        What it is known by: the address, or the id.
    files
        Address of a file; or of a package's description, where there may be several.
    package
        Whether `files` are of a description, beside which the other files lie.
    name
        Of the file.
    page
        Where a person gets it.
    nickname
        Its id in the map of all; empty if it is not to be looked for there.
    """

    key: str
    files: tuple[str, ...]
    package: bool
    name: str
    page: str
    nickname: str = ""


def is_source(text: str) -> bool:
    """Whether a text has the form of an address or an id."""
    plain = text.strip()
    return bool("://" in plain or NICKNAME.fullmatch(plain) or DOI.fullmatch(plain))


def read_source(text: str) -> Source:
    """What an address or an id stands for.

    Parameters
    ----------
    text
        An address of a ``.safetensors`` file, a checkpoint, a ``.zip`` package or a package's
        ``rdf.yaml``; an id such as "affable-shark", with "/1.2" for a version; a DOI of Zenodo,
        such as "10.5281/zenodo.5764892"; or the page of either.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    plain = RESOLVER.sub("", PAGES.sub("", text.strip()))
    if found := NICKNAME.fullmatch(plain):
        return _of_nickname(found["id"], found["version"])
    if found := DOI.fullmatch(plain):
        return _of_record(found["record"] or found["concept"])
    if "://" in plain:
        return _of_address(plain)
    raise ModelError(
        f"{text!r} is no file, and no address or id of a model: expected https://… of a file "
        f"({', '.join(ENDINGS)}), an id of BioImage.IO such as 'affable-shark', or a DOI such as "
        "'10.5281/zenodo.5764892'."
    )


def beside(address: str, name: str) -> str:
    """Address of another file of the same package."""
    query = urlsplit(address).query
    return urljoin(address, quote(name)) + (f"?{query}" if query else "")


def _of_nickname(name: str, version: str | None) -> Source:
    address = BIOIMAGE_IO["description"].format(id=name)
    if version:
        address += BIOIMAGE_IO["version"].format(version=version)
    key = f"{name}/{version}" if version else name
    page = BIOIMAGE_IO["page"].format(id=name)
    return Source(key, (address,), True, "rdf.yaml", page, "" if version else name)


def _of_record(record: str) -> Source:
    files = tuple(
        BIOIMAGE_IO["zenodo"].format(record=record, file=name) for name in DESCRIPTIONS[:2]
    )
    page = BIOIMAGE_IO["zenodo page"].format(record=record)
    return Source(f"10.5281/zenodo.{record}", files, True, "rdf.yaml", page)


def _of_address(address: str) -> Source:
    parts = [unquote(part) for part in PurePosixPath(urlsplit(address).path).parts]
    if parts and parts[-1] in DESCRIPTIONS:
        return Source(address, (address,), True, parts[-1], address)
    # Some servers put a word behind the name: …/files/model.zip/content
    for part in reversed(parts):
        if part.lower().endswith(ENDINGS):
            return Source(address, (address,), False, _file_name(part), address)
    raise ModelError(
        f"{address!r} names no file that can be a model: expected one that ends in "
        f"{', '.join(ENDINGS)}, or {DESCRIPTIONS[0]}."
    )


def _file_name(part: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", part).lstrip("-.") or "model"
