"""Maps of influence, and what calls make of them; see `influence`.

A map that is the same in all channels has one copy of them, expanded: networks are wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from napari_tincture.tiling import ops
from napari_tincture.tiling.shapes import without_computing

ROUNDING = 1e-12
_SPATIAL = ops.names(
    """pad constant_pad_nd reflection_pad2d replication_pad2d avg_pool2d max_pool2d
    max_pool2d_with_indices upsample_nearest2d upsample_bilinear2d upsample_bicubic2d
    _upsample_nearest_exact2d"""
)
"""Calls that treat every channel alike, as long as they do not pad these."""


def is_map(call: dict[str, Any], stem: Tensor) -> bool:
    """Whether a constant is made over the image: then it knows where a window ends."""
    return list(call.get("size") or ())[-2:] == list(stem.shape[-2:])


def called(func: Any, call: dict[str, Any]) -> Any:
    """Call an operator with its arguments by name."""
    positional = [a.name for a in func._schema.arguments if not a.kwarg_only]
    named = [a.name for a in func._schema.arguments if a.kwarg_only]
    return func(*(call[n] for n in positional), **{n: call[n] for n in named})


def on_meta(func: Any, args: Any, kwargs: Any) -> Any:
    """What an operator returns, without computing it."""

    def away(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.empty(value.shape, dtype=value.dtype, device="meta")

    return without_computing(func, tree_map(away, args), tree_map(away, kwargs))


def held(func: Any, args: Any, kwargs: Any, source: Tensor) -> Any:
    """A reduction whose value is held: a norm passes its input on, a mean is a constant."""

    def hold(shape: Any) -> Tensor:
        if shape.shape != source.shape:
            return torch.zeros(shape.shape)
        slim = one_channel(source)
        return source.clone() if slim is None else slim.clone().expand(source.shape)

    return tree_map(hold, on_meta(func, args, kwargs))


def across(stems: list[Tensor], axes: tuple[int, ...], shapes: Any) -> Any:
    """What takes all positions along `axes` together, of one length, none or another there."""
    joined = union(stems, stems[0]).amax(axes, keepdim=True)

    def spread(like: Any) -> Any:
        if like.ndim == joined.ndim:
            return _like(joined.expand(like.shape), like)
        return _like(joined.reshape(like.shape), like)

    return tree_map(spread, shapes)


def union(stems: list[Tensor], like: Tensor) -> Tensor:
    """Union of maps, broadcast to a shape; of the dtype that the network has there."""
    slim = [one_channel(stem) for stem in stems]
    if all(s is not None and len(like.shape) == 4 for s in slim):
        shape = (like.shape[0], 1, *like.shape[2:])
        total = _maximum([s for s in slim if s is not None], shape)
        return _like(total, like).expand(like.shape)
    return _like(_maximum(stems, like.shape), like)


def _maximum(maps: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    total = torch.zeros(tuple(shape))
    for one in maps:
        total = torch.maximum(total, one.float())
    return total


def _like(values: Tensor, like: Tensor) -> Tensor:
    # The network may go on in place: no memory is shared.
    dtype = torch.float32 if like.is_floating_point() else like.dtype
    return values.to(dtype, copy=True, memory_format=torch.contiguous_format)


def binary(value: Any) -> Any:
    """1 where a map of real numbers is not 0."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    lit = (value.abs() > ROUNDING).to(value.dtype)
    return value if torch.equal(lit, value) else lit


def convolved(func: Any, call: dict[str, Any]) -> Tensor:
    """Union over the kernel; channels are joined first, which can only widen the result."""
    weight = call["weight"]
    transposed = call.get("transposed") or "transpose" in ops.name_of(func)
    outputs = weight.shape[1] * call["groups"] if transposed else weight.shape[0]
    image = one_channel(call["input"])
    image = call["input"].amax(1, keepdim=True) if image is None else image
    kernel = torch.ones(1, 1, *weight.shape[2:])
    slim = dict(call, input=image.float(), weight=kernel, bias=None, groups=1)
    hit = (called(func, slim) > ROUNDING).float()
    result: Tensor = hit.expand(-1, outputs, *hit.shape[2:])
    return result


def treats_channels_alike(func: Any, call: dict[str, Any]) -> bool:
    """Whether one channel of a map that is the same in all is enough."""
    return ops.name_of(func) in _SPATIAL and len(call.get("pad") or ()) <= 4


def one_channel(value: Any) -> Tensor | None:
    """The one channel (b, 1, y, x) of a map that is the same in all, of which it has one copy."""
    same = isinstance(value, Tensor) and value.ndim == 4 and value.shape[1] > 1
    return value[:, :1] if same and value.stride(1) == 0 else None
