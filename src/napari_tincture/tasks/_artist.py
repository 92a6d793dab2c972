"""Drawing planes with a denoiser: settings, devices, and what to do when memory is short."""

from __future__ import annotations

import copy
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from napari_tincture.device import describe_device, memory_budget, resolve_device
from napari_tincture.diffusion.asking import Asking
from napari_tincture.diffusion.canvas import Place
from napari_tincture.diffusion.drawing import Drawn, Pen, Start
from napari_tincture.diffusion.keeping import Keeping
from napari_tincture.diffusion.noise import NoiseField
from napari_tincture.diffusion.sampling import Sampler, find_sampler, sampler_options
from napari_tincture.diffusion.schedules import from_card
from napari_tincture.diffusion.subjects import Subject
from napari_tincture.errors import TinctureWarning
from napari_tincture.io.identity import signature
from napari_tincture.io.provenance import plain
from napari_tincture.io.tile_cache import scratch_folder
from napari_tincture.models.model import Model
from napari_tincture.out_of_memory import OutOfMemory, out_of_memory
from napari_tincture.precision import resolve_precision
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks._drawing_memory import COPIES, OF_FREE, OF_MAP, DrawingMemory
from napari_tincture.tasks._look import Plane
from napari_tincture.tasks._scene import Show

TOGETHER = 4
"""Windows that a GPU is given at once; a processor does them one by one."""
PAUSE = 0.4
"""Seconds between two previews."""
REMEMBERED = 4
"""What part of the free memory may hold what the network makes of the map."""


