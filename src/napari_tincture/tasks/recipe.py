"""A run as one JSON object: the same for panels, Python and the command line."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_tincture.durable import write_json
from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.provenance import plain
from napari_tincture.raster import Raster
from napari_tincture.tasks._settings import settings_of

VERSION = 1
KEY = "napari-tincture recipe"
"""Under which a recipe says its version."""
OF_MODELS = ("stain", "segment", "synthesize", "enlarge")
"""Tasks that make an image of an image with a model."""
DATASET = "make_dataset"
"""Draws a folder of label maps, each image with its map."""
TASKS = (*OF_MODELS, DATASET, "compare", "train")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to which images, with all settings; JSON-serialisable.

    Attributes
    ----------
    task
        One of "stain", "segment", "synthesize", "enlarge", "make_dataset", "compare" and "train".
    images
        Of what, each as `SourceRef.to_json` gives it, or None: it is given when it is run. The
        first is what the task is called with, further ones are what settings speak of. Of
        "compare" the last one is the reference, or the one of the setting "reference", and those
        before are compared with it.
    model
        Name or file of a model.
    settings
        Further arguments of the task. ``{"source": 1}`` in them stands for the second image. Of
        "train" the recipe of the training is among them, as "recipe".
    save_to
        File of the result, or folder of several; empty: it stays lazy. Of "compare" a report or a
        table (.html, .pdf, .csv, .md), of "train" the model.
    overwrite
        Whether what is there is replaced.
    folder
        A folder or plate, each image of which gives a result in the folder `save_to`, in the place
        of `images`; empty: none.

    Raises
    ------
    InputError
        If the task is unknown, or there is no model.
    """

    task: str
    images: tuple[Mapping[str, Any] | None, ...] = ()
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    save_to: str = ""
    overwrite: bool = False
    folder: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise InputError(f"Unknown task {self.task!r}: expected one of {', '.join(TASKS)}.")
        if self.task in (*OF_MODELS, DATASET) and not self.model:
            raise InputError(f"A recipe to {self.task} needs a model; give its name or file.")
        if self.task == "train" and "recipe" not in self.settings:
            raise InputError('A recipe to train needs the training\'s own, as setting "recipe".')
        if self.task == DATASET and not self.folder:
            raise InputError("A recipe to make_dataset needs a folder of label maps: set folder.")
        if self.folder and not self.save_to:
            raise InputError("Results of a folder need a folder: set save_to.")

    def check(self) -> None:
        """Raise `InputError` if the task has no such setting."""
        known = settings_of(self.task)
        for name in self.settings:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                there = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}."
                raise InputError(f"{self.task} has no setting {name!r}; {there}")

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def with_settings(self, **changes: Any) -> Recipe:
        """A copy with some settings changed."""
        return replace(self, settings={**self.settings, **changes})

    @property
    def reference(self) -> int:
        """Number of the image that "compare" compares with."""
        told = self.settings.get("reference")
        return int(told["source"]) if told else len(self.images) - 1

    @property
    def python(self) -> str:
        """Lines of Python that do the same."""
        from napari_tincture.tasks._recipe_text import python_of

        return python_of(self)

    @property
    def command(self) -> str:
        """A command line that does the same; `InputError` if an image is in memory."""
        from napari_tincture.tasks._recipe_text import command_of

        return command_of(self)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it; what says nothing is left out."""
        values: dict[str, Any] = {
            "images": [word_of(each) or each for each in self.images], "model": self.model,
            "settings": dict(self.settings), "save_to": self.save_to, "overwrite": self.overwrite,
            "folder": self.folder,
        }  # fmt: skip
        said = {name: value for name, value in values.items() if value}
        found: dict[str, Any] = plain({KEY: VERSION, "task": self.task, **said})
        return found

    def to_json(self) -> str:
        """The recipe as one JSON object."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it; an existing file is replaced only when complete.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        target = Path(path)
        try:
            write_json(target, self.to_dict())
        except OSError as error:
            raise OutputError(f"The recipe cannot be written to {target}: {error}.") from error
        return target

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` gave; an image may also be a path.

        Raises
        ------
        InputError
            If it is no recipe, or one of a later release.
        """
        found = dict(values)
        version = found.pop(KEY, None)
        if not isinstance(version, int):
            raise InputError(f"This is no recipe of a run: it does not say its {KEY!r}.")
        if version > VERSION:
            raise InputError(
                f"This recipe has version {version}; this release of napari-tincture reads up to "
                f"{VERSION}. Update napari-tincture."
            )
        try:
            images = tuple(_image(each) for each in found.pop("images", ()))
            return cls(**found, images=images)
        except TypeError as error:
            raise InputError(f"This is no recipe of a run: {error}.") from error

    @classmethod
    def load(cls, given: Any) -> Recipe:
        """Read a recipe from a mapping, JSON text, or a file.

        Raises
        ------
        InputError
            If there is no such file, or it holds no recipe.
        """
        if isinstance(given, Recipe):
            return given
        if isinstance(given, Mapping):
            return cls.from_dict(given)
        text = str(given)
        if not text.lstrip().startswith("{"):
            try:
                text = Path(given).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"The recipe {given} cannot be read: {error}.") from error
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InputError(f"This recipe is not valid JSON: {error}.") from error
        if not isinstance(values, Mapping):
            raise InputError("This is no recipe of a run: expected a JSON object.")
        return cls.from_dict(values)

    @classmethod
    def of_step(cls, step: Mapping[str, Any]) -> Recipe:
        """The recipe of a step of a result's provenance, as `explain` gives them.

        Raises
        ------
        InputError
            If it is no step of a task that recipes know.
        """
        settings = {
            name: value
            for name, value in (step.get("settings") or {}).items()
            if value is not None and value != "auto"
        }
        if settings.get("context") == "given":
            del settings["context"]  # values of the whole image are found anew
        model = step.get("model_file") or step.get("model") or ""
        images = tuple(source.get("source") for source in step.get("sources", ()))
        return cls(str(step.get("step")), images, str(model), settings)


def as_image(image: Any) -> Mapping[str, Any] | None:
    """How a recipe names a raster; None for one that only this process can open."""
    if isinstance(image, Raster):
        from napari_tincture.io.open import shortest

        found: dict[str, Any] = plain(shortest(image.source).to_json()) if image.source else {}
        return found or None
    return _image(os.fspath(image))


def _image(given: Any) -> Mapping[str, Any] | None:
    if isinstance(given, str):
        kind, _, name = given.partition(":")
        if kind == "sample" and name:
            return {"kind": "sample", "path": name, "options": {}, "steps": []}
        return {"kind": "path", "path": given, "options": {}, "steps": []}
    if given is None or isinstance(given, Mapping):
        return given
    raise InputError(f"{given!r} is no image of a recipe: expected a path, or how it is opened.")


def word_of(image: Mapping[str, Any] | None) -> str:
    """The word that says how an image is opened; empty if it takes more than one."""
    if image is None or image["options"] or image["steps"] or image["kind"] == "channels":
        return ""
    return f"sample:{image['path']}" if image["kind"] == "sample" else str(image["path"])


def opened(images: Sequence[Mapping[str, Any] | None], given: Sequence[Any]) -> list[Raster]:
    """The images of a recipe; those that are given take the places of the first ones.

    Raises
    ------
    InputError
        If one is missing, or cannot be opened.
    """
    from napari_tincture.io.open import open_image
    from napari_tincture.source import SourceRef

    found = [open_image(image) for image in given]
    for number, image in enumerate(images[len(given) :], start=len(given)):
        if image is None:
            raise InputError(
                f"Image {number + 1} of this recipe was in memory when it was written: give it, "
                "as in nt.run(recipe, image)."
            )
        plain_path = image["kind"] == "path" and not image["options"] and not image["steps"]
        found.append(open_image(image["path"]) if plain_path else SourceRef.from_json(image).open())
    return found
