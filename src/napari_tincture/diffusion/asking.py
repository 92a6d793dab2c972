"""Asking a denoiser: in its own terms, guided, in the precision and on the device of a run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.diffusion.schedules import NoiseSchedule, from_card
from napari_tincture.errors import InputError
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.layers.map_memory import MapMemory
from napari_tincture.out_of_memory import out_of_memory
from napari_tincture.torch_settings import float32_products

CPU = torch.device("cpu")
REDUCED = {"bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = ("float32", "tf32", *REDUCED)


def _go_on() -> None:
    """Never stop."""


@dataclass(frozen=True)
class Asking:
    """A denoiser, with what stays the same over a run.

    Attributes
    ----------
    network
        Of `napari_tincture.models.denoisers`, on the device and in eval mode.
    guidance
        How far the result is led from what an empty map gives towards what the map gives; 1: not
        at all (Ho and Salimans, Classifier-free diffusion guidance, 2022, equation 6).
    style
        (1,) number of a style, or (1, d) vector; None for networks without.
    precision
        "float32", "tf32", "bfloat16" or "float16"; what is given and asked is float32 always.
    remembers
        Bytes that a drawing may keep of what the network's layers make of its map.
    check
        Called before each evaluation; what it raises ends the run.
    """

    network: nn.Module
    denoising: Denoising
    guidance: float = 1.0
    style: Tensor | None = None
    device: torch.device = CPU
    precision: str = "float32"
    remembers: int = 0
    check: Callable[[], None] = _go_on

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(
                f"precision={self.precision!r}: expected one of {', '.join(map(repr, PRECISIONS))}."
            )
        if not self.guidance >= 1:
            raise InputError(
                f"guidance={self.guidance!r}: expected 1 (none) or more; 1.5 to 3 is usual."
            )
        if self.guidance > 1 and not self.denoising.guided:
            raise InputError(
                f"guidance={self.guidance:g}: this model never learned images of empty maps, which "
                "guidance needs. Use guidance=1, or a model that was trained with dropped maps."
            )

    @property
    def schedule(self) -> NoiseSchedule:
        """That of the card."""
        return from_card(self.denoising.schedule)

    @property
    def evaluations(self) -> int:
        """How often the network runs for one answer."""
        return 2 if self.guidance > 1 else 1

    @contextmanager
    def session(self) -> Iterator[None]:
        """Inference mode and the precision asked for, around any number of runs."""
        kind: Any = "tf32" if self.precision == "tf32" else "ieee"
        with ExitStack() as stack:
            stack.enter_context(float32_products(kind))
            stack.enter_context(torch.inference_mode())
            yield

    def __call__(
        self, x: Tensor, told: float, condition: Tensor, maps: MapMemory | None = None,
        place: Hashable = None,
    ) -> Tensor:  # fmt: skip
        """The network's output (n, c', y, x) float32 for noisy windows (n, c, y, x).

        Parameters
        ----------
        told
            What the network is told of the noise: the step's index or the noise level.
        condition
            (n, k, y, x) of the same windows.
        maps, place
            A memory, in which the condition is found again by its place.

        Raises
        ------
        OutOfMemory
            If the device's memory does not suffice.
        """
        self.check()
        with out_of_memory():
            x, condition = (
                v.to(self.device).contiguous(memory_format=torch.channels_last)
                for v in (x, condition)
            )
            time = torch.full((len(x),), told, device=self.device)
            maps = maps or MapMemory(0)
            with maps.of(place):
                found = self._run(x, time, condition)
            if self.guidance > 1:
                with maps.of(x.shape):
                    empty = self._run(x, time, torch.zeros_like(condition))
                # Learned variances are taken as they are (Wang et al. 2022, SDM).
                c = x.shape[1]
                lead = empty[:, :c] + self.guidance * (found[:, :c] - empty[:, :c])
                found = torch.cat([lead, found[:, c:]], dim=1)
        return found

    def told(self, schedule: NoiseSchedule, time: float) -> float:
        """What the network is told at a step's index."""
        return schedule.level(time) if self.denoising.time == "level" else float(time)

    def _run(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        more: tuple[Tensor, ...] = ()
        if self.style is not None:
            more = (self.style.to(self.device).expand(len(x), *self.style.shape[1:]),)
        dtype = REDUCED.get(self.precision)
        reduced = nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)
        with reduced:
            found: Tensor = self.network(x, time, condition, *more)
        return found.float()
