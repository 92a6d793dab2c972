"""Features of images by the FID Inception network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError

if TYPE_CHECKING:
    from os import PathLike

    import torch

    from napari_tincture.models.features.inception import Inception

BATCH = 16
"""Images that the network sees at once."""


class InceptionFeatures:
    """Features of images, with the weights of the user's file.

    Parameters
    ----------
    weights
        Path of the weights, see `load_inception`; or the network.
    dims
        64, 192, 768 or 2048: which layer. FID and KID as published take 2048.
    device
        As in all calls.

    Raises
    ------
    InputError
        If the file or the layer is not there.
    ModelError
        If the file is of another network.
    DeviceError
        If the device is not there.
    """

    def __init__(
        self,
        weights: str | PathLike[str] | Inception | None = None,
        *,
        dims: int = 2048,
        device: str | torch.device = "auto",
    ) -> None:
        from napari_tincture.device import resolve_device
        from napari_tincture.models.features.inception import Inception, check_dims, load_inception

        self.dims = check_dims(dims)
        self._device = resolve_device(device)
        network = weights if isinstance(weights, Inception) else load_inception(weights)
        self._network = network.eval().to(self._device)

    def __call__(self, images: Any) -> npt.NDArray[np.float32]:
        """Features (b, dims) of images.

        Parameters
        ----------
        images : (b, 3, y, x) uint8, or floating in [0, 1]
            RGB, array or tensor.

        Raises
        ------
        InputError
            If they have other axes, data types or values.
        """
        import torch

        array = _checked(images)
        with torch.inference_mode():
            found = [
                self._network(batch, self.dims).cpu().numpy() for batch in self._batches(array)
            ]
        return np.concatenate([np.zeros((0, self.dims), np.float32), *found])

    def _batches(self, images: npt.NDArray[Any]) -> Iterator[torch.Tensor]:
        import torch

        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH]))
            batch = batch.to(self._device)
            yield batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()


def _checked(images: Any) -> npt.NDArray[Any]:
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[1] != 3 or 0 in array.shape[2:]:
        raise InputError(
            f"Features are taken of images (b, 3, y, x), got shape {array.shape}. Stack images "
            "along a first axis, put colours second, repeat grey images three times."
        )
    if array.dtype.kind == "f":
        low, high = (array.min(), array.max()) if array.size else (0, 0)
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"Floating point images must lie in [0, 1], these in [{low:g}, {high:g}]. Scale "
                "them by their data range, and leave out those with NaN."
            )
    elif array.dtype != np.uint8:
        raise InputError(
            f"Images must be uint8 or floating in [0, 1], these are {array.dtype}. Divide them by "
            "their data range."
        )
    return array
