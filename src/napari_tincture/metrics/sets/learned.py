"""Features that a small network learned from the images at hand, where there are no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.sets._views import Views, as_unit, contrastive_loss
from napari_tincture.progress import CancelToken, Progress, as_callback

if TYPE_CHECKING:
    from os import PathLike

    from napari_tincture.models.features.patch_encoder import PatchEncoder

BATCH = 64
KIND = "napari_tincture.patch_encoder"
RATE = 2e-3
MEASURED = 256
"""Squares of which mean and deviation of each feature are taken."""


class LearnedFeatures:
    """Features of images by a small network, which `learn` trains without any labels.

    Distances of such features compare sets of images of one kind with each other; they are no
    FID or KID as published, which take `InceptionFeatures`.

    Parameters
    ----------
    network
        In the values [0, 1]; it is put in inference mode.
    device
        As in all calls.
    """

    def __init__(self, network: PatchEncoder, *, device: Any = "auto") -> None:
        from napari_tincture.device import resolve_device

        self._device = resolve_device(device)
        self.network = network.eval().to(self._device)

    @classmethod
    def learn(
        cls,
        images: Sequence[npt.NDArray[Any]],
        *,
        side: int = 64,
        steps: int = 300,
        batch: int = 24,
        seed: int = 0,
        device: Any = "auto",
        progress: bool | Progress | None = None,
        cancel: CancelToken | None = None,
    ) -> LearnedFeatures:
        """Train the network to tell squares, and degradations of them, from each other.

        Two views of a square, shifted, flipped and turned but degraded alike (blurred, noisy, of
        lower contrast, pixelated, or not at all), shall be near; views of other squares, and of the
        same square degraded in another way, far (contrastive loss NT-Xent of Chen et al., ICML
        2020, equation 1). So features tell of what makes synthetic images unlike real ones.

        Parameters
        ----------
        images : (c, y, x) or (y, x), uint8 or floating in [0, 1]
            Real ones, at least one and a half squares wide; none of those that are judged later.
        side
            Of a square in pixels.
        steps, batch
            How long it learns, and of how many squares in a step. The defaults take about a minute
            on a processor.
        seed
            Of weights and squares.

        Raises
        ------
        InputError
            If images are missing, too small, of different channels or other values.
        Cancelled
            If `cancel` was raised.
        """
        import torch

        from napari_tincture.device import resolve_device
        from napari_tincture.models.features.patch_encoder import PatchEncoder

        views, where = Views(images, side, seed), resolve_device(device)
        report, token = as_callback(progress), cancel or CancelToken()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = PatchEncoder(views.channels).to(where)
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=max(steps, 2))
        for step in range(steps):
            token.check()
            one, other = (view.to(where) for view in views(batch))
            vectors = network.project(network(torch.cat([one, other])))
            optimiser.zero_grad()
            contrastive_loss(vectors).backward()
            optimiser.step()
            schedule.step()
            report(step + 1, steps)
        with torch.inference_mode():
            network.eval().standardise(views.squares(MEASURED).to(where))
        return cls(network, device=device)

    def __call__(self, images: Any) -> npt.NDArray[np.float32]:
        """Features (b, 384) of images, each of mean 0 and deviation 1 in those it learned from.

        Parameters
        ----------
        images : (b, c, y, x) uint8, or floating in [0, 1]
            As many channels as it learned with.

        Raises
        ------
        InputError
            If they have other axes, channels, data types or values.
        """
        import torch

        array = as_unit(np.asarray(images), 4)
        if array.shape[1] != self.network.channels:
            raise InputError(
                f"The images have {array.shape[1]} channels, these features were learned from "
                f"images with {self.network.channels}."
            )
        found = [np.zeros((0, self.network.length), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(array), BATCH):
                batch = torch.from_numpy(array[start : start + BATCH]).to(self._device)
                found.append(self.network.standardised(batch).cpu().numpy())
        return np.concatenate(found)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the network as ``.safetensors``, whole or not at all."""
        from safetensors.torch import save

        from napari_tincture.durable import write_file

        tensors = {name: t.contiguous().cpu() for name, t in self.network.state_dict().items()}
        told = {"kind": KIND, "channels": str(self.network.channels)}
        write_file(Path(path), lambda file: file.write(save(tensors, told)))
        return Path(path)

    @classmethod
    def load(cls, path: str | PathLike[str], *, device: Any = "auto") -> LearnedFeatures:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is missing, damaged, or something else.
        """
        from safetensors import SafetensorError, safe_open

        from napari_tincture.models.features.patch_encoder import PatchEncoder

        try:
            with safe_open(str(path), "pt") as file:
                told = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} cannot be read as features: {error}.") from error
        if told.get("kind") != KIND:
            raise InputError(f"{path} holds no features that were learned; learn them anew.")
        network = PatchEncoder(int(told["channels"]))
        network.load_state_dict(state)
        return cls(network, device=device)
