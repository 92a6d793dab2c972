"""A smaller drawing at the size of the plane."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from napari_tincture.diffusion.canvas import Place


def enlarged(image: Tensor, factor: int, bounds: Place) -> Tensor:
    """A rectangle of an image (c, y, x) that many times larger; pixels become squares."""
    # A cubic reaches two pixels far.
    top, left = (max(s.start // factor - 3, 0) for s in bounds)
    bottom, right = (-(-s.stop // factor) + 3 for s in bounds)
    found = functional.interpolate(
        image[None, :, top:bottom, left:right],
        scale_factor=factor,
        mode="bicubic",
        align_corners=False,
    )
    y, x = (
        slice(s.start - factor * n, s.stop - factor * n)
        for s, n in zip(bounds, (top, left), strict=True)
    )
    return found[0, :, y, x]
