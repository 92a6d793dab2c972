"""What the operators of a network mean for tiling, as the dispatcher names them.

`kind_of` says how a call takes its result from its operands' positions, `mixed_axes` along which
axes it mixes them, and `inexact` whether no tiling can make it exact. What is not known here is
not taken for harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

Operator = Any  # torch._ops.OpOverload; torch does not export its type
Kind = Literal["pointwise", "move", "convolution", "product", "across", "constant"]
"""How a result follows from its operands.

"pointwise": each position from that position; "move": positions taken elsewhere, or joined with
positive weights; "convolution", "product": matrix products; "across": each position from all
along some axes; "constant": from nothing but a shape.
"""


def name_of(operator: Operator) -> str:
    """The operator's name without overload or mark of place: ``"relu"`` for ``relu_.default``."""
    name = str(operator.overloadpacket.__name__)
    return name[:-1] if in_place(operator) else name


def in_place(operator: Operator) -> bool:
    """Whether the call writes its result into its first operand."""
    name = str(operator.overloadpacket.__name__)
    return name.endswith("_") and not name.endswith("__")


def bind(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a call by their names in the operator's schema, defaults filled in."""
    bound: dict[str, Any] = {}
    for position, argument in enumerate(operator._schema.arguments):
        if position < len(args):
            bound[argument.name] = args[position]
        elif argument.name in kwargs:
            bound[argument.name] = kwargs[argument.name]
        else:
            bound[argument.name] = argument.default_value if argument.has_default_value() else None
    return bound


def tensors_of(call: dict[str, Any]) -> list[Tensor]:
    """The tensors among a call's arguments, those in lists too."""
    flat = [w for v in call.values() for w in (v if isinstance(v, list | tuple) else [v])]
    return [v for v in flat if isinstance(v, Tensor)]


def names(text: str) -> frozenset[str]:
    """Names of operators, as one text."""
    return frozenset(text.split())


# Pointwise operators carry torch's tag; these do not.
_POINTWISE = names(
    """prelu hardswish log_sigmoid special_expit batch_norm native_batch_norm cudnn_batch_norm
    instance_norm dropout native_dropout feature_dropout alpha_dropout feature_alpha_dropout
    fill copy zero polar complex view_as_real view_as_complex ones_like zeros_like full_like
    empty_like"""
)
_MOVES = names(
    """view _unsafe_view reshape permute transpose t mT cat stack slice select split
    split_with_sizes chunk unbind narrow pad constant_pad_nd reflection_pad2d replication_pad2d
    flatten unflatten ravel pixel_shuffle pixel_unshuffle channel_shuffle upsample_nearest2d
    upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d _upsample_bilinear2d_aa
    _upsample_bicubic2d_aa max_pool2d max_pool2d_with_indices avg_pool2d avg_pool3d
    adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d repeat repeat_interleave expand
    expand_as broadcast_to unsqueeze squeeze clone contiguous to _to_copy type_as view_as roll flip
    index index_select im2col col2im unfold alias detach tile movedim moveaxis swapaxes swapdims
    hsplit vsplit tensor_split lift_fresh"""
)
_CONVOLUTIONS = names(
    """conv1d conv2d conv3d convolution _convolution conv_transpose1d conv_transpose2d
    conv_transpose3d"""
)
_PRODUCTS = names("linear matmul mm bmm addmm baddbmm einsum")
_ACROSS = names(
    """mean sum var std var_mean std_mean amax amin max min argmax argmin aminmax norm
    linalg_vector_norm logsumexp prod any all nansum layer_norm native_layer_norm rms_norm
    group_norm native_group_norm softmax _softmax log_softmax _log_softmax glu gather sort topk
    median cumsum cumprod scaled_dot_product_attention _native_multi_head_attention"""
)
# TorchScript asks for sizes by calls.
_CONSTANTS = names(
    "zeros ones full empty new_zeros new_ones new_full new_empty scalar_tensor size dim"
)
_RANDOM = names(
    """rand randn randint rand_like randn_like randint_like bernoulli normal uniform exponential
    dropout native_dropout feature_dropout alpha_dropout feature_alpha_dropout"""
)


def kind_of(operator: Operator) -> Kind | None:
    """How the operator's result follows from its operands; None if that is not known."""
    name = name_of(operator)
    table: dict[Kind, frozenset[str]] = {
        "move": _MOVES,
        "convolution": _CONVOLUTIONS,
        "product": _PRODUCTS,
        "across": _ACROSS,
        "constant": _CONSTANTS,
        "pointwise": _POINTWISE,
    }
    for kind, names in table.items():
        # max(a, b) of two tensors is pointwise, max(a) and max(a, dim) are not.
        if name in names and not (name in ("max", "min") and _has(operator, "other")):
            return kind
    return "pointwise" if torch.Tag.pointwise in operator.tags or name in ("max", "min") else None


def _has(operator: Operator, argument: str) -> bool:
    return any(a.name == argument for a in operator._schema.arguments)


def axes_across(name: str, call: dict[str, Any], ndim: int) -> tuple[int, ...]:
    """Axes, from the end, along which an "across" call takes all positions together."""
    if call.get("normalized_shape") is not None:
        return tuple(range(-len(call["normalized_shape"]), 0))
    if name in ("group_norm", "native_group_norm"):
        return tuple(range(1 - ndim, 0))
    if name.endswith("attention"):
        return (-2, -1)
    dim = call.get("dim")
    if dim is None or (isinstance(dim, list | tuple) and not dim):
        return tuple(range(-ndim, 0))
    dims = [dim] if isinstance(dim, int) else dim
    return tuple(d % ndim - ndim for d in dims)


def mixed_axes(operator: Operator, call: dict[str, Any]) -> list[tuple[int, int]]:
    """Where a call takes all positions along an axis together: (number of tensor, axis from end).

    For products these are the axes that are summed over.
    """
    name, kind = name_of(operator), kind_of(operator)
    tensors = tensors_of(call)
    if not tensors:
        return []
    if name == "einsum":
        return _summed_by_einsum(call["equation"])
    if kind == "across":
        return [(0, axis) for axis in axes_across(name, call, tensors[0].ndim)]
    if name in ("flip", "roll"):
        dims = call["dims"] or range(tensors[0].ndim)
        return [(0, d % tensors[0].ndim - tensors[0].ndim) for d in dims]
    if kind == "product":
        return [(1 if name in ("addmm", "baddbmm") else 0, -1)]
    return []


def _summed_by_einsum(equation: str) -> list[tuple[int, int]]:
    operands, _, result = equation.replace(" ", "").partition("->")
    terms = operands.split(",")
    # Without "->" the result has the letters that occur once.
    letters = result if "->" in equation else "".join(c for c in operands if operands.count(c) == 1)
    return [
        (number, position - len(term))
        for number, term in enumerate(terms)
        for position, letter in enumerate(term)
        if letter.isalpha() and letter not in letters and "." not in term[position:]
    ]


def longest_jump(call: dict[str, Any]) -> int:
    """Distance in samples between the outermost taps of a call's kernel; 0 if it has none."""
    weight, size = call.get("weight"), call.get("kernel_size")
    if call.get("dilation") is None:
        return 0
    sides = list(weight.shape[2:]) if isinstance(weight, Tensor) else list(size or [1])
    dilation = call["dilation"]
    spread = [dilation] if isinstance(dilation, int) else list(dilation)
    return (max(sides) - 1) * max(spread)


def inexact(operator: Operator, call: dict[str, Any]) -> str | None:
    """Why no tiling of this call can be exact, or None; looks at the arguments alone."""
    name = name_of(operator)
    if call.get("align_corners"):
        return f"{name} with align_corners=True depends on the size of the image"
    if name == "pad" and call.get("mode") == "circular":
        return "circular padding joins opposite borders of the image"
    if name in _RANDOM and _draws(name, call):
        return f"{name} draws random numbers, which differ from tile to tile"
    return None


def _draws(name: str, call: dict[str, Any]) -> bool:
    return bool(call.get("train", True)) if "dropout" in name else True
