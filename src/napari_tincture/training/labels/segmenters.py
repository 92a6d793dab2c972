"""A trained network as a model that segments."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from napari_tincture.models.card import ModelCard
from napari_tincture.models.model import Model
from napari_tincture.models.registry import build_network
from napari_tincture.tiling.reach import with_reach
from napari_tincture.training.channels import channels_of, pixel_size_of
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.labels.labelling import Labelling
from napari_tincture.training.memory_order import channels_last
from napari_tincture.training.translation import TranslationRecipe


def as_segmenter(
    recipe: TranslationRecipe,
    sources: Domain,
    trained: nn.Module,
    others: Mapping[str, nn.Module] | None = None,
) -> Model:
    """A network under the head that makes probabilities, on the CPU.

    The trained one stays as it is, and the model does not follow it, but see `refill`.

    Parameters
    ----------
    sources
        Images that it takes.
    others
        Networks of the recipe that are kept with it, by name; not copied.
    """
    labelling = recipe.labelling
    part = recipe.networks["forward"]
    options = {**part.options, "head": labelling.head}
    card = ModelCard(
        name=recipe.name,
        task="segment",
        architecture=part.architecture,
        options=options,
        inputs=channels_of(sources),
        outputs=labelling.outputs,
        normalisation=sources.pictures[0].normalisation,
        pixel_size=pixel_size_of(sources),
        instances=recipe.card.get("instances", labelling.instances),
        family=recipe.family,
        parts={name: recipe.networks[name] for name in others or {}},
    )
    # Its first weights are overwritten: no generator moves for them.
    with torch.random.fork_rng(devices=[]):
        network = build_network(part.architecture, options)
    model = Model(channels_last(network), card, others)
    refill(model, trained)
    return with_reach(model)


def refill(model: Model, trained: nn.Module) -> None:
    """Give a model the weights that its network has after more training.

    What was measured of the network stays known.
    """
    state = {key: value.detach().cpu() for key, value in trained.state_dict().items()}
    model.network.load_state_dict(state)


def probabilities(logits: Tensor, labelling: Labelling) -> Tensor:
    """What the head makes of logits (…, c, y, x)."""
    if labelling.head == "softmax":
        return logits.softmax(dim=-3)
    return logits.sigmoid()
