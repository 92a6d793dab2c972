"""Learning from pairs: an image and what should come out of it, pixel by pixel."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import ModelCard
from napari_tincture.models.model import Model
from napari_tincture.models.registry import build_network
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.data import Example, load_examples
from napari_tincture.training.evaluate import evaluate
from napari_tincture.training.images.augment import Augment, flip_relief, random_crop, vary_values
from napari_tincture.training.log import CsvLog
from napari_tincture.training.loop import Trainer
from napari_tincture.training.losses import LossTerm
from napari_tincture.training.memory_order import channels_last
from napari_tincture.training.objective import Batch
from napari_tincture.training.objectives.regression import Regression
from napari_tincture.training.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a paired training gives; serialisable to JSON.

    Attributes
    ----------
    card
        The card of the result; its `options` describe the network that is shipped.
    training_options
        Options of the architecture that differ while training (say, batch norm and dropout,
        which are folded away or off afterwards, and a head that is part of the loss).
    data
        Where the pairs are and how they are split, see `training.data`.
    crop, batch
        Side of the square crops in pixels, and how many of them make a step.
    """

    card: ModelCard
    data: Mapping[str, Any]
    losses: tuple[LossTerm, ...]
    schedule: Schedule
    augment: Augment = field(default_factory=Augment)
    training_options: Mapping[str, Any] = field(default_factory=dict)
    crop: int = 256
    batch: int = 4

    @property
    def name(self) -> str:
        """Of the model."""
        return self.card.name

    def to_json(self) -> str:
        """The recipe as one JSON object."""
        values = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            if item.name not in ("card", "losses", "schedule", "augment")
        }
        values["card"] = json.loads(self.card.to_json())
        values["losses"] = [dataclasses.asdict(term) for term in self.losses]
        values["schedule"] = dataclasses.asdict(self.schedule)
        values["augment"] = dataclasses.asdict(self.augment)
        return json.dumps(values, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read a recipe; unknown or missing fields are refused."""
        try:
            values = json.loads(text)
            return cls(
                card=ModelCard.from_json(json.dumps(values.pop("card"))),
                losses=tuple(_tuples(LossTerm, term) for term in values.pop("losses")),
                schedule=_tuples(Schedule, values.pop("schedule")),
                augment=_tuples(Augment, values.pop("augment", {})),
                **values,
            )
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"This is no recipe for paired training: {error}.") from error


def train_paired(
    recipe: Recipe,
    data: Path,
    checkpoint: Path | None = None,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    control: Control | None = None,
    hooks: Hooks | None = None,
    fabric: Any = None,
) -> tuple[Model, list[dict[str, float]]]:
    """Run or resume a recipe.

    Parameters
    ----------
    data
        Folder that holds the folders named in the recipe's `data`.
    checkpoint
        File to resume from, if it exists, and to save to; a table ``.log.csv`` is written
        beside it.
    control, hooks, fabric
        See `training.loop.Trainer`.

    Returns
    -------
    model, history
        The model (figures not yet measured) and what validation gave on the way.
    """
    train = load_examples(recipe.data, data, "train")
    validation = load_examples(recipe.data, data, "validation")
    torch.manual_seed(recipe.schedule.seed)
    objective = Regression({"forward": training_network(recipe)}, recipe.losses)
    trainer = Trainer(
        objective, recipe.schedule, device, recipe=json.loads(recipe.to_json()), fabric=fabric
    )
    batches = Batches(recipe, train, trainer.rank)

    def batch_of(step: int) -> Batch:
        return dict(zip("ab", batches(step), strict=True))

    def validate(networks: Mapping[str, nn.Module]) -> dict[str, float]:
        model = finished_model(recipe, networks["forward"])
        return evaluate(model, validation, device=str(trainer.device))

    networks = trainer.run(
        batch_of,
        validate,
        checkpoint,
        progress,
        cancel,
        control=control,
        hooks=hooks,
        logs=[] if checkpoint is None else [CsvLog(checkpoint.with_suffix(".log.csv"))],
    )
    model = finished_model(recipe, networks["forward"])
    model = model.with_card(model.card.replace(trained_in=trainer.trained_in))
    return model, trainer.history


def training_network(recipe: Recipe) -> nn.Module:
    """The network as it is trained: the card's, with the recipe's training options."""
    card = recipe.card
    return build_network(card.architecture, {**card.options, **recipe.training_options})


def finished_model(recipe: Recipe, trained: nn.Module) -> Model:
    """The network as it is shipped, with normalisations folded into convolutions if asked."""
    from napari_tincture.models.networks.unet import fold_batch_norm

    card = recipe.card
    network = build_network(card.architecture, card.options)
    state = {key: value.detach().cpu() for key, value in trained.state_dict().items()}
    if (
        recipe.training_options.get("norm") == "batch"
        and card.options.get("norm", "none") == "none"
    ):
        state = fold_batch_norm(state)
    network.load_state_dict(state)
    return Model(channels_last(network), card)


class Batches:
    """The batch of every step, a function of the recipe, the step's number and the process."""

    def __init__(self, recipe: Recipe, examples: list[Example], rank: int = 0) -> None:
        if not examples:
            raise InputError("The recipe's training split is empty; check its data section.")
        self.recipe, self.rank = recipe, rank
        self.channels = len(recipe.card.inputs)
        self.pairs = [self._pair(example) for example in examples]
        areas = np.array([pair.shape[1] * pair.shape[2] for pair in self.pairs], float)
        # Between one draw per image and one per pixel: large images show more, but not 10×.
        self.odds = np.sqrt(areas) / np.sqrt(areas).sum()

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Input (b, c, y, x) and target (b, k, y, x) of a step."""
        own = [self.rank] if self.rank else []
        rng = np.random.default_rng([self.recipe.schedule.seed, step, *own])
        crops = [self._crop(rng) for _ in range(self.recipe.batch)]
        images, targets = zip(*crops, strict=True)
        return torch.stack(images), torch.stack(targets)

    def _pair(self, example: Example) -> Tensor:
        columns = slice(*example.columns)
        image = torch.from_numpy(np.ascontiguousarray(example.image[..., columns]))
        target = torch.from_numpy(np.ascontiguousarray(example.target[..., columns]))
        norm = self.recipe.card.normalisation
        gain, offset = norm.affine(norm.measure(image.numpy()))
        values = image.float() * _column(gain) + _column(offset)
        if norm.clip is not None:
            values = values.clamp(*norm.clip)
        return torch.cat([values, target])

    def _crop(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        pair = self.pairs[int(rng.choice(len(self.pairs), p=self.odds))]
        crop = random_crop(pair, self.recipe.crop, self.recipe.augment, rng)
        image, target = flip_relief(
            crop[: self.channels], crop[self.channels :], self.recipe.augment, rng
        )
        return vary_values(image, self.recipe.augment, rng), target


def _column(values: np.ndarray) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)[:, None, None]


def _tuples(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
