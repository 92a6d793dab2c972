"""What a data set says of itself: ``dataset.json``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tincture.durable import write_json
from napari_tincture.errors import OutputError
from napari_tincture.io.identity import differences
from napari_tincture.io.output import writing
from napari_tincture.tasks._dataset_files import SIDES, digest

NAME = "dataset.json"
PAUSE = 5.0
"""Seconds between two writings, while images are made."""
NOT_DECISIVE = ("software", "images")


class Record:
    """The file while images are made; each is entered when both its files are complete.

    Parameters
    ----------
    folder
        Of the data set.
    head
        What all images have in common: JSON.

    Raises
    ------
    OutputError
        If the folder holds a data set that was made otherwise, or something else.
    """

    def __init__(self, folder: Path, head: Mapping[str, Any]) -> None:
        self.folder, self.path = folder, folder / NAME
        found = self._found()
        if found is not None:
            before, now = (
                {k: v for k, v in each.items() if k not in NOT_DECISIVE} for each in (found, head)
            )
            changed = differences(before, json.loads(json.dumps(now)))
            if changed:
                raise OutputError(
                    f"{folder} holds a data set that was made otherwise: {'; '.join(changed)}. "
                    "Choose another folder, or repeat the arguments it was made with."
                )
        self.images: dict[str, Any] = {} if found is None else dict(found["images"])
        self._head = dict(head)
        self._written = 0.0
        self.save()

    def is_complete(self, name: str, entry: Mapping[str, Any]) -> bool:
        """Whether an image is there, with its labels.

        Parameters
        ----------
        entry
            What it is made of.

        Raises
        ------
        OutputError
            If it was made of something else, or a file was changed since.
        """
        before = self.images.get(name)
        if before is None or any(not (self.folder / before[side]).exists() for side in SIDES):
            return False
        known = {key: before.get(key) for key in entry}
        changed = differences(known, json.loads(json.dumps(entry)))
        if changed:
            raise OutputError(
                f"{name} was made of something else: {'; '.join(changed)}. Choose another folder, "
                f"or delete {before['images']} to have it made again."
            )
        for side in SIDES:
            if digest(self.folder / before[side]) != before["sha256"][side]:
                raise OutputError(
                    f"{self.folder / before[side]} was changed since it was made. Move it away if "
                    "it is worth keeping, and call again to have it made anew."
                )
        return True

    def enter(self, name: str, entry: Mapping[str, Any]) -> None:
        """Note an image whose files are complete."""
        self.images[name] = dict(entry)
        if time.monotonic() - self._written > PAUSE:
            self.save()

    def save(self) -> None:
        """Write the file now."""
        with writing(self.path):
            write_json(self.path, {**self._head, "images": dict(sorted(self.images.items()))})
        self._written = time.monotonic()

    def _found(self) -> dict[str, Any] | None:
        if not self.path.exists():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise OutputError(
                    f"{self.folder} is not empty, and holds no {NAME}. Choose another folder."
                )
            with writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            return None
        try:
            found: dict[str, Any] = json.loads(self.path.read_text("utf-8"))
            found["images"].items()
        except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
            raise OutputError(
                f"{self.path} is no record of a data set: {error}. Choose another folder."
            ) from error
        return found
