"""Reductions over an image, taken apart: what a tile adds to the whole image's value.

A call that reduces (`reduction`) gives the values that it reduces, what is to be collected of
them (`Moments`, `Extremum`) and how the call's result follows from the whole image's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from napari_tincture.tiling.ops import Operator, name_of


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and summed squared deviation; tensors in float64 of equal shape."""

    count: float
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, values: Tensor, dims: Sequence[int]) -> Moments:
        """Moments of `values` over `dims`, which are kept with length 1."""
        if values.dtype in (torch.float16, torch.bfloat16):
            values = values.float()
        # torch.var_mean takes longer than a convolution on channels_last maps. Here the fastest
        # varying reduced axis is summed in single precision, all others in double; the deviation
        # is taken from the mean, so that nothing cancels.
        order = sorted(range(values.ndim), key=values.stride, reverse=True)
        memory = values.permute(order)
        reduced = sorted(order.index(d) for d in dims)
        count = math.prod(memory.shape[d] for d in reduced)
        total = memory.sum(reduced[-1], keepdim=True).double().sum(reduced, keepdim=True)
        mean = total / count
        gap = memory - mean.to(memory.dtype)
        rows = torch.linalg.vector_norm(gap, dim=reduced[-1], keepdim=True)
        deviation = rows.double().square().sum(reduced, keepdim=True)
        back = [order.index(d) for d in range(values.ndim)]
        return cls(count, mean.permute(back), deviation.permute(back))

    def merge(self, other: Moments) -> Moments:
        """Moments of both samples together (Chan, Golub and LeVeque 1979, eq. 2.1)."""
        count = self.count + other.count
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        deviation = self.deviation + other.deviation
        return Moments(count, mean, deviation + gap**2 * (self.count * other.count / count))

    @property
    def variance(self) -> Tensor:
        """Mean squared deviation (biased)."""
        return self.deviation / self.count


@dataclass(frozen=True, slots=True)
class Extremum:
    """The largest (or smallest) value, of a tile or of the image."""

    value: Tensor
    largest: bool

    def merge(self, other: Extremum) -> Extremum:
        """The extremum of both samples together."""
        choose = torch.maximum if self.largest else torch.minimum
        return Extremum(choose(self.value, other.value), self.largest)


Share = Moments | Extremum


@dataclass(frozen=True, slots=True)
class Reduction:
    """One call that reduces over the image, taken apart.

    Attributes
    ----------
    values
        The tensor that is reduced.
    dims
        Axes of `values` that are reduced, non-negative.
    share
        What is collected: moments, or the largest or smallest value.
    finish
        From the whole image's `Share` to what the call returns.
    """

    values: Tensor
    dims: tuple[int, ...]
    share: Literal["moments", "largest", "smallest"]
    finish: Callable[[Any], Any]

    def collect(self, part: Tensor) -> Share:
        """This reduction's share over `part`, a part of `values`."""
        if self.share == "moments":
            return Moments.of(part, self.dims)
        largest = self.share == "largest"
        extreme = torch.amax if largest else torch.amin
        return Extremum(extreme(part, list(self.dims), keepdim=True), largest)


def _dims(values: Tensor, dim: Any) -> tuple[int, ...]:
    if dim is None or (isinstance(dim, list | tuple) and not dim):
        return tuple(range(values.ndim))
    dims = [dim] if isinstance(dim, int) else dim
    return tuple(sorted(d % values.ndim for d in dims))


