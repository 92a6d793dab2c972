"""Images in the values that networks take."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from napari_tincture.models import Model
from napari_tincture.models.card import RGB, Channel, ModelCard
from napari_tincture.models.normalisation import Normalisation


def as_network_sees(rule: Normalisation, channels: Sequence[Channel], rgb: bool = False) -> Model:
    """A model that does nothing but map values as a normalisation says."""
    names: Sequence[str] = RGB if rgb else [channel.name for channel in channels]
    if len(set(names)) < len(names):
        names = [f"{name} {i}" for i, name in enumerate(names)]
    same = tuple(Channel(name) for name in names)
    card = ModelCard(
        name="values", task="stain", architecture="identity", inputs=same, outputs=same,
        normalisation=rule, output_range=rule.span, rgb_output=rgb, stride=1, halo=0, exact=True,
    )  # fmt: skip
    return Model(nn.Identity(), card)
