"""What a model's discriminators say of real images, so that their scores mean something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models import Model
from napari_tincture.models.card import Channel, ModelCard
from napari_tincture.models.directions import real_outputs
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.models.realism import Realism, quantiles_of
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._run import as_model, measured, opened
from napari_tincture.tasks._values import as_network_sees
from napari_tincture.tasks.stain import stain

MOST_SCORES = 2**22
"""Scores that are kept of all images; of more, those on an evenly spaced lattice."""


class _Scoring(nn.Module):
    """Realism's scores: of images (b, c, y, x), or of pairs joined along c, (b, 1, y, x)."""

    def __init__(self, realism: Realism) -> None:
        super().__init__()
        self.realism = realism

    def forward(self, x: Tensor) -> Tensor:
        sources = self.realism.inputs
        return self.realism.scores(x[:, :sources], x[:, sources:])


def calibrate(
    model: str | Model | Any,
    images: Sequence[Any],
    *,
    device: str = "auto",
    tile: Any = "auto",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Model:
    """Learn how a model's discriminators judge real images: "realism" is a share of them then.

    Parameters
    ----------
    model
        A name, a path, or a `Model`, with a discriminator.
    images
        Real images of the output's domain that the model was not trained on, of any size; for
        discriminators that judge pairs, of (image, real image) pairs. Whatever `open_image`
        accepts.
    device, tile
        As in `stain`.

    Returns
    -------
    Model
        The same networks; ``card.calibration`` holds the 101 quantiles, evenly spaced from 0 to
        1, of the averaged scores of all places (every one of up to four million, else those on an
        evenly spaced lattice).

    Raises
    ------
    InputError
        If there is no image, the model has no discriminator of outputs, or pairs are needed.
    """
    found = as_model(model, "stain")
    card = found.card
    if "discriminator" not in card.parts:
        raise InputError(
            f"Model {card.name!r} keeps no discriminator of what it makes, so that nothing can be "
            "calibrated. Choose a model that offers 'realism'."
        )
    realism = Realism.of(found)
    several = [_in_network_s_values(found, image, realism.inputs) for image in images]
    if not several:
        raise InputError("Got no image; give one or more real images of the output's domain.")
    scorer = measured(Model(_Scoring(realism), _scoring_card(card, realism.inputs)))
    step = max(1, math.ceil(math.sqrt(sum(map(_places, several)) / MOST_SCORES)))
    report, token = as_callback(progress), cancel or CancelToken()
    kept: list[NDArray[np.float32]] = []
    for number, image in enumerate(several):
        scores = stain(image, scorer, device=device, tile=tile)

        def keep(index: tuple[slice, ...], block: NDArray[Any]) -> None:
            y, x = (slice(-place.start % step, None, step) for place in index[-2:])
            kept.append(block[..., y, x].ravel())

        scores.stream(keep, progress=share(report, number, len(several)), cancel=token)
    return found.with_card(card.replace(calibration=quantiles_of(kept)))


def _places(image: Raster) -> int:
    return math.prod(n for axis, n in image.sizes.items() if axis != "c")


def _in_network_s_values(model: Model, image: Any, sources: int) -> Raster:
    """What the discriminators are shown of an image, in the values that their networks take."""
    card = model.card
    outputs = as_network_sees(real_outputs(card), card.outputs)
    if not sources:
        return stain(opened(image), outputs)
    if not isinstance(image, list | tuple) or len(image) != 2:
        raise InputError(
            f"The discriminator of {card.name!r} judges pairs: give each as (image, real image)."
        )
    source, real = (opened(one) for one in image)
    inputs = as_network_sees(card.normalisation, card.image_inputs)
    given = stain(source, inputs)
    if sources < len(card.image_inputs):
        given = given.crop({"c": slice(0, sources)})
    return _joined(given, stain(real, outputs))


def _joined(source: Raster, real: Raster) -> Raster:
    """Two images of one grid, the channels of the first before those of the second."""
    parts = [r if "c" in r.axes else _with_channels(r) for r in (source, real)]
    first, second = parts
    c = first.axes.index("c")
    shapes = [tuple(n for axis, n in part.sizes.items() if axis != "c") for part in parts]
    if first.axes != second.axes or shapes[0] != shapes[1]:
        raise InputError(
            f"A pair must lie on one grid; got {source.axes} {source.shape} and {real.axes} "
            f"{real.shape}. Align and crop the images first."
        )
    array = da.concatenate([part.data for part in parts], axis=c)
    return Raster.from_array(array, first.axes, name=source.name)


def _with_channels(raster: Raster) -> Raster:
    at = sum(axis in "t" for axis in raster.axes)
    axes = f"{raster.axes[:at]}c{raster.axes[at:]}"
    return Raster.from_array(da.expand_dims(raster.data, at), axes, name=raster.name)


def _scoring_card(card: ModelCard, sources: int) -> ModelCard:
    count = sources + len(card.outputs)
    return ModelCard(
        name=f"{card.name} scores",
        task="stain",
        architecture="realism",
        inputs=tuple(Channel(f"channel {i}") for i in range(count)),
        outputs=(Channel("score"),),
        normalisation=Normalisation("none"),
    )