def _shaped(whole: Tensor, call: dict[str, Any], values: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Give a result collected with kept axes the shape, batch and dtype that the call returns."""
    dtype = call.get("dtype") or values.dtype
    if 0 not in dims and whole.shape[0] != values.shape[0]:
        whole = whole.expand(values.shape[0], *whole.shape[1:])
    if not call.get("keepdim"):
        whole = whole.reshape([n for d, n in enumerate(whole.shape) if d not in dims])
    return whole.to(values.device, dtype)


def _moments(formula: Callable[[Moments, dict[str, Any]], Any]) -> Callable[..., Reduction]:
    def build(call: dict[str, Any]) -> Reduction:
        values = call.get("self", call.get("input"))
        assert isinstance(values, Tensor)
        dims = _dims(values, call.get("dim"))

        def finish(whole: Moments) -> Any:
            result = formula(whole, call)
            if isinstance(result, tuple):
                return tuple(_shaped(r, call, values, dims) for r in result)
            return _shaped(result, call, values, dims)

        return Reduction(values, dims, "moments", finish)

    return build


def _corrected(whole: Moments, call: dict[str, Any]) -> Tensor:
    correction = call.get("correction")
    if correction is None:
        correction = 1 if call.get("unbiased", True) else 0
    return whole.deviation / max(whole.count - float(correction), 1e-300)


def _vector_norm(call: dict[str, Any]) -> Reduction | None:
    order = call.get("ord", call.get("p"))
    values = call["self"]
    dims = _dims(values, call.get("dim"))
    if order not in (2, 2.0, None):
        return None

    def finish(whole: Moments) -> Tensor:
        total = whole.deviation + whole.count * whole.mean**2
        return _shaped(total.sqrt(), call, values, dims)

    return Reduction(values, dims, "moments", finish)


def _extremum(share: Literal["largest", "smallest"]) -> Callable[..., Reduction]:
    def build(call: dict[str, Any]) -> Reduction:
        values = call["self"]
        dims = _dims(values, call.get("dim"))

        def finish(whole: Extremum) -> Any:
            result = _shaped(whole.value, call, values, dims)
            # max(dim) also returns where: that place may lie in another tile, so it is not given.
            indexed = isinstance(call.get("dim"), int) and "keepdim" in call
            return (result, torch.full_like(result, -1, dtype=torch.long)) if indexed else result

        return Reduction(values, dims, share, finish)

    return build


def _pool_average(call: dict[str, Any]) -> Reduction | None:
    values = call["self"]
    if not _pools_everything(call, values):
        return None
    return _moments(lambda whole, _: whole.mean)({"self": values, "dim": [-2, -1], "keepdim": True})


def _pool_largest(returns_indices: bool) -> Callable[..., Reduction | None]:
    def build(call: dict[str, Any]) -> Reduction | None:
        values = call["self"]
        if not _pools_everything(call, values):
            return None
        taken = _extremum("largest")({"self": values, "dim": [-2, -1], "keepdim": True})
        if not returns_indices:
            return taken

        def finish(whole: Extremum) -> Any:
            result = taken.finish(whole)
            return result, torch.full_like(result, -1, dtype=torch.long)

        return Reduction(values, taken.dims, "largest", finish)

    return build


def _pools_everything(call: dict[str, Any], values: Tensor) -> bool:
    if "output_size" in call:
        return all(n == 1 for n in call["output_size"])
    kernel = call["kernel_size"]
    kernel = list(kernel) * 2 if len(kernel) == 1 else list(kernel)
    return kernel == list(values.shape[-2:]) and not any(call.get("padding") or [0])


def _normalised(values: Tensor, whole: Moments, call: dict[str, Any], channels: int) -> Tensor:
    """Normalise (b, c, …) with one mean and variance per channel, in one fused kernel."""
    repeat = channels // whole.mean.numel()
    mean = whole.mean.flatten().repeat_interleave(repeat)
    variance = whole.variance.flatten().repeat_interleave(repeat)
    dtype = torch.float32 if values.dtype in (torch.float16, torch.bfloat16) else values.dtype
    mean, variance = (v.to(values.device, dtype) for v in (mean, variance))
    weight, bias = call.get("weight"), call.get("bias")
    cudnn = call.get("cudnn_enabled", True)
    return torch.batch_norm(values, weight, bias, mean, variance, False, 0.0, call["eps"], cudnn)


def _batch_norm(native: bool) -> Callable[..., Reduction | None]:
    def build(call: dict[str, Any]) -> Reduction | None:
        values = call["input"]
        if not (call["training"] or call.get("running_mean") is None):
            return None
        dims = (0, *range(2, values.ndim))

        def finish(whole: Moments) -> Any:
            channels = values.shape[1]
            if channels % whole.mean.numel():
                raise ValueError(f"{channels} channels, statistics of {whole.mean.numel()}")
            # instance norm reaches this operator as one image of batch x channels
            copies = channels // whole.mean.numel()
            tiled = Moments(
                whole.count,
                whole.mean.flatten().repeat(copies),
                whole.deviation.flatten().repeat(copies),
            )
            result = _normalised(values, tiled, call, channels)
            empty = values.new_empty(0)
            return (result, empty, empty) if native else result

        return Reduction(values, dims, "moments", finish)

    return build


def _instance_norm(call: dict[str, Any]) -> Reduction | None:
    if not call["use_input_stats"]:
        return None
    values = call["input"]
    dims = tuple(range(2, values.ndim))

    def finish(whole: Moments) -> Tensor:
        return _normalised(values, whole, call, values.shape[1])

    return Reduction(values, dims, "moments", finish)


def _group_norm(native: bool) -> Callable[..., Reduction]:
    def build(call: dict[str, Any]) -> Reduction:
        values = call["input"]
        groups = call["group"] if native else call["num_groups"]
        channels = values.shape[1]
        grouped = values.reshape(values.shape[0], groups, channels // groups, *values.shape[2:])

        def finish(whole: Moments) -> Any:
            result = _normalised(values, whole, call, channels)
            empty = values.new_empty(0)
            return (result, empty, empty) if native else result

        return Reduction(grouped, tuple(range(2, grouped.ndim)), "moments", finish)

    return build


def _layer_norm(native: bool) -> Callable[..., Reduction]:
    def build(call: dict[str, Any]) -> Reduction:
        values = call["input"]
        dims = tuple(range(values.ndim - len(call["normalized_shape"]), values.ndim))

        def finish(whole: Moments) -> Any:
            scale = (whole.variance + call["eps"]).rsqrt().to(values)
            result = (values - whole.mean.to(values)) * scale
            if call.get("weight") is not None:
                result = result * call["weight"]
            if call.get("bias") is not None:
                result = result + call["bias"]
            empty = values.new_empty(0)
            return (result, empty, empty) if native else result

        return Reduction(values, dims, "moments", finish)

    return build


def _rms_norm(call: dict[str, Any]) -> Reduction:
    values = call["input"]
    dims = tuple(range(values.ndim - len(call["normalized_shape"]), values.ndim))
    eps = call["eps"] if call["eps"] is not None else torch.finfo(values.dtype).eps

    def finish(whole: Moments) -> Tensor:
        result: Tensor = values * (whole.variance + whole.mean**2 + eps).rsqrt().to(values)
        return result if call.get("weight") is None else result * call["weight"]

    return Reduction(values, dims, "moments", finish)


_REDUCTIONS: dict[str, Callable[[dict[str, Any]], Reduction | None]] = {
    "mean": _moments(lambda whole, _: whole.mean),
    "sum": _moments(lambda whole, _: whole.mean * whole.count),
    "var": _moments(_corrected),
    "std": _moments(lambda whole, call: _corrected(whole, call).sqrt()),
    "var_mean": _moments(lambda whole, call: (_corrected(whole, call), whole.mean)),
    "std_mean": _moments(lambda whole, call: (_corrected(whole, call).sqrt(), whole.mean)),
    "linalg_vector_norm": _vector_norm,
    "norm": _vector_norm,
    "amax": _extremum("largest"),
    "amin": _extremum("smallest"),
    "max": _extremum("largest"),
    "min": _extremum("smallest"),
    "adaptive_avg_pool2d": _pool_average,
    "_adaptive_avg_pool2d": _pool_average,
    "avg_pool2d": _pool_average,
    "adaptive_max_pool2d": _pool_largest(returns_indices=True),
    "max_pool2d": _pool_largest(returns_indices=False),
    "max_pool2d_with_indices": _pool_largest(returns_indices=True),
    "batch_norm": _batch_norm(native=False),
    "native_batch_norm": _batch_norm(native=True),
    "instance_norm": _instance_norm,
    "group_norm": _group_norm(native=False),
    "native_group_norm": _group_norm(native=True),
    "layer_norm": _layer_norm(native=False),
    "native_layer_norm": _layer_norm(native=True),
    "rms_norm": _rms_norm,
}


def reduction(operator: Operator, call: dict[str, Any]) -> Reduction | None:
    """Take a call apart if its operator can reduce over an image; None if it does not.

    Whether the reduced axes really are those of the image is for the caller to judge: this
    function sees one call at one size.
    """
    build = _REDUCTIONS.get(name_of(operator))
    if build is None or (name_of(operator) in ("max", "min") and call.get("other") is not None):
        return None
    return build(call)