class Source(Protocol):
    """What planes show."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""

    def subject(self, plane: Plane) -> Subject:
        """What one of them shows."""

    def identity(self) -> dict[str, Any]:
        """What tells it from others, JSON-serialisable."""


@dataclass(frozen=True)
class How:
    """Arguments of `synthesize` that decide about the numbers, checked.

    Attributes
    ----------
    style
        (1,) number of a style, or None.
    start
        Gives what a plane begins with instead of noise, or None.
    image
        The image that planes begin with, and how much is left of it, or None.
    """

    sampler: str
    steps: int
    seed: int
    guidance: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    precision: str = "auto"
    style: Tensor | None = None
    start: Callable[[Subject], Start] | None = None
    image: tuple[Raster, float] | None = None

    def settings(self) -> dict[str, Any]:
        """As JSON has them."""
        return {
            "sampler": self.sampler, "steps": self.steps, "seed": self.seed,
            "guidance": self.guidance, "sampler_options": dict(self.options),
        }  # fmt: skip


class Drawer:
    """Draws planes of a source with a denoiser.

    Attributes
    ----------
    shown
        What planes showed when they were drawn.
    """

    def __init__(self, model: Model, source: Source, how: How) -> None:
        self.model, self.source, self.how = model, source, how
        self._sampler = _sampler(how, model)
        self._device = resolve_device(how.device)
        self._precision = resolve_precision(how.precision, how.device)
        self._network: nn.Module | None = None
        self._lock = threading.Lock()
        self._events: list[str] = []
        self.shown: dict[Plane, Subject] = {}
        NoiseField(how.seed)
        # Wrong settings are refused now and not in the middle of a run.
        self._sampler.times(self._asking(nn.Identity()).schedule, how.steps)

    def draw(
        self, plane: Plane, progress: Progress, cancel: CancelToken, show: Show, keeping: Keeping
    ) -> Drawn:
        """Draw a plane; where memory is short, with smaller windows."""
        subject = self.shown.get(plane) or self.source.subject(plane)
        start = self.start(subject)

        def work(pen: Pen) -> Drawn:
            if pen.in_strips(pen.whole(subject)):
                self._events.append(f"larger than memory: plane {list(plane)} in strips")
            return pen.draw(subject, start)

        drawn: Drawn = self.trying(work, plane, progress, cancel, show, keeping)
        # Somebody may paint on the map afterwards.
        self.shown[plane] = subject
        return drawn

    def start(self, subject: Subject) -> Start | None:
        """What a plane begins with instead of noise."""
        return None if self.how.start is None else self.how.start(subject)

    def remember(self, plane: Plane) -> Subject:
        """What a drawn plane shows."""
        if plane not in self.shown:
            self.shown[plane] = self.source.subject(plane)
        return self.shown[plane]

    def trying(
        self, work: Callable[[Pen], Any], plane: Plane, progress: Progress, cancel: CancelToken,
        show: Show, keeping: Keeping,
    ) -> Any:  # fmt: skip
        """Work with a pen, and again with a smaller one where memory does not suffice."""
        pen = replace(self._pen(plane, progress, cancel, show), keeping=keeping)
        while True:
            try:
                with out_of_memory():
                    return work(pen)
            except OutOfMemory as error:
                pen = self._smaller(pen, error)

    def facts(self) -> dict[str, Any]:
        """Where it was drawn, and what happened."""
        device = self._device
        return {
            "device": "cpu" if device.type == "cpu" else describe_device(device),
            "precision": self._precision,
            "threads": torch.get_num_threads(),
            "events": list(self._events),
        }

    def identity(self) -> dict[str, Any]:
        """Model, settings and label maps."""
        return {
            "model": self.model.fingerprint,
            "settings": plain(self.how.settings()),
            "style": self._style(),
            "shows": self.source.identity(),
            "device": self._device.type,
            "precision": self._precision,
        }

    def _style(self) -> Any:
        """What tells one style from another."""
        if self.how.image is not None:
            image, strength = self.how.image
            return {"image": signature(image), "strength": strength}
        return None if self.how.style is None else self.how.style.tolist()

    def _pen(self, plane: Plane, progress: Progress, cancel: CancelToken, show: Show) -> Pen:
        with self._lock:
            if self._network is None:
                network = copy.deepcopy(self.model.network).requires_grad_(False)
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self._network = network.to(self._device)
        asking = replace(self._asking(self._network), check=cancel.check)
        seed = NoiseField(self.how.seed, sum(i * 4096**n for n, i in enumerate(plane[::-1])))
        return Pen(
            asking, self._sampler, self.how.steps, seed, len(self.model.card.outputs),
            self.model.card.stride or 1, 1 if self._device.type == "cpu" else TOGETHER,
            progress=progress, preview=Shown(show), most=self._most,
        )  # fmt: skip

    @property
    def _most(self) -> int:
        """Pixels that memory can hold while they are drawn at once."""
        return free_memory(self._device) // (4 * COPIES * len(self.model.card.outputs))

    def _asking(self, network: nn.Module) -> Asking:
        assert self.model.card.denoising is not None
        return Asking(
            network, self.model.card.denoising, self.how.guidance, self.how.style, self._device,
            self._precision, memory_budget(self._device) // REMEMBERED,
        )  # fmt: skip

    def _smaller(self, pen: Pen, error: OutOfMemory) -> Pen:
        """Less at once, which changes nothing; then smaller windows, which does."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if pen.asking.remembers:
            self._events.append("memory ran out: nothing of the map is remembered")
            return replace(pen, asking=replace(pen.asking, remembers=0))
        if pen.together > 1:
            self._events.append(f"memory ran out: {pen.together // 2} windows at once")
            return replace(pen, together=pen.together // 2)
        if pen.sampler.local and pen.most != 0:
            self._events.append("memory ran out: drawn strip by strip")
            return replace(pen, most=0)
        card = pen.asking.denoising
        window = card.window // 2 // pen.stride * pen.stride
        if window < 2 * pen.stride:
            raise error
        overlap = min(card.overlap, window // 4 // pen.stride * pen.stride)
        said = f"memory ran out: windows of {window} instead of {card.window} pixels"
        self._events.append(said)
        warnings.warn(
            f"{said[0].upper()}{said[1:]}; the image is another than with large ones.",
            TinctureWarning,
            stacklevel=2,
        )
        smaller = replace(card, window=window, overlap=overlap)
        return replace(pen, asking=replace(pen.asking, denoising=smaller))


def _sampler(how: How, model: Model) -> Sampler:
    """The sampler, with what the model's card says where nobody says otherwise."""
    found = find_sampler(how.sampler, **how.options)
    denoising = model.card.denoising
    said = None if denoising is None else denoising.variance
    if said == "large" and "variance" in sampler_options(how.sampler):
        return find_sampler(how.sampler, **{"variance": said, **how.options})
    return found


class Shown:
    """Hands on what a drawing looks like, but not after every step.

    Parameters
    ----------
    show
        Takes values (c, y, x) and their place in the plane.
    """

    def __init__(self, show: Show) -> None:
        self._show, self._last = show, 0.0

    def __call__(self, image: Tensor, bounds: Place, factor: int) -> None:
        """Hand on a rectangle of a drawing that is `factor` times smaller than the plane."""
        if time.monotonic() - self._last < PAUSE:
            return
        large = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
        y, x = (slice(s.start * factor, s.stop * factor) for s in bounds)
        self._show(large.float().cpu().numpy(), (y, x))
        self._last = time.monotonic()


def check_memory(model: Model, source: Source, how: How, shown: int = OF_MAP) -> None:
    """Refuse planes that neither memory nor the disk can hold while they are drawn.

    `shown`: bytes per pixel of what the planes show.
    """
    card = model.card
    assert card.denoising is not None
    sampler = _sampler(how, model)
    steps = sampler.evaluations(sampler.times(from_card(card.denoising.schedule), how.steps))
    height, width = source.shape
    needed = DrawingMemory(
        height, width, len(card.outputs), card.denoising.window, steps, sampler.local, shown
    )
    needed.check(free_memory(how.device), scratch_folder())


def free_memory(device: str | torch.device) -> int:
    """Bytes for a plane where it is drawn and where it is then kept; the network takes the rest."""
    return int(OF_FREE * min(memory_budget(device), memory_budget("cpu")))
