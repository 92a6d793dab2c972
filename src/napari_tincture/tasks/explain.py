"""How an image was made, in words, as data, and as the Python that makes it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.io.own_files import own_object
from napari_tincture.io.provenance import RUN_FACTS, completed, in_brief
from napari_tincture.raster import Raster
from napari_tincture.tasks._again import lines_of
from napari_tincture.tasks._words import words_of


@dataclass(frozen=True)
class Explanation:
    """How an image was made; ``print`` it.

    Attributes
    ----------
    name
        Of what was explained.
    steps
        What was done, first to last, JSON-serialisable: ``step`` (its name), ``model``,
        ``architecture``, ``weights`` (SHA-256 of the weights and of what changes their result),
        ``licence``, ``sources``, ``settings``, and in ``run`` what the computation found out
        (device, precision, versions, values of the whole image, events, warning). Empty if nothing
        is recorded.
    origin
        What else is known of the image, such as its source and licence.
    software
        What wrote it.
    path
        Where it is saved; empty for what is in memory.
    """

    name: str
    steps: tuple[Mapping[str, Any], ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    software: str = ""
    path: str = ""

    def __str__(self) -> str:
        return words_of(self.name, self.steps, self.origin, self.software)

    def in_lines(self, width: int) -> str:
        """As `str`, in lines of so many letters."""
        return words_of(self.name, self.steps, self.origin, self.software, width)

    @property
    def python(self) -> str:
        """Lines of Python that run it again; empty if nothing is recorded.

        What no file holds (an array, a layer, a network of one's own) is left as ``...``.
        """
        return "\n".join(lines_of(self.steps, self.path))


def explain(src: Any) -> Explanation:
    """Tell how an image was made.

    Parameters
    ----------
    src : path, napari layer or Raster
        A file that this package wrote, a layer or raster that it made, or any other image.

    Returns
    -------
    Explanation
        Its ``print`` is for reading, ``.steps`` for programs, ``.python`` for running it again.
        For an image that nothing is recorded of, it says so. Of a Raster a sample of the images
        that it is made from is read.

    Raises
    ------
    InputError
        If there is no such file, or it is no image.
    """
    if isinstance(src, (str, os.PathLike)):
        return _of_file(os.fspath(src))
    raster = open_image(src)
    return explanation_of(raster.name or "image", completed(raster, _facts(raster)))


def _of_file(path: str) -> Explanation:
    local = Path(path).expanduser()
    if "://" not in path and not local.exists():
        raise InputError(f"There is no file or folder {path}; check the spelling.")
    own = own_object(path if "://" in path else local)
    provenance = (own or {}).get("provenance")
    known = provenance if isinstance(provenance, Mapping) else {}
    return replace(explanation_of(path, known), path=path)


def _facts(raster: Raster) -> dict[str, Any]:
    found: dict[str, Any] = getattr(raster.runner, "facts", dict)()
    return found


def explanation_of(name: str, provenance: Mapping[str, Any]) -> Explanation:
    """What an image's provenance tells."""
    steps = [dict(step) for step in provenance.get("steps", ()) if isinstance(step, Mapping)]
    run = {key: provenance[key] for key in RUN_FACTS if key in provenance}
    if steps and run:
        steps[-1]["run"] = in_brief(run)
    known = {"steps", "software", *RUN_FACTS}
    origin = {key: value for key, value in provenance.items() if key not in known}
    return Explanation(name, tuple(steps), origin, str(provenance.get("software", "")))
