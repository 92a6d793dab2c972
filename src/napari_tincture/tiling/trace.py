"""How a network's feature maps grow with the image: a trace without computing.

A network is run on the meta device at three sizes. A feature map that grows by ``D / s`` when
the image grows by ``D`` lies at stride ``s``; a call that takes growing axes and returns none is a
reduction over the image; and what is neither pointwise, local nor a reduction cannot be tiled
exactly.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_tincture.errors import ModelError
from napari_tincture.tiling import ops

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One operator call of a forward pass, by shapes alone."""

    name: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    reduced: tuple[int, ...] | None
    inexact: str | None
    mixed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A call that reduces over the image: which call it is, and which axes are the image's.

    `axes` count from the end of the reduced tensor: ``(-2, -1)`` for (…, y, x), ``(-1,)`` for a
    flattened image.
    """

    call: int
    name: str
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """What three traces tell.

    Attributes
    ----------
    base
        A legal side length in pixels.
    stride, margin, remainder
        As in `napari_tincture.grid.Geometry`.
    sites
        Reductions over the image, in order.
    reasons
        Why tiles cannot give the whole image's values; empty if they can.
    """

    base: int
    stride: int
    margin: int
    remainder: int
    sites: tuple[Site, ...]
    reasons: tuple[str, ...]


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        call = ops.bind(func, args, kwargs)
        taken = ops.reduction(func, call)
        result = func(*args, **kwargs)
        shape = taken.values.ndim if taken else 0
        self.calls.append(
            Call(
                ops.name_of(func),
                _shapes(list(call.values())),
                _shapes(result),
                tuple(d - shape for d in taken.dims) if taken else None,
                ops.inexact(func, call),
                _mixed(func, call),
            )
        )
        return result


def _shapes(values: Any) -> tuple[Shape, ...]:
    return tuple(tuple(v.shape) for v in tree_leaves(values) if isinstance(v, Tensor))


def _mixed(func: Any, call: dict[str, Any]) -> tuple[int, ...]:
    """Axes, from the end of the first tensor, along which the call mixes positions."""
    name = ops.name_of(func)
    first = next((v for v in call.values() if isinstance(v, Tensor)), None)
    if first is None or name not in ops.MIXERS | ops.COORDINATES:
        return ()
    if isinstance(call.get("dim"), int):
        return (call["dim"] % first.ndim - first.ndim,)
    if name == "scaled_dot_product_attention":
        return (-2,)
    return () if name == "einsum" else (-1,)


def trace(network: nn.Module, channels: int, height: int, width: int) -> list[Call]:
    """Calls of one forward pass on a (1, channels, height, width) image, without computing."""
    with _Recorder() as recorder:
        result = _run_on_meta(network, channels, height, width)
    return [*recorder.calls, Call("result", (), _shapes(result)[:1], None, None)]


def _run_on_meta(network: nn.Module, channels: int, height: int, width: int) -> Any:
    with torch.utils._python_dispatch._disable_current_modes():
        state, image = _meta_state(network, channels, height, width)
    with torch.inference_mode():
        return torch.func.functional_call(network, state, (image,))


def _meta_state(
    network: nn.Module, channels: int, height: int, width: int
) -> tuple[dict[str, Tensor], Tensor]:
    state = {
        **{k: v.detach().to("meta") for k, v in network.named_parameters(remove_duplicate=False)},
        **{k: v.detach().to("meta") for k, v in network.named_buffers(remove_duplicate=False)},
    }
    image = torch.empty(1, channels, height, width, device="meta", dtype=_dtype(network))
    return state, image


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of feature maps that one forward pass holds, in the network's own precision.

    `peak` at any call; `suspended` at a reduction over the image.
    """

    peak: int
    suspended: int


class _MemoryMeter(TorchDispatchMode):
    def __init__(self, sites: Sequence[Site]) -> None:
        super().__init__()
        self._sites = {site.call for site in sites}
        self._calls = -1
        self._alive: list[weakref.ref[Tensor]] = []
        self.peak = self.suspended = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        result = func(*args, **(kwargs or {}))
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
        _run_on_meta(network, channels, *window)
    own = channels * window[0] * window[1] * 4
    return Memory(meter.peak + own, meter.suspended + own)


def _dtype(network: nn.Module) -> torch.dtype:
    floats = (p.dtype for p in network.parameters() if p.is_floating_point())
    return next(floats, torch.float32)


