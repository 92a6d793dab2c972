"""A forward pass as a list of operator calls, recorded without computing."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.copies import stand_in
from napari_tincture.tiling import ops
from napari_tincture.tiling.dispatch import DispatchMode
from napari_tincture.tiling.reductions import reduction
from napari_tincture.tiling.shapes import without_computing

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One operator call of a forward pass, by shapes alone.

    Attributes
    ----------
    name
        The operator's.
    inputs, outputs
        Shapes of its tensors.
    kind
        What `ops.kind_of` says.
    reduced
        Axes, from the end of the first tensor, of a reduction that tiles can add up; else None.
    mixed
        (number of input, axis from the end) along which all positions are taken together.
    jump
        Longest distance between two taps of its kernel, in samples of its first input.
    inexact
        Why no tiling of it can be exact, whatever the shapes.
    """

    name: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    kind: ops.Kind | None = None
    reduced: tuple[int, ...] | None = None
    mixed: tuple[tuple[int, int], ...] = ()
    jump: int = 0
    inexact: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A call that reduces over the image: which call it is, and which axes are the image's.

    `axes` count from the end of the reduced tensor: ``(-2, -1)`` for (…, y, x), ``(-1,)`` for a
    flattened image, before whose y and x `merged` other positions were flattened into it.
    """

    call: int
    name: str
    axes: tuple[int, ...]
    merged: int = 1


class _Recorder(DispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        call = ops.bind(func, args, kwargs)
        taken = reduction(func, call)
        inputs = shapes_of(ops.tensors_of(call))
        result = without_computing(func, args, kwargs)
        rank = taken.values.ndim if taken else 0
        self.calls.append(
            Call(
                ops.name_of(func),
                inputs,
                shapes_of(result),
                ops.kind_of(func),
                tuple(d - rank for d in taken.dims) if taken else None,
                tuple(ops.mixed_axes(func, call)),
                ops.longest_jump(call),
                ops.inexact(func, call),
            )
        )
        return result


def shapes_of(values: Any) -> tuple[Shape, ...]:
    """Shapes of all tensors in a structure."""
    return tuple(tuple(v.shape) for v in tree_leaves(values) if isinstance(v, Tensor))


def trace(
    network: nn.Module, channels: int, height: int, width: int, device: str = "meta"
) -> list[Call]:
    """Calls of one forward pass on a (1, channels, height, width) image; the last is its result.

    Nothing is computed on the device "meta".
    """
    with _Recorder() as recorder:
        result = _run_on(device, network, channels, height, width)
    if not isinstance(result, Tensor):
        raise ModelError(
            f"The network returned a {type(result).__name__}. Expected one tensor "
            "(batch, channel, y, x); wrap it in a module that picks one."
        )
    return [*recorder.calls, Call("result", shapes_of(result), shapes_of(result), "move")]


def run_on_meta(network: nn.Module, channels: int, height: int, width: int) -> Any:
    """What a network returns for a (1, channels, height, width) image, without computing."""
    return _run_on("meta", network, channels, height, width)


def _run_on(device: str, network: nn.Module, channels: int, height: int, width: int) -> Any:
    with torch.utils._python_dispatch._disable_current_modes():
        copied = stand_in(network, lambda tensor: tensor.detach().to(device))
        dtype = _dtype(network)
        image = torch.zeros(1, channels, height, width, device=device, dtype=dtype)
    # What a network makes without saying where, it makes beside its weights.
    where: AbstractContextManager[Any] = torch.device(device)
    with torch.inference_mode(), where:
        return copied(image)


def _dtype(network: nn.Module) -> torch.dtype:
    floats = (p.dtype for p in network.parameters() if p.is_floating_point())
    return next(floats, torch.float32)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of feature maps that one forward pass holds, in the network's own precision.

    `peak` at any call; `suspended` at a reduction over the image.
    """

    peak: int
    suspended: int


class _MemoryMeter(DispatchMode):
    def __init__(self, sites: Sequence[Site]) -> None:
        super().__init__()
        self._sites = {site.call for site in sites}
        self._calls = -1
        self._alive: list[weakref.ref[Tensor]] = []
        self.peak = self.suspended = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        result = without_computing(func, args, kwargs or {})
        if self._calls in self._sites:
            self.suspended = max(self.suspended, self._held())
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._alive.append(weakref.ref(value))
        self.peak = max(self.peak, self._held())
        return result

    def _held(self) -> int:
        self._alive = [known for known in self._alive if known() is not None]
        tensors = [v for v in (known() for known in self._alive) if v is not None]
        storages = {s._cdata: s.nbytes() for s in (v.untyped_storage() for v in tensors)}
        return sum(storages.values())


def memory_of_forward(
    network: nn.Module, channels: int, window: tuple[int, int], sites: Sequence[Site] = ()
) -> Memory:
    """Bytes that a forward pass on a window (height, width) will hold, without computing it."""
    with _MemoryMeter(sites) as meter:
        _run_on("meta", network, channels, *window)
    own = channels * window[0] * window[1] * 4
    return Memory(meter.peak + own, meter.suspended + own)


Tracer = Callable[[int, int], list[Call]]
"""Calls of a forward pass on an image of a height and a width."""
