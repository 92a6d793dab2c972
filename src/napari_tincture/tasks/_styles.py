"""Styles of synthesis: one that the model knows, that of an image, or one drawn from the seed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.diffusion.drawing import Start
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.errors import InputError
from napari_tincture.grid import mirror_index
from napari_tincture.io.open import open_image
from napari_tincture.models.encoders.spade_style import drawn_styles, style_of
from napari_tincture.models.model import Model
from napari_tincture.models.networks.spade import FirstMap
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.tiling.reach import reach_of, take_reach

ENCODER = "encoder"
"""The part of a model that reads styles from images."""


def chosen_style(model: Model, style: Any) -> int | Raster | None:
    """What `style` means: a number of the model's styles, an image, or None.

    Raises
    ------
    InputError
        If it is a number or name that the model does not have, or no image.
    """
    if style is None or isinstance(style, Raster):
        return style
    if isinstance(style, int | np.integer) and not isinstance(style, bool):
        return _number(model, int(style))
    if isinstance(style, str) and style in model.card.styles:
        return model.card.styles.index(style) + 1
    if isinstance(style, str | PathLike) and not _may_exist(style):
        raise InputError(
            f"style={str(style)!r} is no file, and no style of model {model.card.name!r}, which "
            f"has {_known(model)}. Give one of them, or an image."
        )
    return open_image(style)


def image_start(model: Model, image: Raster, strength: float) -> Callable[[Subject], Start]:
    """Begin planes with an image, noised (Meng et al., SDEdit, ICLR 2022, algorithm 1)."""
    if not 0 < strength < 1:
        raise InputError(f"style_strength={strength}: expected a number above 0 and below 1.")
    seen, stride = _values(model, image), model.card.stride or 1

    def start(subject: Subject) -> Start:
        fitted = _covering(seen, subject.shape)
        sides = [-(-n // stride) * stride for n in subject.shape]
        rows, columns = (mirror_index(0, n, m) for n, m in zip(sides, subject.shape, strict=True))
        return Start(fitted[:, rows][:, :, columns].contiguous(), strength)

    return start


def in_style(model: Model, style: int | Raster | None, seed: int) -> Model:
    """A model that draws at once, in a style; itself if it knows none and none is wanted.

    Parameters
    ----------
    style
        An image whose style is read by the model's encoder; 0: the middle of all styles; None: one
        drawn from the seed, as noise is for denoisers, so that another seed gives another image.

    Raises
    ------
    InputError
        If the model knows no styles, has no encoder, or cannot read the image.
    """
    length = getattr(model.network, "z_dim", None)
    name = model.card.name
    if length is None:
        if style is None or style == 0:
            return model
        raise InputError(
            f"Model {name!r} makes one image of a map and knows no styles; leave out the style."
        )
    if isinstance(style, Raster):
        vector = _encoded(model, style)
    elif style is None:
        vector = drawn_styles(length, seed)
    else:
        vector = torch.zeros(1, length)
    styled = _with_style(model.network, vector)
    take_reach(styled, reach_of(model))
    # Not opened again from its file elsewhere: that knows no style.
    return Model(styled, model.card.replace(parts={}))


def _with_style(network: nn.Module, vector: Tensor) -> nn.Module:
    """The same weights with a style of their own; the network itself stays as it is."""
    styled = copy.copy(network)
    styled.style = vector
    return styled


def _encoded(model: Model, image: Raster) -> Tensor:
    """The style of an image, (1, z_dim)."""
    name = model.card.name
    if ENCODER not in model.card.parts:
        raise InputError(
            f"Model {name!r} keeps no encoder that could read the style of {image.name!r}. Leave "
            "out the style: another seed gives another one. Or import the model with its encoder."
        )
    first = getattr(model.network, "fc", None)
    if model.card.options.get("norm") == "instance" and isinstance(first, FirstMap):
        raise InputError(
            f"Model {name!r} has instance norms, which take away a style of the whole image: "
            f"{image.name!r} would change nothing. Leave out the style."
        )
    return style_of(model.part(ENCODER), _values(model, image)[None])


def _values(model: Model, image: Raster) -> Tensor:
    """A style image (c, y, x) as the network makes images, float32."""
    card = model.card
    known = card.target_normalisation or Normalisation("dtype", target=card.output_range)
    values = np.asarray(image.compute())
    if "c" in image.axes:
        values = np.moveaxis(values, image.axes.index("c"), 0)
    planes = values.reshape(-1, *values.shape[-2:])
    if len(planes) != len(card.outputs):
        raise InputError(
            f"The style image {image.name!r} has {len(planes)} channels or planes, model "
            f"{card.name!r} makes {len(card.outputs)}. Choose one plane of as many channels."
        )
    if not np.isfinite(planes).all():
        raise InputError(
            f"The style image {image.name!r} holds NaN or infinite values. Replace them, for "
            "instance with numpy.nan_to_num."
        )
    gain, offset = known.affine(known.measure(planes))
    seen = planes * gain[:, None, None] + offset[:, None, None]
    if known.clip is not None:
        seen = seen.clip(*known.clip)
    return torch.from_numpy(np.ascontiguousarray(seen, np.float32))


def _covering(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """The middle of an image (c, y, x), enlarged or reduced evenly until it covers a plane."""
    if image.shape[1:] == shape:
        return image
    factor = max(n / m for n, m in zip(shape, image.shape[1:], strict=True))
    size = [max(round(m * factor), n) for n, m in zip(shape, image.shape[1:], strict=True)]
    large = functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    y, x = ((m - n) // 2 for n, m in zip(shape, size, strict=True))
    return large[:, y : y + shape[0], x : x + shape[1]]


def _number(model: Model, style: int) -> int:
    """A style's number, if the model has it; 0 is none."""
    if not 0 <= style <= int(model.card.options.get("styles", 0)):
        raise InputError(f"style={style}: model {model.card.name!r} has {_known(model)}.")
    return style


def _known(model: Model) -> str:
    card = model.card
    count = int(card.options.get("styles", 0))
    if card.styles:
        return f"the styles {', '.join(card.styles)}"
    return f"styles 1 to {count}, and 0 for none" if count else "no styles by number or name"


def _may_exist(path: str | PathLike[str]) -> bool:
    return "://" in str(path) or Path(path).expanduser().exists()
