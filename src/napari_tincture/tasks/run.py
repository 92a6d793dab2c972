"""Doing what a recipe says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks.recipe import DATASET, OF_MODELS, Recipe, opened

if TYPE_CHECKING:
    from napari_tincture.models.model import Model
    from napari_tincture.tasks.batch_report import BatchReport
    from napari_tincture.tasks.comparison import Comparison
    from napari_tincture.tasks.outputs import Outputs

    Result = Raster | Outputs | BatchReport | Comparison | Model

REPORTS = (".html", ".pdf")
TABLES = {".csv": "to_csv", ".md": "to_markdown", ".tex": "to_latex"}


def run(
    recipe: Any, *images: Any, progress: bool | Progress | None = None,
    cancel: CancelToken | None = None, client: Any = None,
) -> Result:  # fmt: skip
    """Do what a recipe says.

    Parameters
    ----------
    recipe : Recipe, mapping, JSON text or path
    *images
        In the place of the recipe's first ones, as `open_image` takes them.
    progress, cancel, client
        As `Raster.save` takes them.

    Returns
    -------
    Raster or Outputs
        Of tasks that make images: lazy, or what was written, opened.
    BatchReport
        Of a folder.
    Comparison
        Of "compare".
    Model
        Of "train".

    Raises
    ------
    InputError
        If the recipe or an image cannot be read, or settings do not fit.
    """
    found = Recipe.load(recipe)
    found.check()
    how = {"progress": progress, "cancel": cancel}
    if found.task == "train":
        return _trained(found, how)
    if found.folder:
        return _batch(found, images, {**how, "client": client})
    given = opened(found.images, images)
    settings = with_images(found.settings, given)
    if found.task == "compare":
        return _compared(found, given, {**settings, **how, "client": client})
    if not given:
        raise InputError(f"There is no image to {found.task}: name one in the recipe, or give it.")
    from importlib import import_module

    task = getattr(import_module(f"napari_tincture.tasks.{found.task}"), found.task)
    result: Raster | Outputs = task(given[0], found.model, **settings)
    if not found.save_to:
        return result
    return _saved(result, found, {**how, "client": client})


def with_images(value: Any, images: Sequence[Any]) -> Any:
    """Settings with the images that ``{"source": number}`` stand for.

    Raises
    ------
    InputError
        If there are not so many.
    """
    if isinstance(value, Mapping):
        if "source" in value and isinstance(value["source"], int):
            if not 0 <= value["source"] < len(images):
                raise InputError(
                    f"A setting speaks of image {value['source'] + 1}, and there are {len(images)}."
                )
            return images[value["source"]]
        return {name: with_images(each, images) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_images(each, images) for each in value]
    return value


def _saved(result: Raster | Outputs, recipe: Recipe, how: Mapping[str, Any]) -> Raster | Outputs:
    from napari_tincture.tasks.outputs import Outputs

    paths = result.save(recipe.save_to, overwrite=recipe.overwrite, **how)
    if isinstance(paths, Mapping):
        return Outputs({name: open_image(path) for name, path in paths.items()}, None)
    return open_image(paths)


def _batch(recipe: Recipe, images: Sequence[Any], how: Mapping[str, Any]) -> BatchReport:
    from napari_tincture.tasks.batch import batch

    if recipe.task not in (*OF_MODELS, DATASET):
        raise InputError(
            "A recipe of a folder stains, segments or synthesizes each of its images; it does not "
            f"{recipe.task}."
        )
    if images:
        raise InputError("A recipe of a folder takes no other images: empty its folder first.")
    if recipe.task == DATASET:
        return _data_set(recipe, how)
    existing: Any = "overwrite" if recipe.overwrite else "skip"
    return batch(
        recipe.folder, recipe.task, recipe.model, recipe.save_to, existing=existing,
        **how, **recipe.settings,
    )  # fmt: skip


def _data_set(recipe: Recipe, how: Mapping[str, Any]) -> BatchReport:
    from napari_tincture.tasks.make_dataset import make_dataset

    own = {name: value for name, value in how.items() if name != "client"}
    return make_dataset(recipe.folder, recipe.model, recipe.save_to, **own, **recipe.settings)


def _compared(recipe: Recipe, images: Sequence[Raster], settings: Mapping[str, Any]) -> Comparison:
    from napari_tincture.tasks.compare import compare

    own = dict(settings)
    own.pop("reference", None)
    place = recipe.replace(images=(None,) * len(images)).reference
    if place < 1:
        raise InputError("Comparing takes an image and a reference at least.")
    target = Path(recipe.save_to)
    if recipe.save_to and target.suffix not in (*REPORTS, *TABLES):
        raise InputError(
            f"Comparisons are written as {', '.join((*REPORTS, *TABLES))}, got {target.name!r}."
        )
    found = compare(images[:place], images[place], **own)
    if target.suffix in REPORTS:
        found.report(target)
    elif recipe.save_to:
        getattr(found, TABLES[target.suffix])(target)
    return found


def _trained(recipe: Recipe, how: Mapping[str, Any]) -> Model:
    from napari_tincture.tasks.train import train

    settings = dict(recipe.settings)
    own = settings.pop("recipe")
    return train(own, out=recipe.save_to or None, **settings, **how)
