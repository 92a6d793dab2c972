"""A reduction put together from tiles is the reduction."""

from __future__ import annotations

import itertools

import pytest
import torch
from networks import REDUCTIONS
from torch.utils._python_dispatch import TorchDispatchMode

from napari_tincture.tiling import ops
from napari_tincture.tiling.reductions import Extremum, Moments, reduction


class Catch(TorchDispatchMode):
    """Keeps every call that can be taken apart, with its result."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        taken = reduction(func, ops.bind(func, args, kwargs))
        result = func(*args, **kwargs)
        if taken is not None and set(taken.dims) & {taken.values.ndim - 1, taken.values.ndim - 2}:
            self.found.append((taken, result))
        return result


def parts_of(values, dims):
    """Uneven parts that cover the reduced axes once."""
    parts = [values]
    for dim in dims:
        length = values.shape[dim]
        edges = sorted({0, length // 3, length // 3 + 1, length})
        parts = [
            part.narrow(dim, a, b - a)
            for part in parts
            for a, b in itertools.pairwise(edges)
            if b > a
        ]
    return parts


def calls_of(name, values, context=torch.inference_mode):
    with context(), Catch() as caught:
        REDUCTIONS[name](values)
    return [(taken, out[0] if isinstance(out, tuple) else out) for taken, out in caught.found]


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_parts_add_up_to_the_whole(name, memory, context):
    torch.manual_seed(0)
    # A mean much larger than the spread is where cheap formulas lose their digits.
    values = (torch.rand(1, 4, 13, 10) + 20).to(memory_format=memory)
    calls = calls_of(name, values, context)
    # torch itself is exact enough in double only.
    exact = calls_of(name, values.double().contiguous(), context)
    for number, ((taken, result), (_, expected)) in enumerate(zip(calls, exact, strict=True)):
        share = None
        for part in parts_of(taken.values, taken.dims):
            own = taken.collect(part)
            share = own if share is None else share.merge(own)
        found = taken.finish(share)
        found = found[0] if isinstance(found, tuple) else found
        assert found.shape == result.shape
        assert found.dtype == result.dtype
        digits = 400 * torch.finfo(torch.float32).eps
        if number == 0:
            torch.testing.assert_close(found.double(), expected.double(), rtol=digits, atol=digits)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_way_to_reduce_is_seen(name):
    with torch.inference_mode(), Catch() as caught:
        REDUCTIONS[name](torch.rand(1, 4, 13, 10))
    assert caught.found


def test_a_batch_takes_the_values_of_one_image():
    torch.manual_seed(0)
    image = torch.rand(1, 4, 8, 6)
    batch = image.expand(3, -1, -1, -1).contiguous()
    for name in REDUCTIONS:
        with torch.inference_mode(), Catch() as one:
            expected = REDUCTIONS[name](image)
        calls = iter(one.found)

        class Replay(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None, calls=calls):
                taken = reduction(func, ops.bind(func, args, kwargs or {}))
                last = taken and {taken.values.ndim - 1, taken.values.ndim - 2}
                if taken is None or not set(taken.dims) & last:
                    return func(*args, **(kwargs or {}))
                known, _ = next(calls)
                return taken.finish(known.collect(known.values))

        with torch.inference_mode(), Replay():
            found = REDUCTIONS[name](batch)
        torch.testing.assert_close(found, expected.expand(3, -1, -1, -1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_moments_keep_their_digits_under_an_offset(dtype):
    torch.manual_seed(0)
    values = (torch.randn(1, 2, 200, 300) + 50).to(dtype)
    found = Moments.of(values, (2, 3))
    exact = values.double()
    torch.testing.assert_close(found.mean, exact.mean((2, 3), keepdim=True), rtol=1e-6, atol=0)
    variance = exact.var((2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(found.variance, variance, rtol=1e-5, atol=0)


def test_merging_does_not_depend_on_the_order():
    torch.manual_seed(0)
    values = torch.randn(4, 300, dtype=torch.float64) + 1000
    moments = [Moments.of(part, (1,)) for part in values.split(37, 1)]
    extrema = [Extremum(part.amax(1, keepdim=True), True) for part in values.split(37, 1)]
    for shares in (moments, extrema):
        forward, backward = shares[0], shares[-1]
        for share in shares[1:]:
            forward = forward.merge(share)
        for share in shares[-2::-1]:
            backward = backward.merge(share)
        if isinstance(forward, Extremum):
            assert torch.equal(forward.value, backward.value)
            continue
        torch.testing.assert_close(forward.mean, backward.mean, rtol=1e-14, atol=0)
        torch.testing.assert_close(forward.deviation, backward.deviation, rtol=1e-10, atol=0)
