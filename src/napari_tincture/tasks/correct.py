"""Saying where a stain is right or wrong, for the model to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.alignment.align import Registration
from napari_tincture.errors import InputError
from napari_tincture.io.identity import content
from napari_tincture.io.open import open_image
from napari_tincture.models.card import ModelCard
from napari_tincture.models.shipped import find_card, find_model, shipped_folder
from napari_tincture.raster import Raster
from napari_tincture.tasks._stained_field import StainedField
from napari_tincture.tiling.inputs import NonFinite
from napari_tincture.training.correction_set import Corrections

if TYPE_CHECKING:
    from napari_tincture.models.model import Model


def correct(
    model: str | PathLike[str] | Model,
    image: Any,
    marks: Any = None,
    stain: Any = None,
    reference: Any = None,
    folder: str | PathLike[str] | None = None,
    weight: float = 10.0,
    *,
    channels: Mapping[str, Any] | Sequence[Any] | None = None,
    align: Registration | None = None,
    nonfinite: NonFinite = "error",
) -> Corrections:
    """Store what is known to be right or wrong of a stain; `train` learns from it.

    Parameters
    ----------
    model
        Name, path or `Model` that stained.
    image
        What was stained.
    marks
        Labels on the grid of the stain, or on another that is placed: 1 right, 2 wrong, 0 not
        said. None: the whole stain is to be compared with the reference.
    stain
        What the model made of the image, with all channels; None: it is made again.
    reference
        The chemical stain of the same place; other grids are resampled by their placement.
    folder
        Of the growing data set; None: beside the model's file, ``NAME.corrections``.
    weight
        How much more than others pixels count where the stain is wrong and the reference is known.
    channels, nonfinite
        As in `stain`.
    align
        Align the reference with the stain first, see `napari_tincture.alignment.align`.

    Returns
    -------
    Corrections
        The data set, with what is new.

    Raises
    ------
    InputError
        If nothing is marked and there is no reference, or images do not fit each other or the
        model.
    OutputError
        If the folder cannot be written.
    """
    card = model_card(model)
    if not weight > 0:
        raise InputError(f"weight={weight}: expected a positive number.")
    if marks is None and reference is None:
        raise InputError("Mark where the stain is right or wrong, or give a reference, or both.")
    target = Corrections(folder if folder is not None else beside(model))
    source = open_image(image)
    made = _stained(model, source, stain, channels, nonfinite)
    kept = {"channels": channels, "nonfinite": nonfinite}
    field = StainedField.of(card, source, made, marks, reference, align, kept)
    facts = {
        "model": card.name, "weights": _fingerprint(model, made), "weight": float(weight),
        "source": _source(source),
    }  # fmt: skip
    regions = [region for plane in field.inputs.planes for region in field.regions(plane, facts)]
    if not regions:
        raise InputError(
            "Nothing is marked within the stain: paint 1 where it is right, 2 where it is wrong."
        )
    target.add(regions)
    return target


def model_card(model: Any) -> ModelCard:
    """The card of a model to stain with, without its weights."""
    card: ModelCard = model.card if hasattr(model, "card") else find_card(model)
    if card.task != "stain":
        raise InputError(f"Model {card.name!r} is made to {card.task}; only stains are corrected.")
    return card


def beside(model: Any) -> Path:
    """Where corrections of a model are kept if nothing else is said."""
    path = getattr(model, "path", None) if hasattr(model, "card") else find_model(model)
    if path is None or path.parent == shipped_folder():
        raise InputError(
            "This model lies in no folder of yours; name a folder for its corrections (folder=)."
        )
    return Path(path).with_suffix(".corrections")


def _stained(model: Any, image: Raster, stain: Any, channels: Any, nonfinite: NonFinite) -> Raster:
    if stain is not None:
        return open_image(stain)
    from napari_tincture.tasks.stain import stain as make

    return make(image, model, channels=channels, nonfinite=nonfinite)


def _fingerprint(model: Any, stain: Raster) -> str:
    """Which weights stained; a stain that was shown knows, and torch is not needed."""
    steps = [step for step in stain.provenance.get("steps", ()) if step.get("step") == "stain"]
    if steps and steps[-1].get("weights"):
        return str(steps[-1]["weights"])
    from napari_tincture.models.shipped import load_model

    return load_model(model).fingerprint


def _source(image: Raster) -> dict[str, Any]:
    # Where the file lies may change; what it shows does not.
    return {"name": image.name, **content(image)}
