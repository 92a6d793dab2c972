"""One network on one device in one precision: batches of windows in, batches of outputs out.

The engine works on its own copy of the network, so that a job never changes the user's: neither
its mode and running statistics nor the memory layout and type of its weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_tincture.device import resolve_device
from napari_tincture.errors import ModelError, TinctureError
from napari_tincture.grid import Tile
from napari_tincture.models import Model
from napari_tincture.models.layers.fixed_size import blanks, fixed_parts, holding
from napari_tincture.models.layers.in_place import activate_in_place
from napari_tincture.out_of_memory import out_of_memory
from napari_tincture.precision import resolve_precision
from napari_tincture.tiling.context import Values, frozen
from napari_tincture.tiling.reach import Reach
from napari_tincture.tiling.trim import TrimPoint, trim_points, trimmed
from napari_tincture.torch_settings import float32_products

if TYPE_CHECKING:
    from napari_tincture.tiling.whole import PlaneValues

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Engine:
    """Runs a model's network on windows.

    Parameters
    ----------
    model
        The model; its network is copied.
    reach
        What was measured of the network.
    device, precision
        As in the public calls, "auto" included.

    Attributes
    ----------
    check
        Called before each layer; what it raises ends the run.
    module
        Its copy of the network.

    Raises
    ------
    DeviceError
        If the device or precision is not available.
    """

    def __init__(
        self, model: Model, reach: Reach, device: str = "auto", precision: str = "auto"
    ) -> None:
        self.model = model
        self.reach = reach
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, device)
        self._dtype = _DTYPES.get(self.precision, torch.float32)
        network = copy.deepcopy(model.network).requires_grad_(False)
        network = network.to(device=self.device, dtype=self._dtype)
        # channels_last nearly halves a convolution on the CPU.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._fixed = fixed_parts(network)
        with holding(network, blanks(network)):
            activate_in_place(network, self._example())
        self.check: Callable[[], None] = _go_on
        for module in network.modules():
            if not any(module.children()):
                module.register_forward_pre_hook(lambda *_: self.check())
        self.module = network
        self._network: Callable[[Tensor], Tensor] = network

    def _example(self) -> Tensor:
        """A small window (1, c, y, x) of noise that the network accepts."""
        geometry = self.reach.geometry
        side = geometry.extended(64) + 2 * geometry.margin
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(1, len(self.model.card.inputs), side, side, generator=generator)
        return noise.to(self.device, self._dtype, memory_format=torch.channels_last)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Inference mode and the precision asked for, around any number of runs."""
        kind: Any = "tf32" if self.precision == "tf32" else "ieee"
        with ExitStack() as stack:
            stack.enter_context(float32_products(kind))
            stack.enter_context(torch.inference_mode())
            yield

    def network(self, batch: Tensor) -> Tensor:
        """Run the network on (b, c, y, x) as it is measured, whatever surrounds it.

        Raises
        ------
        OutOfMemory
            If the device's memory does not suffice.
        ModelError
            If the network fails otherwise.
        """
        with _network_errors(self.model.card.name, batch):
            return self._network(batch)

    def load(self, window: npt.NDArray[Any], values: PlaneValues) -> Tensor:
        """Normalise a window (c, y, x) of a plane: (1, c, y, x) on the device.

        What the network can find at one size only is held at the plane's values from now on.
        """
        for part, held in zip(self._fixed, values.held, strict=True):
            part.held = held
        with out_of_memory():
            return self.normalise(window, values.stats)

    def normalise(self, window: npt.NDArray[Any], stats: npt.NDArray[np.float64]) -> Tensor:
        """Image values (c, y, x) as the network takes them, (1, c, y, x) on the device."""
        values = torch.from_numpy(_for_torch(window))[None]
        values = values.to(self.device, non_blocking=True)
        return self.as_input(self.model.normalise(values, stats[None]))

    def as_input(self, values: Tensor) -> Tensor:
        """Normalised values (b, c, y, x) on the device, in the precision and layout of the run."""
        values = values.to(self.device, self._dtype)
        return values.contiguous(memory_format=torch.channels_last)

    def run(self, windows: list[Tensor], values: Values) -> list[Tensor]:
        """Run equal-sized windows as one batch; outputs (c', y, x) in float32 on the device.

        Raises
        ------
        OutOfMemory
            If the device's memory does not suffice.
        """
        batch = torch.cat(windows) if len(windows) > 1 else windows[0]
        with frozen(self.reach.sites, values) if values else nullcontext():
            result = self.network(batch)
        return list(result.float())

    def run_cores(
        self, windows: list[Tensor], values: Values, tiles: Sequence[Tile]
    ) -> list[Tensor]:
        """Run windows that lie alike around their cores; what each tile keeps, (c', y, x).

        Raises
        ------
        OutOfMemory
            If the device's memory does not suffice.
        """
        points = () if values else self._trim_points(tiles[0])
        if not points:
            outputs = self.run(windows, values)
            return [o[(slice(None), *t.inner)] for o, t in zip(outputs, tiles, strict=True)]
        batch = torch.cat(windows) if len(windows) > 1 else windows[0]
        with trimmed(points, tiles[0]) as cut:
            result = self.network(batch)
        seen = [cut.tile(tile) for tile in tiles]
        return [o[(slice(None), *t.inner)].float() for o, t in zip(result, seen, strict=True)]

    def _trim_points(self, tile: Tile) -> tuple[TrimPoint, ...]:
        """Where to cut; nowhere for a window without a halo, whose maps are needed whole."""
        if tile.y.window_size == tile.y.core_size and tile.x.window_size == tile.x.core_size:
            return ()
        return trim_points(self.model.network, len(self.model.card.inputs), self.reach)

    def to_host(self, output: Tensor) -> npt.NDArray[np.float32]:
        """Copy an output to a contiguous array (c', y, x)."""
        result: npt.NDArray[np.float32] = output.float().cpu().contiguous().numpy()
        return result


def _go_on() -> None:
    """Never stop a network half-way."""


@contextmanager
def _network_errors(name: str, batch: Tensor) -> Iterator[None]:
    """`out_of_memory`, and say which model failed on what."""
    try:
        with out_of_memory():
            yield
    except TinctureError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        height, width = batch.shape[-2:]
        raise ModelError(
            f"The network of model {name!r} failed on a window of {height} × {width} pixels: "
            f"{error}. If the image is smaller than the network allows, enlarge it; else the model "
            "does not fit its card."
        ) from error


def _for_torch(window: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Contiguous and writable; types that torch cannot convert everywhere as float32."""
    if window.dtype.kind == "u" and window.dtype.itemsize > 1:
        return window.astype(np.float32, order="C")
    return np.require(window, requirements=("C", "W"))