def grow(network: nn.Module, channels: int) -> Growth:
    """Trace `network` at three sizes and tell strides, global reductions and hindrances.

    Raises
    ------
    ModelError
        The network accepts no size that was tried, or changes the size of the image.
    """
    base, small = _first_legal(lambda size: trace(network, channels, size, size))
    step = base if small[-1].outputs[0][-1] == base else 512
    wide = trace(network, channels, base, base + step)
    high = trace(network, channels, base + step, base)
    margin = _margin(base, small[-1].outputs[0])
    names = [c.name for c in small]
    if names != [c.name for c in wide] or names != [c.name for c in high]:
        reason = "the network takes other steps at other image sizes"
        return Growth(base, base, margin, 0, (), (reason,))
    triples = list(zip(small, wide, high, strict=True))
    stride = math.lcm(*(s for t in triples for s in _strides(t, step)))
    sites, reasons = _judge(triples)
    return Growth(base, stride, margin, base % stride, sites, reasons)


def _first_legal(run: Callable[[int], list[Call]]) -> tuple[int, list[Call]]:
    first_error: Exception | None = None
    for size in (64, 128, 256, 512, *range(257, 320), 1024):
        try:
            return size, run(size)
        except (RuntimeError, ValueError, IndexError) as error:
            first_error = first_error or error
    raise ModelError(
        f"The network accepts no image of 64 to 1024 pixels. At 64 it said: {first_error}. "
        "Expected a module that maps (batch, channel, y, x) to (batch, channel, y, x) with the "
        "number of input channels that its card names."
    )


def _margin(size: int, output: Shape) -> int:
    lost, odd = divmod(size - output[-1], 2)
    if len(output) != 4 or lost < 0 or odd or output[-1] != output[-2]:
        raise ModelError(
            f"The network made {output} out of an image of {size} × {size} pixels. Expected "
            "(batch, channel, y, x) of the same size, or smaller by the same margin on all sides."
        )
    return lost


def _strides(calls: tuple[Call, Call, Call], step: int) -> Iterator[int]:
    small, wide, high = calls
    for a, b, c in zip(small.outputs, wide.outputs, high.outputs, strict=True):
        for size, grown, other in zip(a, b, c, strict=True):
            if grown > size and other == size:
                yield Fraction(step, grown - size).numerator


def _growing(a: Shape, b: Shape, c: Shape) -> dict[int, str]:
    """Axes, from the end, that grow with the image's width ("x"), height ("y") or both ("xy")."""
    kinds = {}
    for axis in range(-len(a), 0):
        kind = ("y" if c[axis] != a[axis] else "") + ("x" if b[axis] != a[axis] else "")
        if kind:
            kinds[axis] = kind
    return kinds


def _judge(triples: list[tuple[Call, Call, Call]]) -> tuple[tuple[Site, ...], tuple[str, ...]]:
    sites: list[Site] = []
    reasons: dict[str, None] = {}
    for index, (small, wide, high) in enumerate(triples):
        inputs = [_growing(*t) for t in zip(small.inputs, wide.inputs, high.inputs, strict=True)]
        outputs = [
            _growing(*t) for t in zip(small.outputs, wide.outputs, high.outputs, strict=True)
        ]
        site = _site(index, small, inputs)
        if site:
            sites.append(site)
            continue
        reason = small.inexact or _hindrance(small, inputs, outputs)
        if reason:
            reasons[reason] = None
    return tuple(sites), tuple(reasons)


def _site(index: int, call: Call, inputs: list[dict[int, str]]) -> Site | None:
    axes = tuple(inputs[0]) if inputs else ()
    reduced = set(call.reduced or ())
    # "Reduces an axis that grows" also holds for a plain pooling layer until the shapes are seen.
    if not axes or not set(axes) <= reduced:
        return None
    return Site(index, call.name, axes)


def _hindrance(
    call: Call, inputs: list[dict[int, str]], outputs: list[dict[int, str]]
) -> str | None:
    taken = set("".join(kind for kinds in inputs for kind in kinds.values()))
    given = set("".join(kind for kinds in outputs for kind in kinds.values()))
    if call.name in ops.COORDINATES and given and not taken:
        return f"{call.name} gives pixels coordinates that depend on the size of the image"
    if inputs and any(axis in inputs[0] for axis in call.mixed):
        return f"{call.name} mixes all positions of the image (self-attention or the like)"
    if call.outputs and taken and not taken <= given and call.name != "result":
        return f"{call.name} reduces over the image in a way that tiles cannot add up"
    return None
