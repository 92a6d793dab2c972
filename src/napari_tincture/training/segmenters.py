"""A trained network as a model that segments."""

from __future__ import annotations

import torch
from torch import nn

from napari_tincture.models.card import ModelCard, Part
from napari_tincture.models.model import Model
from napari_tincture.models.registry import build_network
from napari_tincture.tiling.reach import Reach, take_reach
from napari_tincture.training.channels import channels_of, pixel_size_of
from napari_tincture.training.domains import Domain
from napari_tincture.training.labelling import Labelling
from napari_tincture.training.loop import channels_last
from napari_tincture.training.translation import TranslationRecipe


def as_segmenter(
    recipe: TranslationRecipe, sources: Domain, network: nn.Module, reach: Reach | None = None
) -> Model:
    """A network with its head, on the CPU; the trained one stays as it is.

    Parameters
    ----------
    sources
        Images that it takes.
    reach
        What was measured of another one of the recipe.
    """
    labelling = Labelling.of(recipe.options)
    part = recipe.networks["forward"]
    card = ModelCard(
        name=recipe.name,
        task="segment",
        architecture=part.architecture,
        options={**part.options, "head": labelling.head},
        inputs=channels_of(sources),
        outputs=labelling.outputs,
        normalisation=sources.pictures[0].normalisation,
        pixel_size=pixel_size_of(sources),
        instances=labelling.instances,
        family=recipe.family,
    )
    model = Model(headed(part, labelling, network), card)
    if reach is not None:
        take_reach(model.network, reach)
    return model


def headed(part: Part, labelling: Labelling, trained: nn.Module) -> nn.Module:
    """The same weights under the head that makes probabilities, on the CPU, in inference mode."""
    # Its first weights are overwritten: no generator moves for them.
    with torch.random.fork_rng(devices=[]):
        network = build_network(part.architecture, {**part.options, "head": labelling.head})
    state = {key: value.detach().cpu() for key, value in trained.state_dict().items()}
    network.load_state_dict(state)
    return channels_last(network).eval()
