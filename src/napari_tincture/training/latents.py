"""What a latent channel is filled with: random values, or what an encoder makes of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

Draw = Callable[[str, tuple[int, ...]], Tensor]
"""Latent values of a shape (n, 1, y, x), for the images of a domain: "x" or "y"."""


class Normal:
    """Draws N(0, 1) at each pixel."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Generator().manual_seed(seed)

    def __call__(self, domain: str, shape: tuple[int, ...]) -> Tensor:
        """Values of a shape, on the CPU."""
        return torch.randn(shape, generator=self._random)

    def state_dict(self) -> dict[str, Any]:
        """Where the draws are."""
        return {"draws": self._random.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self._random.set_state(state["draws"].cpu())


class Memory:
    """The latest training images, of which some are picked at random."""

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        self.size = size
        self._images: list[Tensor] = []
        self._random = Generator().manual_seed(seed)

    def pick(self, images: Tensor, count: int) -> Tensor:
        """Remember images (b, c, y, x), then give (count, c, y, x) of all that are remembered.

        Those of another size, from an earlier stage of a training, are forgotten.
        """
        if self._images and self._images[0].shape != images.shape[1:]:
            self._images.clear()
        self._images = [*self._images, *images.detach().clone()][-self.size :]
        places = torch.randint(len(self._images), (count,), generator=self._random)
        return torch.stack([self._images[place].to(images) for place in places.tolist()])

    def state_dict(self) -> dict[str, Any]:
        """Images, and where the draws are."""
        return {
            "images": [image.clone() for image in self._images],
            "draws": self._random.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self._images = [image.clone() for image in state["images"]][-self.size :]
        self._random.set_state(state["draws"].cpu())
