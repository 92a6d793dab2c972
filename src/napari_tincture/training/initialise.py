"""Random weights that published GAN trainings start from."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Generator, Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.layers.spectral_norm import SpectralConv2d, SpectralLinear

Kind = Literal["normal", "xavier", "kaiming", "orthogonal"]
_LAYERS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear,
    SpectralConv2d, SpectralLinear,
)  # fmt: skip
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def initialise(
    network: nn.Module,
    kind: Kind = "normal",
    gain: float = 0.02,
    generator: Generator | None = None,
) -> None:
    """Draw new weights of convolutions and linear layers, in place; their biases become 0.

    Batch norms get weights N(1, gain²) and biases 0. Whatever else there is stays as it is.

    Parameters
    ----------
    kind
        ``"normal"``: N(0, gain²). ``"xavier"``: N(0, gain² · 2 / (fan in + fan out)).
        ``"kaiming"``: N(0, 2 / fan in), without the gain. ``"orthogonal"``: times the gain.

    References
    ----------
    Isola et al., pix2pix, CVPR 2017, appendix 6.2 (normal, 0.02).
    """
    if kind not in get_args(Kind):
        raise InputError(
            f"Unknown initialisation {kind!r}: choose one of {', '.join(get_args(Kind))}."
        )
    for module in network.modules():
        if isinstance(module, _LAYERS):
            _draw(_raw_weight(module), kind, gain, generator)
        elif isinstance(module, _BATCH_NORMS) and module.affine:
            nn.init.normal_(module.weight, 1.0, gain, generator=generator)
        else:
            continue
        bias = getattr(module, "bias", None)
        if bias is not None:
            nn.init.zeros_(bias)


def _draw(weight: Tensor, kind: Kind, gain: float, generator: Generator | None) -> None:
    if kind == "normal":
        nn.init.normal_(weight, 0.0, gain, generator=generator)
    elif kind == "xavier":
        nn.init.xavier_normal_(weight, gain, generator=generator)
    elif kind == "kaiming":
        nn.init.kaiming_normal_(weight, generator=generator)
    else:
        nn.init.orthogonal_(weight, gain, generator=generator)


def _raw_weight(module: nn.Module) -> Tensor:
    # Under a norm of the weights, such as the spectral one, `weight` is computed from another.
    parametrizations = getattr(module, "parametrizations", None)
    if parametrizations is not None and "weight" in parametrizations:
        raw = parametrizations["weight"].original
    else:
        raw = getattr(module, "weight_orig", None)
    found = module.weight if raw is None else raw
    if not isinstance(found, torch.Tensor):
        raise InputError(f"{type(module).__name__} has no weight to initialise.")
    return found
