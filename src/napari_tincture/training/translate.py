"""From a recipe of a translation to a finished model: train, measure, calibrate, describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import RGB, Channel, ModelCard, Part
from napari_tincture.models.model import Model
from napari_tincture.models.realism import Realism, quantiles_of
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.tiling.reach import with_reach
from napari_tincture.training.channels import channels_of, pixel_size_of
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.fitting import fitted
from napari_tincture.training.held import choose_held
from napari_tincture.training.images.domains import Domain, domain_statistics
from napari_tincture.training.images.material import Material, Portion, read_windows, windows
from napari_tincture.training.images.prefetch import prefetched
from napari_tincture.training.images.sampling import Sampler
from napari_tincture.training.judge import MOST, Judge
from napari_tincture.training.labels.calibration import label_quantiles
from napari_tincture.training.labels.denoising_judge import DenoisingJudge
from napari_tincture.training.labels.judge import LabelJudge
from napari_tincture.training.labels.segmenters import as_segmenter
from napari_tincture.training.labels.synthesizers import as_synthesizer
from napari_tincture.training.log import CsvLog, Log
from napari_tincture.training.loop import Trainer
from napari_tincture.training.memory_order import channels_last
from napari_tincture.training.networks import act_in_place, check_crops
from napari_tincture.training.objective import Batch
from napari_tincture.training.stages import Staged, StagedTrainer
from napari_tincture.training.starts import begin_from
from napari_tincture.training.translation import TranslationRecipe

TESTED = 64
"""Squares of the test images that the card's figures are means over."""
CALIBRATED = 32
"""Squares of real images whose scores the discriminators' are set against."""


@dataclass(frozen=True)
class Run:
    """How a training is run; none of it decides what it gives.

    Attributes
    ----------
    checkpoint
        File to resume from, if it exists, and to save to; a table ``.log.csv`` is written beside.
    device
        Where to train.
    fabric
        A launched ``lightning_fabric.Fabric``, for several devices.
    logs
        Further ones.
    """

    checkpoint: Path | None = None
    device: str = "cpu"
    progress: Progress | None = None
    cancel: CancelToken | None = None
    control: Control | None = None
    hooks: Hooks | None = None
    fabric: Any = None
    logs: tuple[Log, ...] = field(default_factory=tuple)


def train_translation(
    recipe: TranslationRecipe, material: Material, run: Run | None = None
) -> tuple[Model, list[dict[str, float]]]:
    """Run or resume a recipe.

    Returns
    -------
    model, history
        The finished model, on the CPU; and what validation gave on the way.

    Raises
    ------
    InputError
        If images do not suit the recipe, or a checkpoint is another recipe's.
    TrainingError
        If a loss is not a number; the last checkpoint stays.
    Cancelled
        If the token was set.
    """
    run = run or Run()
    recipe, material = fitted(recipe, material)
    trainer = make_trainer(recipe, run)
    judge = make_judge(recipe, material.validation, trainer.device)
    sampler = material.train.sampler(recipe.sampling, trainer.rank, trainer.peers.size)
    logs = list(run.logs)
    if run.checkpoint is not None:
        logs.append(CsvLog(run.checkpoint.with_suffix(".log.csv")))
    with _Batches(sampler, recipe.schedule.steps) as batches:
        networks = trainer.run(
            batches, judge if judge.sees else None, run.checkpoint, run.progress, run.cancel,
            control=run.control, hooks=run.hooks, logs=logs,
        )  # fmt: skip
    model = finished(recipe, material, networks, run.device, trainer.begun, trainer.trained_in)
    return model, trainer.history


def make_judge(
    recipe: TranslationRecipe, part: Portion, device: Any = "cpu", most: int = MOST
) -> Judge | LabelJudge | DenoisingJudge:
    """Who measures what networks of a recipe make of images that they do not learn from."""
    if recipe.published.denoises:
        return DenoisingJudge(recipe, part, device, most)
    if recipe.published.labels and not recipe.published.synthesizes:
        return LabelJudge(recipe, part, device)
    return Judge(recipe, part, device, most)


def make_trainer(recipe: TranslationRecipe, run: Run) -> Trainer:
    """Networks with their first weights, and what makes them learn."""
    check_crops(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.schedule.seed)
        networks = recipe.build_networks()
    begun = begin_from(networks, recipe) if recipe.start else ""
    act_in_place(networks, recipe)
    objective = recipe.build_objective(networks)
    settings: dict[str, Any] = {
        "recipe": recipe.to_dict(),
        "fabric": run.fabric,
        "as_now": lambda begun: TranslationRecipe.from_dict(begun).to_dict(),
    }
    if isinstance(objective, Staged):
        settings["stages"] = recipe.stages
        trainer: Trainer = StagedTrainer(objective, recipe.schedule, run.device, **settings)
    else:
        trainer = Trainer(objective, recipe.schedule, run.device, **settings)
    trainer.begun = begun
    return trainer


