"""Models of the net, brought to this computer, to be imported from there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_tincture.errors import ModelError
from napari_tincture.io.checksums import check_digits, check_sha256
from napari_tincture.io.download import Downloaded, download
from napari_tincture.io.model_source import BIOIMAGE_IO, Source, beside, read_source
from napari_tincture.io.safe_http import NotReached
from napari_tincture.models.packages._archive import DESCRIPTIONS, Archive
from napari_tincture.models.packages._description import read_description
from napari_tincture.models.packages.needed import needed_files
from napari_tincture.models.shipped import file_stem, find_model, library_folder, list_models
from napari_tincture.progress import CancelToken, Progress, unheard


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came.

    Attributes
    ----------
    path
        The file, or a package's folder.
    origin
        As of a card.
    known
        The model of the library that was made of the very same; empty if there is none.
    """

    path: Path
    origin: Mapping[str, Any] = field(default_factory=dict)
    known: str = ""

    def discard(self) -> None:
        """Remove what came, once a model was made of it."""
        home = downloads_folder()
        if self.path.is_relative_to(home):
            shutil.rmtree(home / self.path.relative_to(home).parts[0], ignore_errors=True)


def downloads_folder() -> Path:
    """Where files lie until a model was made of them: in the user's library."""
    return library_folder() / "downloads"


def fetch_model(
    source: str,
    *,
    sha256: str | None = None,
    progress: Progress = unheard,
    cancel: CancelToken | None = None,
) -> Fetched:
    """Download what a model can be made of; what broke off or was cancelled goes on.

    Parameters
    ----------
    source
        As of `read_source`.
    sha256
        Of the file, or of a package's description, which states those of its files.
    progress
        Called with bytes that are there, and of all that is known of.

    Raises
    ------
    ModelError
        If a hash is another than the expected one, that of the description, or that of an
        earlier download from there. If the source is none, or not reached: the message says
        what a person can do without a connection.
    OutputError
        If it cannot be written.
    """
    found = read_source(source)
    wanted = None if sha256 is None else check_digits(sha256)
    earlier = {name: origin for name, origin in _origins() if origin.get("url") == found.key}
    same = [name for name, origin in earlier.items() if wanted and origin.get("sha256") == wanted]
    if same:
        return Fetched(find_model(same[0]), earlier[same[0]], same[0])
    folder = _folder(found)
    total = _Total(progress)
    try:
        if found.package:
            came = _package(found, folder, wanted, total.of_next, cancel)
        else:
            file = download(
                found.files[0], folder / found.name, sha256=wanted, progress=total.of_next(),
                cancel=cancel,
            )  # fmt: skip
            came = Fetched(file.path, {"url": found.key, "sha256": file.sha256})
    except NotReached as error:
        raise _with_remedy(error, found, folder) from error
    except ModelError:  # what came is not what was meant
        shutil.rmtree(folder.parent, ignore_errors=True)
        raise
    return _compared(came, earlier, changed_is_fine=wanted is not None)


class _Total:
    """Bytes of files that come one after the other, of which the later ones are not known yet."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._before, self._last = progress, 0, 0

    def of_next(self) -> Progress:
        """What the next file reports to."""
        self._before += self._last
        self._last = 0

        def report(done: int, total: int) -> None:
            self._last = total or done
            self._progress(self._before + done, self._before + (total or done + 1))

        return report


def _package(
    source: Source, folder: Path, sha256: str | None, report: Callable[[], Progress],
    cancel: CancelToken | None,
) -> Fetched:  # fmt: skip
    address, about = _description(source, folder, sha256, report, cancel)
    named = needed_files(read_description(Archive(folder).describe()), source.key)
    files = {}
    for name, stated in named.items():
        files[name] = download(
            beside(address, name), folder / name, sha256=stated, progress=report(), cancel=cancel
        ).sha256
    return Fetched(folder, {"url": source.key, "sha256": about.sha256, "files": files})


def _description(
    source: Source, folder: Path, sha256: str | None, report: Callable[[], Progress],
    cancel: CancelToken | None,
) -> tuple[str, Downloaded]:  # fmt: skip
    """A package's description, from the first address that has it, and that address."""
    first: NotReached | None = None
    for address in source.files:
        try:
            name = DESCRIPTIONS[0]
            return address, download(
                address, folder / name, sha256=sha256, progress=report(), cancel=cancel
            )
        except NotReached as error:
            first = first or error
    assert first is not None
    if not source.nickname:
        raise first
    try:
        address, stated = _mapped(source.nickname, folder, cancel)
    except NotReached:
        raise first from None
    check_sha256(stated or "", sha256 if stated else None, address)
    return address, download(
        address, folder / DESCRIPTIONS[0], sha256=sha256 or stated, progress=report(),
        cancel=cancel,
    )  # fmt: skip


def _mapped(name: str, folder: Path, cancel: CancelToken | None) -> tuple[str, str | None]:
    """Where the map of all ids says that a description is, and its hash."""
    file = download(BIOIMAGE_IO["map"], folder / "id_map.json", cancel=cancel).path
    try:
        entry = json.loads(file.read_text("utf-8"))[name]
        return str(entry["source"]), entry.get("sha256")
    except (ValueError, KeyError, TypeError):
        raise NotReached(f"BioImage.IO knows no model {name!r}.", 404) from None
    finally:
        file.unlink()


def _compared(came: Fetched, earlier: Mapping[str, Any], *, changed_is_fine: bool) -> Fetched:
    """What came, and the model that was made of the same before."""
    for name, origin in earlier.items():
        if dict(origin) == dict(came.origin):
            came.discard()
            return Fetched(find_model(name), origin, name)
    if earlier and not changed_is_fine:
        name, origin = next(iter(earlier.items()))
        came.discard()
        raise ModelError(
            f"{came.origin['url']} has changed: it has the SHA-256 {came.origin['sha256']}, and "
            f"{origin.get('sha256')} when {name!r} was made of it. If you expect that, give "
            f'sha256="{came.origin["sha256"]}" with it; else keep {name!r}.'
        )
    return came


def _origins() -> list[tuple[str, Mapping[str, Any]]]:
    return [(card.name, card.origin) for card in list_models() if card.origin]


def _folder(source: Source) -> Path:
    """A folder of a source alone; some files are called after their folder."""
    digest = hashlib.sha256(source.key.encode()).hexdigest()[:12]
    if "://" not in source.key:
        return downloads_folder() / digest / file_stem(source.key)
    parts = [part for part in source.key.partition("?")[0].split("/") if part]
    return downloads_folder() / digest / file_stem(parts[-2])


def _with_remedy(error: NotReached, source: Source, folder: Path) -> NotReached:
    """What a person can do where a computer has no connection."""
    if error.status:
        return error
    name = f"{folder.name}.zip" if source.package else source.name
    what = "the package as a .zip" if source.package else "it"
    by_hand = folder.parent / name if source.package else folder / name
    get = f"{error} Without a connection: get {what} from {source.page} on another computer, "
    return NotReached(
        f"{get}put it at {by_hand}, and import it with: napari-tincture models import {by_hand}",
        panel=f"{get}bring it to this one, and choose it with … beside the field.",
    )
