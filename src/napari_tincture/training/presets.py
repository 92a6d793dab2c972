"""Recipes with everything filled in, from a family, a size and two domains."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.training.images.augment import Augment
from napari_tincture.training.images.sampling import Sampling
from napari_tincture.training.objective import Published, find_objective
from napari_tincture.training.objectives import cyclegan
from napari_tincture.training.schedule import Schedule
from napari_tincture.training.sizes import Size, pick
from napari_tincture.training.stages import coarse_to_fine_parts, usual_stages
from napari_tincture.training.translation import TranslationRecipe

CROPS: Mapping[Size, int] = {"tiny": 128, "standard": 256, "large": 256}
_LEARNS = {"paired": "pairs", "images": "images of one domain"}
STEPS: Mapping[Size, int] = {"tiny": 2000, "standard": 30_000, "large": 100_000}


def preset(
    family: str,
    size: Size = "standard",
    *,
    in_channels: int = 3,
    out_channels: int = 3,
    name: str = "",
    steps: int | None = None,
    crop: int | None = None,
    batch: int | None = None,
    networks: Mapping[str, Any] | None = None,
    coarse_to_fine: bool = False,
    levels: int = 1,
    **changes: Any,
) -> TranslationRecipe:
    """The published settings of a family, for images of given channels.

    Parameters
    ----------
    family
        A file of `napari_tincture.training.objectives`.
    size
        "tiny" for a CPU, "standard" as published, "large" for a large GPU.
    steps
        How long to learn; the published trainings count epochs of their data instead.
    crop, batch
        Side of the crops in pixels, and how many make a step.
    networks
        Further arguments of the family's ``parts``, such as ``light``, ``n_res`` or ``scales``.
    coarse_to_fine, levels
        Of families without pairs: let the generators translate images of ``1 / 2**levels`` the
        sides, and enhancers add the details, in stages. Crops are as many times as large, so that
        the coarse generators see what they would else.
    **changes
        Fields of `Schedule`, `Sampling`, `Augment` or `TranslationRecipe` that are to differ.

    Raises
    ------
    InputError
        If the family is unknown, or does not take a setting or these channels.
    """
    module = find_objective(family)
    published: Published = module.PUBLISHED
    halvings = levels if coarse_to_fine else 0
    if halvings and published.data != "unpaired":
        raise InputError(
            f"{published.title} learns from {_LEARNS[published.data]}; coarse_to_fine is for "
            "families that learn from unpaired images of two domains. "
            "For pairs choose pix2pixHD of size 'large', which has a local enhancer."
        )
    if published.equal_channels and in_channels != out_channels:
        raise InputError(
            f"{published.title} needs equally many channels in both domains, got {in_channels} and "
            f"{out_channels}. Choose channels=[0, 0, 0] for a grey domain beside a colour one, or "
            "another family."
        )
    side, length = crop or published.crops * pick(size, CROPS), steps or pick(size, STEPS)
    schedule = Schedule(**_schedule(published, length, changes))
    usual = {"flips": (False, published.flips), **published.augment}
    augment = Augment(**_taken(Augment, changes, **usual))
    side = crop or side << halvings
    usual = {"batch": 1, **published.sampling, **({} if batch is None else {"batch": batch})}
    sampling = Sampling(
        **_taken(Sampling, changes, **usual, crop=side, augment=augment, seed=schedule.seed)
    )
    options = dict(networks or {})
    if "img_size" in inspect.signature(module.parts).parameters:
        options.setdefault("img_size", side >> halvings)
    try:
        parts = module.parts(size, in_channels, out_channels, **options)
    except TypeError as error:
        raise InputError(f"{published.title} does not take {options}: {error}.") from error
    fields = _taken(TranslationRecipe, changes, initialisation=published.initialisation)
    if halvings:
        parts = coarse_to_fine_parts(parts, levels, published.noise)
        fields.setdefault("stages", usual_stages(schedule.steps))
    if changes:
        raise InputError(f"A recipe of {published.title} has no setting {', '.join(changes)}.")
    if in_channels != out_channels and module.build is cyclegan.build:
        fields["weights"] = {"identity": 0.0, **fields.get("weights", {})}
    return TranslationRecipe(
        name=name or f"{family} {size}", family=family, networks=parts, schedule=schedule,
        sampling=sampling, **fields,
    )  # fmt: skip


def _schedule(published: Published, steps: int, changes: dict[str, Any]) -> dict[str, Any]:
    """The published schedule, its linear decay over the second half."""
    values = {**published.schedule, "steps": steps, **_taken(Schedule, changes)}
    if values.get("decay") == "linear":
        epoch = values.get("epoch") if values.get("unit") == "epochs" else 1
        values.setdefault("hold", steps // (epoch or 1) // 2)
    values.setdefault("validate_every", max(steps // 10, 1))
    values.setdefault("save_every", max(min(steps // 20, 500), 1))
    return values


def _taken(kind: Any, changes: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The fields of a class among the changes, which are taken out of these."""
    names = set(kind.__dataclass_fields__) & set(changes)
    return {**values, **{name: changes.pop(name) for name in names}}


def for_channels(recipe: TranslationRecipe, in_channels: int, out_channels: int) -> bool:
    """Whether a recipe's networks take images of so many channels."""
    options = recipe.networks["forward"].options
    noise = recipe.published.noise
    return (
        int(options.get("in_channels", 3)) == in_channels + noise
        and int(options.get("out_channels", 3)) == out_channels
    )


def longer(recipe: TranslationRecipe, steps: int) -> TranslationRecipe:
    """The same recipe with another number of steps, which a checkpoint of it goes on to."""
    return recipe.replace(schedule=replace(recipe.schedule, steps=steps))
