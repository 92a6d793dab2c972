"""A trained network as a model that makes images of label maps."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from napari_tincture.models.card import RGB, Channel, ModelCard
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.training.channels import channels_of, pixel_size_of
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.labels.labelling import Labelling
from napari_tincture.training.objectives.diffusion import denoising_of
from napari_tincture.training.translation import TranslationRecipe


def as_synthesizer(
    recipe: TranslationRecipe, images: Domain, networks: Mapping[str, nn.Module]
) -> Model:
    """A network from label maps to images, or a denoiser that is told of them.

    Parameters
    ----------
    recipe
        Fitted to its images.
    images
        What it makes.
    networks
        Of the recipe, by name.
    """
    trained, others = networks["forward"], {name: networks[name] for name in recipe.kept_beside}
    part, outputs = recipe.networks["forward"], channels_of(images)
    normalisation = images.pictures[0].normalisation
    card = ModelCard(
        name=recipe.name,
        task="synthesize",
        architecture=part.architecture,
        options=dict(part.options),
        inputs=class_channels(recipe.labelling),
        outputs=outputs,
        normalisation=Normalisation("none"),
        target_normalisation=normalisation,
        output_range=normalisation.span,
        rgb_output=tuple(channel.name for channel in outputs) == RGB,
        pixel_size=pixel_size_of(images),
        family=recipe.family,
        parts={name: recipe.networks[name] for name in others},
    )
    if recipe.published.denoises:
        # What it sees of a window is all of the window: attention reaches everywhere.
        stride = getattr(trained, "stride", 1)
        styles = tuple(recipe.options.get("styles") or ())
        denoising = denoising_of(recipe.options)
        card = card.replace(denoising=denoising, stride=stride, exact=False, styles=styles)
    return Model(trained, card, others)


def class_channels(labelling: Labelling) -> tuple[Channel, ...]:
    """The inputs that classes are given in."""
    return tuple(
        Channel(each.name, f"1 where a pixel is {each.name}", each.colour, "class", each.value)
        for each in labelling.classes
    )
