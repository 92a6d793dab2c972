"""What is done to images that an autoencoder has to mend: noise, holes, and particles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from napari_tincture.errors import InputError

Mode = Literal["plain", "denoising", "masked"]


@dataclass(frozen=True, slots=True)
class Corruption:
    """How images are changed before they are shown.

    Attributes
    ----------
    mode
        "plain": not at all. "denoising": Gaussian noise everywhere, then impulses. "masked":
        holes, then particles that lie on the image.
    noise
        Standard deviation of the Gaussian noise, in values as the network takes them.
    impulses
        Probability that a pixel is the least or the greatest value of its image, as often the one
        as the other (salt and pepper).
    holes
        Probability that a square is filled with the image's mean; squares lie side by side from a
        random place on.
    hole
        Side of the squares, and longest axis of particles, in pixels.
    particles
        How many ellipses of one random value each, between the least and the greatest of the
        image, are pasted into an image.

    Raises
    ------
    InputError
        If a value is out of range, or nothing would be masked.

    References
    ----------
    Vincent et al., Stacked denoising autoencoders, JMLR 2010, section 3.3 (noise); Pathak et al.,
    Context encoders, CVPR 2016; He et al., Masked autoencoders, CVPR 2022 (holes on a lattice).
    """

    mode: Mode = "denoising"
    noise: float = 0.1
    impulses: float = 0.05
    holes: float = 0.25
    hole: int = 16
    particles: int = 4

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise InputError(
                f"Unknown mode {self.mode!r}: choose one of {', '.join(get_args(Mode))}."
            )
        shares = 0 <= self.impulses <= 1 and 0 <= self.holes < 1
        if not (shares and self.noise >= 0 and self.hole >= 1 and self.particles >= 0):
            raise InputError(
                f"{self}: expected impulses from 0 to 1, holes from 0 to less than 1, noise and "
                "particles of at least 0, and holes of at least a pixel."
            )
        if self.mode == "masked" and not (self.holes or self.particles):
            raise InputError("mode='masked' masks nothing: give holes or particles a number.")

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Change images, by torch's generator of their device.

        Parameters
        ----------
        image
            (b, c, y, x) float.

        Returns
        -------
        changed, masked
            (b, c, y, x), and (b, 1, y, x) float: 1 where it was masked, 0 elsewhere; all channels
            of a pixel alike.
        """
        if self.mode == "denoising":
            return self._noisy(image), torch.zeros_like(image[:, :1])
        if self.mode == "masked":
            changed, masked = self._with_holes(image)
            return self._with_particles(changed, masked, *_limits(image))
        return image, torch.zeros_like(image[:, :1])

    def _noisy(self, image: Tensor) -> Tensor:
        low, high = _limits(image)
        noisy = image + self.noise * torch.randn_like(image)
        draw = torch.rand_like(image[:, :1])
        noisy = torch.where(draw < self.impulses / 2, low, noisy)
        return torch.where(draw > 1 - self.impulses / 2, high, noisy)

    def _with_holes(self, image: Tensor) -> tuple[Tensor, Tensor]:
        height, width = image.shape[2:]
        rows, columns = (-(-length // self.hole) + 1 for length in (height, width))
        drawn = torch.rand(len(image), 1, rows, columns, device=image.device) < self.holes
        full = functional.interpolate(drawn.to(image.dtype), scale_factor=self.hole)
        top, left = torch.randint(self.hole, (2,)).tolist()
        masked = full[..., top : top + height, left : left + width]
        mean = image.mean((2, 3), keepdim=True)
        return torch.where(masked > 0, mean, image), masked

    def _with_particles(
        self, image: Tensor, masked: Tensor, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor]:
        height, width = image.shape[2:]
        y = torch.arange(height, device=image.device)[:, None]
        x = torch.arange(width, device=image.device)
        for _ in range(self.particles):
            draws = torch.rand(len(image), 4, 1, 1, 1, device=image.device).unbind(1)
            short, long = (0.5 + draw * max(self.hole - 1, 0) / 2 for draw in draws[:2])
            away = ((y - draws[2] * height) / short) ** 2 + ((x - draws[3] * width) / long) ** 2
            value = torch.lerp(low, high, torch.rand_like(low))
            image = torch.where(away < 1, value, image)
            masked = torch.where(away < 1, 1.0, masked)
        return image, masked


def _limits(image: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest value of each channel, (b, c, 1, 1)."""
    return image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