class _Batches(ExitStack):
    """The batches of all steps, prepared in a thread from the first that is asked for."""

    def __init__(self, sampler: Sampler, steps: int) -> None:
        super().__init__()
        self._sampler, self._steps = sampler, steps
        self._next: Callable[[int], Batch] | None = None

    def __call__(self, step: int) -> Batch:
        if self._next is None:
            coming = range(step, self._steps)
            self._next = self.enter_context(prefetched(self._sampler, coming))
        batch = dict(self._next(step))
        # What objectives call the weights of pairs, whether or not there is more than pairs.
        if "pair_weight" in batch:
            batch["weight"] = batch.pop("pair_weight")
        return batch


def finished(
    recipe: TranslationRecipe,
    material: Material,
    networks: Mapping[str, nn.Module],
    device: str = "cpu",
    begun: str = "",
    trained_in: str = "",
) -> Model:
    """The model with all that its card should say; whole fields are stained on `device`.

    `begun`: what weights the training began with; `trained_in`: the precision of its steps.
    """
    kept = {name: channels_last(network.eval()).cpu() for name, network in networks.items()}
    model = with_reach(as_model(recipe, material, kept))
    fields = described(recipe, material, kept)
    if recipe.published.denoises:
        statistics = domain_statistics(_known(material.train.sources))
        card = model.card.replace(training_statistics=statistics, start=begun, **fields)
        return model.with_card(card.replace(**recipe.card))
    held, compared = choose_held(model, material.validation, device)
    figures = {f"validation {name}": value for name, value in compared.items()}
    card = model.card.replace(
        calibration=calibration(model, material),
        training_statistics=domain_statistics(_known(material.train.sources)),
        start=begun,
        trained_in=trained_in,
        **{**fields, "held": held, "figures": {**fields["figures"], **figures}},
    )
    return model.with_card(card.replace(**recipe.card))


def as_model(
    recipe: TranslationRecipe, material: Material, networks: Mapping[str, nn.Module]
) -> Model:
    """Networks as a model that can be run; nothing is measured."""
    sources, targets = _known(material.train.sources), _known(material.train.targets)
    forward = recipe.networks["forward"]
    others = {name: recipe.networks[name] for name in recipe.kept_beside}
    if recipe.published.synthesizes:
        return as_synthesizer(recipe, sources, networks)
    if recipe.published.labels:
        judges = {name: networks[name] for name in others}
        return as_segmenter(recipe, sources, networks["forward"], judges)
    noise = [
        Channel(f"latent {index}" if index else "latent", source="noise")
        for index in range(recipe.published.noise)
    ]
    outputs = channels_of(targets)
    target = targets.pictures[0].normalisation
    card = ModelCard(
        name=recipe.name,
        task="stain",
        architecture=forward.architecture,
        options=dict(forward.options),
        inputs=(*channels_of(sources), *noise),
        outputs=outputs,
        normalisation=sources.pictures[0].normalisation,
        target_normalisation=target,
        output_range=target.span,
        rgb_output=tuple(channel.name for channel in outputs) == RGB,
        pixel_size=pixel_size_of(sources),
        family=recipe.family,
        parts={name: Part(part.architecture, dict(part.options)) for name, part in others.items()},
        extras=dict(getattr(networks["forward"], "extras", {})),
    )
    return Model(networks["forward"], card, {name: networks[name] for name in others})


def calibration(model: Model, material: Material) -> tuple[float, ...]:
    """Quantiles of what discriminators say of real images that were held back.

    Empty without such images, or without discriminators.
    """
    part = material.validation if material.validation.targets is not None else material.test
    if "realism" not in model.card.offers or part.targets is None:
        return ()
    if model.card.task in ("segment", "synthesize"):
        return label_quantiles(model, part.pairs) if part.pairs is not None else ()
    realism = Realism.of(model)
    paired = realism.inputs > 0
    if paired and part.pairs is None:
        return ()
    targets = part.pairs.b if paired and part.pairs is not None else part.targets
    side = _side(model, 256)
    places = windows(targets.pictures, side, CALIBRATED)
    images = read_windows(targets, places)
    sources = read_windows(part.pairs.a, places) if paired and part.pairs is not None else images
    with torch.inference_mode():
        scores = [realism.scores(a[None], b[None]) for a, b in zip(sources, images, strict=True)]
    return quantiles_of([score.flatten()[::16].numpy() for score in scores])


def _side(model: Model, wanted: int) -> int:
    """A side that all networks of a model accept."""
    stride = model.card.stride or 1
    return max(wanted // stride, 1) * stride


def described(
    recipe: TranslationRecipe, material: Material, networks: Mapping[str, nn.Module]
) -> dict[str, Any]:
    """Fields of the card that the data and the figures fill."""
    part = material.test if material.test.sources is not None else material.validation
    judge = make_judge(recipe, part, most=TESTED)
    figures = judge(networks) if judge.sees else {}
    figures.pop("score", None)
    which = "test" if part is material.test else "validation"
    return {
        "figures": {f"{which} {name}": value for name, value in figures.items()},
        "split": material.note,
        "recipe": recipe.to_dict(),
        "citation": recipe.published.citation,
    }


def _known(domain: Domain | None) -> Domain:
    if domain is None:
        raise InputError("The training part holds no images of one of the domains.")
    return domain
