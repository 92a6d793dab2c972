"""Whether synthetic images are worth anything as training images of a segmentation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture.device import resolve_device
from napari_tincture.durable import write_json
from napari_tincture.errors import InputError
from napari_tincture.io.identity import content
from napari_tincture.io.provenance import plain
from napari_tincture.models import Model
from napari_tincture.progress import CancelToken, Progress, as_callback, share, unheard
from napari_tincture.tasks._many import described_setting
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks._synthetic_pairs import (
    Painting,
    joined,
    maps_of,
    planes_of_maps,
    synthetic_pairs,
)
from napari_tincture.tasks.synthesis_benchmark import KINDS, SynthesisBenchmark
from napari_tincture.tasks.train import chosen_recipe
from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import Material, Portion, open_material
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.translate import Run, train_translation
from napari_tincture.training.translation import TranslationRecipe

if TYPE_CHECKING:
    from os import PathLike

TEST = "test "


def benchmark_synthesis(
    model: str | Model | Any,
    data: str | PathLike[str],
    recipe: Any,
    *,
    work: str | PathLike[str],
    images: Mapping[str, Any] | None = None,
    real_share: float = 1.0,
    maps: Any = None,
    variants: int = 1,
    balance: bool = True,
    repeats: int = 3,
    seed: int = 0,
    device: str = "auto",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    **settings: Any,
) -> SynthesisBenchmark:
    """Train a segmentation on real, on synthetic and on both kinds of images; test it on real ones.

    All three learn equally long, with the same settings, validation and test images, which are
    real. Trainings, images and figures are kept in `work`: the same call goes on where it stopped.

    Parameters
    ----------
    model
        Of synthesis: a name, a path, or a `Model`. It must not have learned from the test images.
    data
        Folder that holds the files which the recipe names.
    recipe
        Of a segmentation, as `train` takes it, with test images of its own.
    work
        Folder for what is made; of this comparison alone.
    images
        Instead of files that the recipe names, as in `train`.
    real_share
        Share of the real training images that is used, evenly spread, one at least; above 0.
    maps
        Label maps, with the recipe's values, that synthetic images are made of, as `open_image`
        accepts them, one or a list. None: those of the real training images that are used.
    variants
        Synthetic images of each map.
    balance
        Of both kinds together, repeat the real images so that half of the crops are theirs; False:
        each image counts alike.
    repeats
        Trainings of each kind, with seeds that follow each other.
    seed
        Of the first training beyond the recipe's own seed, and of the first image.
    device, progress, cancel
        As in `train`; progress counts the steps of all trainings, synthesis aside.
    **settings
        Further arguments of `synthesize`, such as ``steps``, ``sampler`` or ``classes``.

    Returns
    -------
    SynthesisBenchmark
        Figures of the test images, and the gain in points; also written to ``benchmark.json``.

    Raises
    ------
    InputError
        If the recipe is of no segmentation, there are no test images, `work` holds another
        comparison, or an argument cannot be right.
    Cancelled
        If `cancel` was raised; what was learned up to the last checkpoint is kept.
    """
    chosen, found = _segmentation(chosen_recipe(recipe)), as_model(model, "synthesize")
    _check(real_share, variants, repeats)
    chosen, material = fitted(chosen, open_material(chosen, Path(data), images))
    real = _some(_pairs(material.train, "training"), real_share)
    _pairs(material.test, "test")
    drawn = maps_of(real) if maps is None else planes_of_maps(maps)
    told = {
        "model": found.card.name, "recipe": chosen.name, "real_share": real_share,
        "maps": len(drawn), "variants": variants, "balance": balance, "repeats": repeats,
        "seed": seed,
        **{name: described_setting(value) for name, value in settings.items()},
    }  # fmt: skip
    folder = Path(work)
    _begin(
        folder,
        {
            "fingerprint": found.fingerprint, "recipe": chosen.to_dict(), "told": told,
            "maps": [plain(content(plane, whole=True)) for plane in drawn],
            "images": [_signed(each) for each in (real, material.validation, material.test)],
        },
    )  # fmt: skip
    token, report = cancel or CancelToken(), as_callback(progress)
    painting = Painting(found, folder / "images", variants, seed, {**settings, "device": device})
    files = painting.paint(drawn, unheard, token)
    made = synthetic_pairs(files, drawn, variants, real)
    kinds = {"real": real, "synthetic": made, "both": joined(real, made, balance=balance)}
    materials = {
        kind: replace(material, train=Portion(pairs=pairs)) for kind, pairs in kinds.items()
    }
    run = Run(None, str(resolve_device(device)), report, token)
    figures = _figures(chosen, materials, folder, run, range(seed, seed + repeats))
    counts = {kind: len(pairs.a.pictures) for kind, pairs in kinds.items()}
    counts["both"] = counts["real"] + counts["synthetic"]
    result = SynthesisBenchmark(figures, counts, told)
    result.save(folder / "benchmark.json")
    return result


def _segmentation(recipe: Any) -> TranslationRecipe:
    """The recipe, if it is of a segmentation."""
    if isinstance(recipe, TranslationRecipe):
        published = recipe.published
        if published.labels and not published.synthesizes:
            return recipe
    raise InputError(
        f"Recipe {recipe.name!r} is of no segmentation that learns from labels; give one of the "
        "family 'segmentation'."
    )


def _check(real_share: float, variants: int, repeats: int) -> None:
    if not (0 < real_share <= 1 and variants >= 1 and repeats >= 1):
        raise InputError(
            f"real_share={real_share}, variants={variants}, repeats={repeats}: expected a share "
            "above 0 and up to 1, and at least one of each other."
        )


def _pairs(portion: Portion, what: str) -> Pairs:
    if portion.pairs is None or not portion.pairs.pictures:
        raise InputError(
            f"The recipe has no {what} images; name some in its split, such as "
            "split={'test': ['name']}."
        )
    return portion.pairs


def _signed(given: Portion | Pairs) -> list[Any]:
    """What tells real images and their labels from others."""
    pairs = given.pairs if isinstance(given, Portion) else given
    domains = () if pairs is None else (pairs.a, pairs.b)
    return [
        plain(content(picture.inputs.lanes[0].raster))
        for domain in domains
        for picture in domain.pictures
    ]


def _some(pairs: Pairs, part: float) -> Pairs:
    """Evenly spread images of the pairs."""
    images: Sequence[Sequence[int]] = list(pairs.images.values())
    count = max(round(part * len(images)), 1)
    # The middle ones of as many equal parts.
    chosen = ((np.arange(count) + 0.5) * len(images) / count).astype(int)
    return pairs.subset([place for number in chosen for place in images[number]])


def _begin(folder: Path, what: Mapping[str, Any]) -> None:
    """Note what is compared, or check that a folder holds this very comparison."""
    note = folder / "comparison.json"
    plain = json.loads(json.dumps(what))
    if note.is_file():
        if json.loads(note.read_text("utf-8")) != plain:
            raise InputError(
                f"{folder} holds another comparison (see {note.name} there); give another folder "
                "as work=, or the same model, recipe and settings."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InputError(f"{folder} holds other files; give an empty or new folder as work=.")
    write_json(note, plain)


def _figures(
    recipe: TranslationRecipe,
    materials: Mapping[str, Material],
    folder: Path,
    run: Run,
    seeds: Sequence[int],
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Train all kinds with all seeds; figures by kind and name, one of each seed."""
    figures: dict[str, dict[str, tuple[float, ...]]] = {kind: {} for kind in KINDS}
    trainings = [(kind, number) for number in range(len(seeds)) for kind in KINDS]
    for place, (kind, number) in enumerate(trainings):
        own = replace(
            run,
            checkpoint=folder / f"{kind}-{number}.checkpoint",
            progress=share(run.progress or unheard, place, len(trainings)),
        )
        for name, value in _tested(_seeded(recipe, kind, seeds[number]), materials[kind], own):
            figures[kind][name] = (*figures[kind].get(name, ()), value)
    return figures


def _seeded(recipe: TranslationRecipe, kind: str, seed: int) -> TranslationRecipe:
    schedule = replace(recipe.schedule, seed=recipe.schedule.seed + seed)
    sampling = replace(recipe.sampling, seed=recipe.sampling.seed + seed)
    return recipe.replace(name=f"{recipe.name} {kind}", schedule=schedule, sampling=sampling)


def _tested(recipe: TranslationRecipe, material: Material, run: Run) -> list[tuple[str, float]]:
    """Figures of the real test images, of a training that is finished, gone on with, or begun."""
    assert run.checkpoint is not None
    out = run.checkpoint.with_suffix(".safetensors")
    if out.is_file():
        model = Model.from_file(out)
    else:
        model, _ = train_translation(recipe, material, run)
        model.save(out)
    figures = model.card.figures
    return [(n.removeprefix(TEST), float(v)) for n, v in figures.items() if n.startswith(TEST)]
