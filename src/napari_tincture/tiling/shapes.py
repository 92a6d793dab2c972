"""What operators return, by shape and data type alone.

torch answers this on its device "meta", of most operators in Python: the first answer imports
sympy and its compiler, which takes seconds, and each takes a millisecond. The operators that most
networks are made of are answered here; all others, and whatever would be an error, by torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from napari_tincture.tiling import ops
from napari_tincture.tiling.dispatch import DispatchMode

Shape = tuple[int, ...]
Rule = Callable[[dict[str, Any]], Shape | None]
"""From a call's arguments by name to the shape of its results; None if torch should tell."""


def without_computing(func: Any, args: Any, kwargs: Any) -> Any:
    """What an operator returns for tensors on the device "meta".

    Parameters
    ----------
    func
        Operator of ``torch.ops.aten``.
    args, kwargs
        Its arguments; what it writes into is given back.
    """
    rule = _RULES.get(ops.name_of(func))
    if rule is None:
        return func(*args, **kwargs)
    call = ops.bind(func, args, kwargs)
    tensors = ops.tensors_of(call)
    shape = rule(call) if _plain(call, tensors) else None
    if shape is None or (ops.in_place(func) and shape != tuple(tensors[0].shape)):
        return func(*args, **kwargs)
    if ops.in_place(func):
        return tensors[0]
    empty = partial(torch.empty, shape, dtype=tensors[0].dtype, device="meta")
    count = len(func._schema.returns)
    return empty() if count == 1 else tuple(empty() for _ in range(count))


class ShapesAlone(DispatchMode):
    """A mode in which nothing on the device "meta" is asked of torch that is known here."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return without_computing(func, args, kwargs or {})


def _plain(call: dict[str, Any], tensors: list[Tensor]) -> bool:
    """Whether the result surely is a contiguous tensor of the first one's data type."""
    # Numbers leave the data type of floating-point tensors alone, unless they are complex.
    if call.get("out") is not None or call.get("dtype") is not None:
        return False
    if any(isinstance(value, complex) for value in call.values()):
        return False
    return bool(tensors) and all(
        type(tensor) in (Tensor, torch.nn.Parameter)
        and tensor.device.type == "meta"
        and tensor.dtype == tensors[0].dtype
        and tensor.is_floating_point()
        and _row_major(tensor)
        for tensor in tensors
    )


def _row_major(tensor: Tensor) -> bool:
    """Whether results come contiguous: gaps between rows are left out, an order is kept."""
    steps = [step for step, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1]
    return 0 not in steps and all(step >= following for step, following in pairwise(steps))


def _same(call: dict[str, Any]) -> Shape | None:
    return tuple(call["self"].shape)


def _broadcast(call: dict[str, Any]) -> Shape | None:
    shape: Shape = ()
    for tensor in ops.tensors_of(call):
        rank = max(len(shape), tensor.ndim)
        pair = [(1,) * (rank - len(one)) + tuple(one) for one in (shape, tensor.shape)]
        if any(n != m and 1 not in (n, m) for n, m in zip(*pair, strict=True)):
            return None
        shape = tuple(m if n == 1 else n for n, m in zip(*pair, strict=True))
    return shape


def _multiplied(call: dict[str, Any]) -> Shape | None:
    first, other = tuple(call["self"].shape), tuple(call["other"].shape)
    if len(first) < 2 or not other or first[-1] != other[max(-2, -len(other))]:
        return None
    if len(other) == 1:
        return first[:-1]
    return (*first[:-1], other[-1]) if first[:-2] == other[:-2] else None


def _reduced(call: dict[str, Any]) -> Shape | None:
    shape = list(call["self"].shape)
    axes = call.get("dim")
    axes = range(len(shape)) if axes is None or axes == [] else axes
    axes = [axes] if isinstance(axes, int) else axes
    if 0 in shape or any(not -len(shape) <= axis < len(shape) for axis in axes):
        return None
    gone = {axis % len(shape) for axis in axes}
    left = 1 if call.get("keepdim") else 0
    sizes = [left if i in gone else n for i, n in enumerate(shape)]
    return (
        tuple(n for n in sizes if n) if len(gone) == len(axes) and min(shape, default=1) else None
    )


def _normed(call: dict[str, Any]) -> Shape | None:
    """Shape of what was normalised by vectors with a number per channel."""
    shape = tuple(call["input"].shape)
    vectors = [call[n] for n in ("weight", "bias", "running_mean", "running_var") if n in call]
    groups = call.get("num_groups", 1)
    fits = all(v is None or tuple(v.shape) == shape[1:2] for v in vectors)
    return shape if fits and len(shape) > 2 and shape[1] % groups == 0 else None


def _normed_over(call: dict[str, Any]) -> Shape | None:
    shape, inner = tuple(call["input"].shape), tuple(call["normalized_shape"])
    vectors = (call["weight"], call["bias"])
    fits = all(v is None or tuple(v.shape) == inner for v in vectors)
    return shape if fits and inner and shape[-len(inner) :] == inner else None


