"""A history of generated images, so that a discriminator does not forget earlier ones."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from napari_tincture.errors import InputError


class ImagePool:
    """Gives an image back, or, half of the time once it is full, exchanges it for an older one.

    Parameters
    ----------
    size
        Number of images that are kept; 0 gives every image back.
    seed
        Of the draws: per image `uniform(0, 1)` of python's generator, and where that exceeds
        1/2, `randint(0, size - 1)`.

    References
    ----------
    Shrivastava et al., CVPR 2017, section 2.3; 50 images as in CycleGAN, ICCV 2017, section 4.
    """

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        if size < 0:
            raise InputError(f"An image pool keeps 0 or more images, got {size}.")
        self.size = size
        self._images: list[Tensor] = []
        self._random = random.Random(seed)

    def query(self, images: Tensor) -> Tensor:
        """Images (b, c, y, x) for the discriminator, as many as came, without gradient.

        Kept images of another size or number of channels, from an earlier stage of a training,
        are forgotten.
        """
        images = images.detach()
        if self.size == 0:
            return images
        if self._images and self._images[0].shape != images.shape[1:]:
            self._images.clear()
        return torch.stack([self._exchange(image) for image in images])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self._images) < self.size:
            self._images.append(image.clone())
            return image
        if self._random.uniform(0, 1) <= 0.5:
            return image
        place = self._random.randint(0, self.size - 1)
        older, self._images[place] = self._images[place], image.clone()
        return older.to(image)

    def state_dict(self) -> dict[str, Any]:
        """Images and the state of the draws, as tensors that need no code to be loaded."""
        _, draws, _ = self._random.getstate()
        images = [image.clone() for image in self._images]
        return {"images": images, "draws": torch.tensor(draws, dtype=torch.int64)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave.

        Raises
        ------
        InputError
            If it holds more images than this pool does.
        """
        if len(state["images"]) > self.size:
            raise InputError(
                f"The saved image pool holds {len(state['images'])} images, this one only "
                f"{self.size}; resume with the pool size that the training began with."
            )
        self._images = [image.clone() for image in state["images"]]
        version = self._random.getstate()[0]
        self._random.setstate((version, tuple(state["draws"].tolist()), None))
