"""Receptive field, stride and exactness of a network: measured, never asked of the user.

The receptive field is measured structurally: every feature map is replaced by a map of *influence*
(1 where a pixel can depend on the lit part of the input, else 0). Convolutions become the union
over their kernel, whatever their weights; activations and frozen normalisations the identity;
arithmetic the union of its operands. A zero-initialised layer or a dead ReLU therefore hides
nothing. The input is lit on one side of an edge on a multiple of the stride, so that one pass per
side and axis covers all output phases.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakIdKeyDictionary

from napari_tincture.grid import Geometry
from napari_tincture.models import Model
from napari_tincture.tiling import ops
from napari_tincture.tiling.trace import Growth, Site, grow

LARGEST_HALO = 8192


@dataclass(frozen=True, slots=True)
class Reach:
    """What tiling must know of a network.

    Attributes
    ----------
    geometry
        Stride, halo and border of the windows, in pixels.
    sites
        Calls that reduce over the whole image, in the order in which they are made.
    reasons
        Why tiles cannot give the whole image's values; empty if they can.
    """

    geometry: Geometry
    sites: tuple[Site, ...]
    reasons: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether a tiled run can equal the run on the whole image."""
        return not self.reasons


def measure(network: nn.Module, channels: int) -> Reach:
    """Measure how far a network sees, on what stride, and what it takes from the whole image.

    Parameters
    ----------
    network
        Module from (batch, channel, y, x) to (batch, channel, y, x). It is not changed.
    channels
        Number of input channels.

    Raises
    ------
    ModelError
        The network fits no image of `channels` channels, or changes the image's size.
    """
    growth = grow(network, channels)
    halo = 0
    reasons = growth.reasons
    if not reasons:
        halo = max(_reach(network, channels, growth, axis) for axis in (-2, -1))
    if halo > LARGEST_HALO:
        reasons = (f"the receptive field is larger than {LARGEST_HALO} pixels",)
    if growth.margin:
        sites_reason = ("an unpadded network with reductions over the image",)
        reasons = reasons + (sites_reason if growth.sites else ())
        remainder = growth.remainder
        geometry = Geometry(growth.stride, halo, "mirror", growth.margin, remainder)
    else:
        geometry = Geometry(growth.stride, halo or _fallback_halo(growth.stride, reasons))
    return Reach(geometry, growth.sites, reasons)


_MEASURED: weakref.WeakKeyDictionary[nn.Module, Reach] = weakref.WeakKeyDictionary()


def reach_of(model: Model) -> Reach:
    """What `measure` says of a model's network; measured once per network."""
    found = _MEASURED.get(model.network)
    if found is None:
        found = measure(model.network, len(model.card.inputs))
        _MEASURED[model.network] = found
    return found


def _fallback_halo(stride: int, reasons: tuple[str, ...]) -> int:
    """Overlap for the smooth blending of networks that cannot be exact."""
    return math.ceil(64 / stride) * stride if reasons else 0


def _reach(network: nn.Module, channels: int, growth: Growth, axis: int) -> int:
    """Halo in pixels along `axis`, a multiple of the stride; above the limit if not bounded."""
    length = growth.base + (growth.stride * 4 if growth.margin else growth.base)
    while length <= 4 * LARGEST_HALO:
        edge = length // 2 // growth.stride * growth.stride
        found = _one_reach(network, channels, growth, axis, length, edge)
        if found is not None:
            return found
        length += length if not growth.margin else math.ceil(length / growth.stride) * growth.stride
    return LARGEST_HALO + growth.stride


def _one_reach(
    network: nn.Module, channels: int, growth: Growth, axis: int, length: int, edge: int
) -> int | None:
    """Halo seen in an image of `length` pixels lit up to and from `edge`; None if cut off."""
    shape = [1, channels, growth.base, growth.base]
    shape[axis] = length
    reach = 0
    for lit_first in (True, False):
        image = torch.zeros(shape)
        part = image.narrow(axis, 0, edge) if lit_first else image.narrow(axis, edge, length - edge)
        part.fill_(1)
        dims = [d for d in range(4) if d != axis % 4]
        touched = influence(network, image, growth).amax(dims).nonzero().flatten() + growth.margin
        if not len(touched):
            continue
        last, first = int(touched[-1]), int(touched[0])
        if lit_first:
            if last >= length - growth.margin - 1:
                return None
            reach = max(reach, math.ceil((last + 1 - edge) / growth.stride))
        else:
            if first <= growth.margin:
                return None
            reach = max(reach, math.ceil((edge - first) / growth.stride))
    return reach * growth.stride


def influence(network: nn.Module, lit: Tensor, growth: Growth) -> Tensor:
    """Map of what can depend on the lit pixels of a (1, c, y, x) image; 0 or 1, (1, c', y, x)."""
    with torch.inference_mode(), _Influence({s.call for s in growth.sites}) as mode:
        mode.mark(lit)
        result: Any = network(lit)
    while not isinstance(result, Tensor):
        result = result[0]
    return result.float()


