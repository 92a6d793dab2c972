"""How much noise there is, as a vector: sines and cosines of it, in the order of each paper's code.

The published denoisers differ in the frequencies and in what stands first; weights that were
trained with one embedding are worthless with another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LONGEST = 10_000
"""Ratio of the highest frequency to the one that follows the lowest (Vaswani et al. 2017)."""


def ddpm_embedding(time: Tensor, channels: int) -> Tensor:
    """Sines, then cosines, of frequencies from 1 to 1/10000, both included.

    Parameters
    ----------
    time
        (b,), the step's index; any real dtype.
    channels
        Even, at least 4.

    Returns
    -------
    Tensor
        (b, channels) float32 in [-1, 1].

    References
    ----------
    Ho et al., Denoising diffusion probabilistic models, 2020, appendix B; also Song et al., DDIM.
    """
    angles = _angles(time, channels // 2, channels // 2 - 1)
    return torch.cat([angles.sin(), angles.cos()], 1)


def guided_embedding(time: Tensor, channels: int) -> Tensor:
    """Cosines, then sines, of frequencies from 1 to 1/10000, the last one left out.

    Takes and gives what `ddpm_embedding` does.

    References
    ----------
    Dhariwal and Nichol, Diffusion models beat GANs on image synthesis, 2021.
    """
    angles = _angles(time, channels // 2, channels // 2)
    return torch.cat([angles.cos(), angles.sin()], 1)


def level_embedding(level: Tensor, channels: int) -> Tensor:
    """Sines, then cosines, of frequencies from 1 to 1/10000, the last one left out.

    Takes and gives what `ddpm_embedding` does, of a noise level in [0, 1] instead of an index.

    References
    ----------
    Chen et al., WaveGrad, 2021, section 3.2; Saharia et al., SR3, 2021, section 2.3.
    """
    angles = _angles(level, channels // 2, channels // 2)
    return torch.cat([angles.sin(), angles.cos()], 1)


def _angles(values: Tensor, count: int, intervals: int) -> Tensor:
    # float32 also in a float16 network: an index of 999 has no room for a fraction there.
    steps = torch.arange(count, dtype=torch.float32, device=values.device) / intervals
    return values.float()[:, None] * torch.exp(-math.log(LONGEST) * steps)
