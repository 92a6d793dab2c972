"""A result that is being written: where it waits, who writes it, and what it was begun with.

Beside ``out.ome.zarr`` lies ``out.ome.zarr.partial`` until the result is complete:

- ``plan.json``: what the result is made of and how. Written last when a result is begun.
- ``done.jsonl``: the finished shards. ``run``: what the run keeps for the next.
- ``lock`` and ``owner.json``: held by the process that writes. A lock of the operating system,
  which ends with its process however that ends.
- ``data.zarr``: the pixels. It moves to its place in one step when it is complete.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_tincture.durable import flush_folder, write_json
from napari_tincture.errors import OutputError
from napari_tincture.io.done_map import DoneMap
from napari_tincture.io.identity import differences
from napari_tincture.io.output import check_free, remove, take_place, writing

_OWN = {
    "plan.json", "done.jsonl", "run", "scratch", "lock", "owner.json", "data.zarr", "data.old",
    "result.tif", "result.old", "delivering.json",
}  # fmt: skip
_ARRAYS = (".npz", ".npy")
"""What runs keep of their own: tiles, drawn planes, answers."""
_MARK = "delivering.json"
"""Names what is being moved to its place."""
_SYSTEMS = ("._", ".nfs", ".DS_Store", "Thumbs.db", "desktop.ini")
"""Beginnings of files that operating systems put into folders by themselves."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A result on its way; see `begin`.

    Attributes
    ----------
    path
        Where the result will be.
    plan
        What it was begun with.
    done
        Its finished shards.
    """

    path: Path
    plan: Mapping[str, Any]
    done: DoneMap

    @property
    def folder(self) -> Path:
        """Where everything waits."""
        return partial_path(self.path)

    @property
    def data(self) -> Path:
        """The zarr group of the pixels."""
        return self.folder / "data.zarr"

    @property
    def run(self) -> Path:
        """What the run keeps for the next."""
        return self.folder / "run"

    @property
    def scratch(self) -> Path:
        """What nobody needs after this process."""
        return self.folder / "scratch"

    @property
    def worthwhile(self) -> bool:
        """Whether anything is there that another run need not compute again."""
        return len(self.done) > 0 or any(any(self.run.rglob(f"*{kind}")) for kind in _ARRAYS)

    def deliver(self, result: Path, *, overwrite: bool) -> None:
        """Move the complete result, a file or folder in `folder`, to its place."""
        with writing(self.path):
            write_json(self.folder / _MARK, result.name)
            take_place(self.path, result, overwrite=overwrite)
            flush_folder(self.path.parent)
            self.abandon()

    def abandon(self) -> None:
        """Let nobody continue: the result is in its place, or can never be."""
        remove(self.folder / "plan.json")


def partial_path(path: Path) -> Path:
    """Where a result waits until it is complete."""
    return path.with_name(f"{path.name}.partial")


def is_unfinished(path: str | Path) -> bool:
    """Tell whether a result was begun that is not complete."""
    return (partial_path(Path(path).expanduser()) / "plan.json").exists()


@contextmanager
def begin(
    path: Path, plan: Mapping[str, Any], create: Any, *, overwrite: bool
) -> Iterator[Unfinished]:
    """Begin a result, or continue one that was interrupted.

    Parameters
    ----------
    path
        Where the result will be.
    plan
        JSON-serialisable; what the result is made of and how. All of it must be as it was when
        the result was begun, but for ``free``: there the first run's word holds.
    create
        Called with the folder of the pixels where there are none yet.
    overwrite
        Whether a complete result, or one that was begun with another plan, is replaced.

    Yields
    ------
    Unfinished
        Removed at the end where the result is in its place, or nothing of it was finished.

    Raises
    ------
    OutputError
        If `path` exists (without `overwrite`); if another process writes there; if the plan has
        changed; if the place cannot be written.
    """
    folder = partial_path(path)
    try:
        check_free(path, overwrite=overwrite)
    except OutputError:
        _tidy(folder, path)
        raise
    with writing(path):
        _check_ours(folder)
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, path):
        if _delivered(folder, path):
            _sweep(folder)
        # What another run has left is kept, unless it is known that it is worth nothing.
        keep = (folder / "plan.json").exists()
        try:
            with writing(path):
                for leftover in (*folder.glob("*.partial"), *folder.glob("run/**/*.partial")):
                    remove(leftover)
                before = _agreed(_read_plan(folder), plan, path, overwrite=overwrite)
                if before is None:
                    keep = False
                    _start(folder, plan, create)
                for name in ("run", "scratch"):
                    (folder / name).mkdir(exist_ok=True)
            with DoneMap(folder / "done.jsonl") as done:
                unfinished = Unfinished(path, before or dict(plan), done)
                try:
                    yield unfinished
                finally:
                    keep = unfinished.worthwhile
        finally:
            remove(folder / "scratch")
            if not keep or not (folder / "plan.json").exists():
                _sweep(folder)


def _agreed(
    before: dict[str, Any] | None, plan: Mapping[str, Any], path: Path, *, overwrite: bool
) -> dict[str, Any] | None:
    """The plan of an earlier run, if this one may continue it."""
    if before is None:
        return None
    changes = differences(_fixed(before), _fixed(plan))
    if changes and not overwrite:
        raise _changed(path, changes)
    return None if changes else before


def _delivered(folder: Path, path: Path) -> bool:
    """Whether a run was killed after its result had moved to its place."""
    mark = folder / _MARK
    if not mark.exists() or not path.exists():
        return False
    return not (folder / json.loads(mark.read_text("utf-8"))).exists()


def _tidy(folder: Path, path: Path) -> None:
    """Remove what is left where a run was killed after its result had moved to its place."""
    if folder.is_dir() and (_delivered(folder, path) or not (folder / "plan.json").exists()):
        with suppress(OutputError), _locked(folder, path):
            _sweep(folder)


def _start(folder: Path, plan: Mapping[str, Any], create: Any) -> None:
    _sweep(folder)
    create(folder / "data.zarr")
    write_json(folder / "plan.json", dict(plan))


def _sweep(folder: Path) -> None:
    # The plan goes first: without it the rest is no result.
    for name in ("plan.json", *sorted(_OWN - {"plan.json", "lock", "owner.json"})):
        remove(folder / name)


def _fixed(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plan.items() if key != "free"}


def _read_plan(folder: Path) -> dict[str, Any] | None:
    path = folder / "plan.json"
    if not path.exists():
        return None
    plan: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return plan


def _check_ours(folder: Path) -> None:
    if not folder.exists():
        return
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else {folder.name}
    foreign = sorted(
        n for n in names - _OWN if not n.endswith(".partial") and not n.startswith(_SYSTEMS)
    )
    if foreign:
        raise OutputError(
            f"{folder} is needed while the result is written, but holds {foreign[0]}, which is "
            "not of napari-tincture. Move it away, or choose another name."
        )


@contextmanager
def _locked(folder: Path, path: Path) -> Iterator[None]:
    lock = FileLock(folder / "lock")
    with writing(path):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f"{path} is being written by {_owner(folder)}. Wait until that has ended, or "
                "choose another name."
            ) from error
    try:
        with writing(path):
            write_json(folder / "owner.json", _myself())
        yield
    finally:
        with suppress(OSError):  # what is wrong with the folder has been said
            (folder / "owner.json").unlink(missing_ok=True)
            left = {entry.name for entry in folder.iterdir()}
            if all(name == "lock" or name.startswith(_SYSTEMS) for name in left):
                remove(folder)
        lock.release()
        if os.name == "nt" and not any(p.name != "lock" for p in folder.glob("*")):
            remove(folder)  # there no lock is removed that is held


def _myself() -> dict[str, Any]:
    return {"process": os.getpid(), "computer": platform.node(), "user": _user()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without names
        return "unknown"


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / "owner.json").read_text("utf-8"))
        return f"process {owner['process']} of {owner['user']} on {owner['computer']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def _changed(path: Path, changes: list[str]) -> OutputError:
    listed = "\n  ".join(changes[:8])
    return OutputError(
        f"{partial_path(path)} was begun with other settings, so that it cannot be continued:\n"
        f"  {listed}\n"
        "Restore them, choose another path, or pass overwrite=True to begin again."
    )