def _convolved(call: dict[str, Any]) -> Shape | None:
    image, weight, bias = call["input"], call["weight"], call["bias"]
    if isinstance(call["padding"], str) or not image.ndim == weight.ndim == 4:
        return None
    steps, pads, dilations = (_pair(call[n]) for n in ("stride", "padding", "dilation"))
    spread = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
    sides = zip(image.shape[2:], spread, pads, steps, strict=True)
    outputs, inputs = weight.shape[:2]
    sizes: tuple[int, ...]
    if "output_padding" in call:
        outputs, inputs = weight.shape[1] * call["groups"], weight.shape[0] // call["groups"]
        extra = _pair(call["output_padding"])
        pairs = zip(sides, extra, strict=True)
        sizes = tuple((n - 1) * s - 2 * p + e + more + 1 for (n, e, p, s), more in pairs)
    else:
        sizes = tuple((n + 2 * p - e - 1) // s + 1 for n, e, p, s in sides)
    fits = image.shape[1] == inputs * call["groups"] and outputs % call["groups"] == 0
    fits &= bias is None or tuple(bias.shape) == (outputs,)
    return (image.shape[0], outputs, *sizes) if fits and min(sizes) > 0 else None


def _pooled(call: dict[str, Any]) -> Shape | None:
    image, kernel = call["self"], _pair(call["kernel_size"])
    steps = _pair(call["stride"]) if call["stride"] else kernel
    pads, dilations = _pair(call["padding"]), _pair(call.get("dilation", 1))
    if (
        call["ceil_mode"]
        or image.ndim != 4
        or any(2 * p > k for p, k in zip(pads, kernel, strict=True))
    ):
        return None
    sides = zip(image.shape[2:], kernel, pads, steps, dilations, strict=True)
    sizes = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, p, s, d in sides)
    return (*image.shape[:2], *sizes) if min(sizes) > 0 else None


def _averaged(call: dict[str, Any]) -> Shape | None:
    shape, sides = tuple(call["self"].shape), tuple(call["output_size"])
    fits = len(shape) == 4 and len(sides) == 2 and min(*shape, *sides) > 0
    return (*shape[:2], *sides) if fits else None


def _mapped(call: dict[str, Any]) -> Shape | None:
    shape, (outputs, *inputs) = tuple(call["input"].shape), call["weight"].shape
    bias = call["bias"]
    fits = inputs == [shape[-1]] and (bias is None or tuple(bias.shape) == (outputs,))
    return (*shape[:-1], outputs) if fits else None


def _padded(call: dict[str, Any]) -> Shape | None:
    shape, pads = list(call["self"].shape), list(call["pad"])
    if len(pads) % 2 or len(pads) > 2 * len(shape):
        return None
    mode = call.get("mode", "constant")
    for axis, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True), start=1):
        limit = {"constant": math.inf, "replicate": math.inf, "reflect": shape[-axis] - 1}.get(mode)
        if limit is None or max(before, after) > limit or (axis > 2 and mode != "constant"):
            return None
        shape[-axis] += before + after
    return tuple(shape) if min(shape) > 0 else None


def _resampled(call: dict[str, Any]) -> Shape | None:
    image = call["input"] if "input" in call else call["self"]
    sizes: Any = call["output_size"]
    factors: Any = call.get("scale_factors")
    if image.ndim != 4 or (sizes is None) == (factors is None):
        return None
    if sizes is None:
        sizes = [int(n * f) for n, f in zip(image.shape[2:], factors, strict=True)]
    return (*image.shape[:2], *sizes) if min(*image.shape, *sizes) > 0 else None


def _joined(call: dict[str, Any]) -> Shape | None:
    shapes = [list(t.shape) for t in call["tensors"]]
    axis, rank = call["dim"], len(shapes[0])
    if not -rank <= axis < rank or any(len(shape) != rank for shape in shapes):
        return None
    total = sum(shape[axis] for shape in shapes)
    for shape in shapes:
        shape[axis] = total
    return tuple(shapes[0]) if all(shape == shapes[0] for shape in shapes) else None


def _pair(value: int | Sequence[int]) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * 2 if len(values) == 1 else values


_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ops.names(
            """relu relu6 leaky_relu elu selu celu silu gelu mish tanh sigmoid hardtanh hardswish
            hardsigmoid softplus neg abs exp log sqrt rsqrt square reciprocal sin cos softmax"""
        ),
        _same,
    ),
    **dict.fromkeys(ops.names("add sub rsub mul div maximum minimum addcmul lerp"), _broadcast),
    **dict.fromkeys(ops.names("mean sum var std var_mean std_mean"), _reduced),
    "matmul": _multiplied,
    **dict.fromkeys(ops.names("batch_norm instance_norm group_norm"), _normed),
    "layer_norm": _normed_over,
    **dict.fromkeys(ops.names("conv2d conv_transpose2d"), _convolved),
    **dict.fromkeys(ops.names("max_pool2d avg_pool2d"), _pooled),
    **dict.fromkeys(ops.names("pad constant_pad_nd"), _padded),
    **dict.fromkeys(
        ops.names(
            "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d"
        ),
        _resampled,
    ),
    "adaptive_avg_pool2d": _averaged,
    "linear": _mapped,
    "cat": _joined,
}