_MOVES = frozenset(
    """view _unsafe_view reshape permute transpose t cat stack slice select split split_with_sizes
    chunk unbind narrow pad constant_pad_nd reflection_pad2d replication_pad2d flatten unflatten
    pixel_shuffle pixel_unshuffle upsample_nearest2d upsample_bilinear2d upsample_bicubic2d
    _upsample_nearest_exact2d max_pool2d max_pool2d_with_indices avg_pool2d repeat repeat_interleave
    expand expand_as unsqueeze squeeze clone contiguous _to_copy to roll flip index_select im2col
    col2im alias detach adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d channel_shuffle
    tile movedim swapaxes type_as view_as""".split()  # noqa: SIM905
)
_CONVOLUTIONS = frozenset({"conv2d", "convolution", "_convolution", "conv_transpose2d"})
_PRODUCTS = frozenset({"linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum"})


class _Influence(TorchDispatchMode):
    """Runs a network on maps of influence; what does not stem from the input has none."""

    def __init__(self, sites: set[int]) -> None:
        super().__init__()
        self._sites = sites
        self._calls = -1
        self._stem = WeakIdKeyDictionary()

    def mark(self, value: Any) -> Any:
        """Note that a tensor stems from the input."""
        if isinstance(value, Tensor):
            self._stem[value] = True
        return value

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        kwargs = kwargs or {}
        call = ops.bind(func, args, kwargs)
        stems = [v for v in _tensors(call) if v in self._stem]
        if not stems:
            return func(*args, **kwargs)
        name = ops.name_of(func)
        if self._calls in self._sites:
            result = self._frozen(func, args, kwargs, stems[0])
        elif name in _CONVOLUTIONS:
            result = _convolved(func, call)
        elif name in _MOVES:
            result = func(*tree_map(self._seen, args), **tree_map(self._seen, kwargs))
        elif name in _PRODUCTS:
            result = self._product(func, call)
        else:
            result = self._joined(func, args, kwargs, call, stems)
        return tree_map(lambda v: self.mark(_binary(v)), result)

    def _seen(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value not in self._stem and value.is_floating_point():
            return torch.zeros(value.shape)
        return value

    def _product(self, func: Any, call: dict[str, Any]) -> Any:
        """A matrix product whose weights are all positive and whose bias is nothing."""

        def weigh(name: str, value: Any) -> Any:
            if not isinstance(value, Tensor) or value in self._stem:
                return value
            added = name == "bias" or (name == "self" and "add" in ops.name_of(func))
            return torch.zeros(value.shape) if added else torch.ones(value.shape)

        weighed = {
            name: [weigh(name, v) for v in value] if isinstance(value, list) else weigh(name, value)
            for name, value in call.items()
        }
        return func(**weighed)

    def _frozen(self, func: Any, args: Any, kwargs: Any, source: Tensor) -> Any:
        """A reduction whose value is held: a norm passes its input on, a mean is a constant."""
        return tree_map(
            lambda v: source.clone() if v.shape == source.shape else torch.zeros(v.shape),
            _on_meta(func, args, kwargs),
        )

    def _joined(
        self, func: Any, args: Any, kwargs: Any, call: dict[str, Any], stems: list[Tensor]
    ) -> Any:
        """Arithmetic: the union of its operands, and along an axis that the call reduces."""
        shapes = _on_meta(func, args, kwargs)
        dims = call.get("dim")
        if call.get("normalized_shape"):
            dims = list(range(-len(call["normalized_shape"]), 0))
        if ops.name_of(func) in ("group_norm", "native_group_norm", "glu"):
            dims = [1]
        if dims is not None and len(stems) == 1:
            kept = stems[0].amax(dims, keepdim=True)
            if not _same_count(shapes, stems[0]):
                return tree_map(
                    lambda v: (
                        kept.expand_as(stems[0]).amax(dims).reshape(v.shape)
                        if v.numel() == kept.numel()
                        else kept.expand(v.shape)
                    ),
                    shapes,
                )
            stems = [kept]
        result = tree_map(lambda v: _union(stems, v.shape), shapes)
        if func._schema.name.endswith("_") and isinstance(args[0], Tensor):
            return args[0].copy_(result)
        return result


def _tensors(call: dict[str, Any]) -> list[Tensor]:
    flat = [w for v in call.values() for w in (v if isinstance(v, list | tuple) else [v])]
    return [v for v in flat if isinstance(v, Tensor)]


def _same_count(shapes: Any, source: Tensor) -> bool:
    return isinstance(shapes, Tensor) and shapes.shape == source.shape


def _on_meta(func: Any, args: Any, kwargs: Any) -> Any:
    def away(value: Any) -> Any:
        return value.to("meta") if isinstance(value, Tensor) else value

    return func(*tree_map(away, args), **tree_map(away, kwargs))


def _union(stems: list[Tensor], shape: torch.Size) -> Tensor:
    total = torch.zeros(shape)
    for stem in stems:
        total = torch.maximum(total, stem.float())
    return total


def _binary(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.copy_(value.abs() > 1e-12) if _owns(value) else value
    return value


def _owns(value: Tensor) -> bool:
    return value._base is None and not any(s == 0 for s in value.stride())


def _convolved(func: Any, call: dict[str, Any]) -> Tensor:
    """Union over the kernel; channels are joined first, which can only widen the result."""
    weight = call["weight"]
    transposed = call.get("transposed") or ops.name_of(func) == "conv_transpose2d"
    outputs = weight.shape[1] * call["groups"] if transposed else weight.shape[0]
    image = call["input"].float().amax(1, keepdim=True)
    slim = dict(call, input=image, weight=torch.ones(1, 1, *weight.shape[2:]), bias=None, groups=1)
    result = func(**slim)
    hit: Tensor = (result > 1e-12).float()
    return hit.expand(-1, outputs, -1, -1)
