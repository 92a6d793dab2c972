"""Styles of synthesis: a number that the model knows, or an image to start from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from napari_tincture.diffusion.drawing import Start
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.errors import InputError
from napari_tincture.grid import mirror_index
from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.raster import Raster


def style_number(model: Model, style: int) -> int:
    """A style's number, if the model has it; 0 is none."""
    known = int(model.card.options.get("styles", 0))
    if not 0 <= style <= known:
        which = f"styles 1 to {known}, and 0 for none" if known else "no styles"
        raise InputError(f"style={style}: model {model.card.name!r} has {which}.")
    return style


def image_start(model: Model, image: Raster, strength: float) -> Callable[[Subject], Start]:
    """Begin planes with an image, noised (Meng et al., SDEdit, ICLR 2022, algorithm 1)."""
    if not 0 < strength < 1:
        raise InputError(f"style_strength={strength}: expected a number above 0 and below 1.")
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
    stride = card.stride or 1

    def start(subject: Subject) -> Start:
        sides = [-(-n // stride) * stride for n in subject.shape]
        rows, columns = (mirror_index(0, n, m) for n, m in zip(sides, seen.shape[1:], strict=True))
        whole = seen[:, rows][:, :, columns].astype(np.float32)
        return Start(torch.from_numpy(np.ascontiguousarray(whole)), strength)

    return start
