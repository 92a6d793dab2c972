"""How far images are apart in the features of a network that was trained to recognise things."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_tincture.models.features.vgg import SHARES, Vgg19
from napari_tincture.training.losses import l1


def perceptual(vgg: Vgg19, made: Tensor, target: Tensor) -> Tensor:
    """Mean absolute differences of VGG-19's features, weighted by `SHARES`; a scalar.

    Parameters
    ----------
    made, target
        (b, 3, y, x) in [-1, 1], which are shown as they are, as pix2pixHD and SPADE do; the target
        gets no gradient.

    References
    ----------
    Johnson et al., Perceptual losses for real-time style transfer, ECCV 2016; Wang et al.,
    pix2pixHD, CVPR 2018, section 3.2.
    """
    vgg = vgg.to(made.device)
    with torch.no_grad():
        wanted = vgg(target)
    pairs = zip(SHARES, vgg(made), wanted, strict=True)
    return torch.stack([share * l1(found, goal) for share, found, goal in pairs]).sum()
