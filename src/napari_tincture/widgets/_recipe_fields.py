"""Fields of a training's recipe that no family adds to, by what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from napari_tincture.training.schedule import Decay, Keep, Optimiser, Precision, Unit
from napari_tincture.widgets._fields import Field

NO_YES = ((False, "no"), (True, "yes"))
DERIVED = ("hold", "validate_every", "save_every")
"""Fields of the schedule that follow the number of steps unless they are set."""


def _choices(kind: Any) -> tuple[tuple[Any, str], ...]:
    return tuple((name, name) for name in get_args(kind))


DATA = (
    Field("crop", "Crop", "int", help="Side in pixels of the squares that are learned from"),
    Field("batch", "Batch", "int", help="Crops per step"),
    Field("foreground", "Foreground", help="Share of crops that must not be empty glass, 0 … 1"),
    Field("excluded", "Excluded", help="Largest share of a crop that may be left out, 0 … 1"),
    Field(
        "flips", "Flips", "choice",
        (((False, False), "none"), ((False, True), "left to right"), ((True, True), "both")),
        help="Crops are mirrored at random",
    ),
    Field("rot90", "Quarter turns", "choice", NO_YES, "Crops are turned at random"),
    Field("rotate", "Rotation", help="Largest angle in degrees; crops are interpolated"),
    Field("brightness", "Brightness", help="Jitter of the input: how far a factor is from 1"),
    Field("contrast", "Contrast", help="Jitter of the input: how far a factor is from 1"),
    Field("saturation", "Saturation", help="Jitter of the input: how far a factor is from 1"),
    Field("hue", "Hue", help="Jitter of the input: largest shift, in turns"),
    Field(
        "pad", "Small images", "choice", (("error", "are refused"), ("mirror", "are mirrored")),
        help="What becomes of images that are smaller than a crop",
    ),
    Field(
        "validation", "Validation",
        help="Share of the images (of a single image: of its length) that is held back for figures",
    ),
    Field(
        "channels_a", "Channels from", "text", help="Such as 0 or 0, 2; z for the planes of a stack"
    ),
    Field(
        "channels_b", "Channels to", "text",
        help="Such as 1; 0, 0, 0 shows a grey image to a family that needs equally many",
    ),
    Field(
        "values", "Values", "choice",
        (("auto", "auto"), ("dtype", "by data type"), ("percentile", "0.1 to 99.9 %"),
         ("standard", "mean and spread")),
        help="From which values to which the networks see; auto: of 8 bits all, else percentiles",
    ),
)  # fmt: skip
LEARNING = (
    Field("steps", "Steps", "int", help="Iterations"),
    Field("lr", "Learning rate", help="The highest"),
    Field("lr_discriminators", "… of judges", help="Of the discriminators, if it is another"),
    Field("decay", "Schedule", "choice", _choices(Decay), "How the learning rate falls"),
    Field("hold", "Constant for", "int", help="Units until it falls linearly"),
    Field("every", "Every", "int", help="Units after which it is multiplied by the factor"),
    Field("factor", "Factor", help="For exponential and step"),
    Field("final_lr", "Last share", help="Of the learning rate at the end of the cosine"),
    Field("unit", "Unit", "choice", _choices(Unit), "What the schedule counts"),
    Field("epoch", "Epoch", "int", help="Steps in an epoch"),
    Field("warmup", "Warm-up", "int", help="Steps in which the learning rate rises"),
    Field("optimiser", "Optimiser", "choice", _choices(Optimiser), "How weights are changed"),
    Field("weight_decay", "Weight decay", help="How fast weights shrink that nothing holds up"),
    Field("ema", "Averaging", help="Decay of the averaged weights (EMA); 0: none"),
    Field("clip", "Clip", help="Longest gradient; 0: any"),
    Field(
        "precision",
        "Precision",
        "choice",
        _choices(Precision),
        "What networks compute in; auto: bfloat16 where the device has units for it, else float32",
    ),
    Field("recompute", "Save memory", "choice", NO_YES, "A third slower, the same numbers"),
    Field("keep", "Keep", "choice", _choices(Keep), "The last weights, or the best validated"),
    Field("seed", "Seed", "int", help="Of all that is drawn"),
)
INTERVALS = (
    Field("preview_every", "Preview", "int", help="Steps between previews"),
    Field("validate_every", "Validate", "int", help="Steps between validations"),
    Field("save_every", "Checkpoint", "int", help="Steps between checkpoints"),
)
NO_RECIPE = ("channels_a", "channels_b", "values", "preview_every", "validation")
"""Fields that are not the recipe's own."""
PREVIEW_EVERY = 50
VALIDATION = 0.1


def usual_values(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields are of a recipe, as JSON."""
    sampling = recipe["sampling"]
    values = {**sampling["augment"], **sampling, **recipe["schedule"]}
    values["flips"] = tuple(values["flips"])
    split = recipe.get("split", {}).get("validation", VALIDATION)
    own = {"values": "auto", "preview_every": PREVIEW_EVERY, "validation": split}
    return {**values, **own, "channels_a": "all", "channels_b": "all"}


def shown_fields(decay: str, unit: str) -> dict[str, bool]:
    """Which fields of the schedule mean something."""
    counted = decay in ("linear", "exponential", "step")
    return {
        "hold": decay == "linear",
        "every": decay in ("exponential", "step"),
        "factor": decay in ("exponential", "step"),
        "final_lr": decay == "cosine",
        "unit": counted,
        "epoch": counted and unit == "epochs",
    }


def parse_channels(text: str) -> tuple[int | str, ...] | None:
    """Channels as a person writes them: indices or names with commas between; None: all."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or words == ["all"]:
        return None
    return tuple(int(word) if word.isdecimal() else word for word in words)
