"""Shapes that are told without computing are those that torch tells."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from napari_tincture.tiling.shapes import without_computing


def _x(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


IMAGE = (2, 6, 17, 12)
CALLS: dict[str, Any] = {
    "activation": lambda x: F.leaky_relu(x, 0.2),
    "in place": lambda x: F.elu(x, inplace=True),
    "softmax": lambda x: torch.softmax(x, 1),
    "number": lambda x: 1 - 2 * x / 3,
    "same shape": lambda x: x + x,
    "broadcast": lambda x: _x(6, 1, 1) * x - _x(2, 1, 17, 1),
    "broadcast wider": lambda x: torch.maximum(x[:, :1], x),
    "three": lambda x: torch.addcmul(x, _x(6, 1, 1), x),
    "batch norm": lambda x: F.batch_norm(x, _x(6), _x(6), _x(6), _x(6)),
    "instance norm": lambda x: F.instance_norm(x),
    "group norm": lambda x: F.group_norm(x, 3, _x(6), _x(6)),
    "layer norm": lambda x: F.layer_norm(x, x.shape[2:]),
    "convolution": lambda x: F.conv2d(x, _x(4, 3, 5, 3), _x(4), (2, 3), (1, 4), (2, 1), 2),
    "transposed": lambda x: F.conv_transpose2d(x, _x(6, 2, 4, 3), None, 2, 1, 1, 3, (1, 2)),
    "max pool": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max pool in steps": lambda x: F.max_pool2d(x, 3, dilation=2),
    "average pool": lambda x: F.avg_pool2d(x, (2, 5)),
    "pad": lambda x: F.pad(x, (1, 2, 3, -4)),
    "pad channels": lambda x: F.pad(x, (0, 0, 0, 0, 0, 3), value=1.0),
    "reflect": lambda x: F.pad(x, (11, 0, 16, 2), mode="reflect"),
    "replicate": lambda x: F.pad(x, (30, 0, 0, 50), mode="replicate"),
    "nearest": lambda x: F.interpolate(x, scale_factor=(2, 1.7)),
    "bilinear": lambda x: F.interpolate(x, (5, 40), mode="bilinear"),
    "half": lambda x: F.interpolate(x, scale_factor=0.5, mode="bicubic"),
    "cat": lambda x: torch.cat([x, x[:, :2], x], 1),
    "cat from the end": lambda x: torch.cat([x, x], -1),
    "mean": lambda x: x.mean((-1, 2), keepdim=True),
    "mean of an axis": lambda x: x.mean(1),
    "sum of all": lambda x: x.sum(),
    "variance and mean": lambda x: torch.var_mean(x, (2, 3), keepdim=True),
    "deviation": lambda x: x.std(),
    "deviation of rows": lambda x: torch.std(x, (1, -1), correction=0),
    "global pool": lambda x: F.adaptive_avg_pool2d(x, 1),
    "linear": lambda x: F.linear(x, _x(5, 12), _x(5)),
    "product": lambda x: _x(3, 17) @ x[0, 0] @ _x(12),
    "many products": lambda x: x.transpose(2, 3) @ x,
    "a part": lambda x: F.relu(x[:, 1:3, ::2, 4:9]),
    "convolution of a part": lambda x: F.conv2d(x[..., :9], _x(4, 6, 3, 3)),
    "cat of parts": lambda x: torch.cat([x[..., 2:7], x[..., :5]], 1),
    "pad of a part": lambda x: F.pad(x[:, :, 3:], (1, 1)),
    "pool of a part": lambda x: F.max_pool2d(x[:, 2:4], 2),
    "sum of parts": lambda x: x[..., 1:] + x[..., :-1],
    # Left to torch.
    "mixed types": lambda x: x + torch.ones(1, dtype=torch.float64, device="meta"),
    "of whole numbers": lambda x: torch.ones(3, dtype=torch.int32, device="meta") / 2,
    "in double": lambda x: x.sum((2, 3), dtype=torch.float64),
    "imaginary": lambda x: x * 2j,
    "permuted": lambda x: F.relu(x.permute(0, 2, 3, 1)),
    "rounded up": lambda x: F.max_pool2d(x, 2, ceil_mode=True),
    "same padding": lambda x: F.conv2d(x, _x(6, 6, 3, 3), padding="same"),
    "circular": lambda x: F.pad(x, (1, 2, 3, 4), mode="circular"),
}
WRONG: dict[str, Any] = {
    "broadcast": lambda x: x + _x(5, 1, 1),
    "channels": lambda x: F.conv2d(x, _x(6, 5, 3, 3)),
    "kernel": lambda x: F.conv2d(x, _x(6, 6, 31, 3)),
    "in place": lambda x: x[:, :1].contiguous().add_(x),
    "groups": lambda x: F.group_norm(x, 4),
    "vectors": lambda x: F.batch_norm(x, _x(5), _x(5)),
    "inner": lambda x: F.layer_norm(x, (17,)),
    "reflect": lambda x: F.pad(x, (12, 0), mode="reflect"),
    "pool": lambda x: F.max_pool2d(x, 2, padding=2),
    "cat": lambda x: torch.cat([x, x[..., 1:]], 1),
    "axis": lambda x: x.mean(4),
    "product": lambda x: x @ x,
    "linear": lambda x: F.linear(x, _x(5, 11)),
    "dims": lambda x: x.var((2, 2)),
}


class _Told(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.note(without_computing(func, args, kwargs or {}))

    def note(self, result: Any) -> Any:
        for one in result if isinstance(result, tuple) else [result]:
            self.seen.append((tuple(one.shape), one.dtype, one.stride(), one.device.type))
        return result


class _Torchs(_Told):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.note(func(*args, **(kwargs or {})))


@pytest.mark.parametrize("name", CALLS)
def test_the_result_is_like_torchs(name: str) -> None:
    found, expected = _Told(), _Torchs()
    with torch.inference_mode():
        for mode in (found, expected):
            image = _x(*IMAGE)
            with mode:
                CALLS[name](image)
    assert found.seen == expected.seen


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_as_by_torch(name: str) -> None:
    said = []
    for mode in (_Told(), _Torchs()):
        with (
            torch.inference_mode(),
            pytest.raises((RuntimeError, ValueError, IndexError)) as error,
            mode,
        ):
            WRONG[name](_x(*IMAGE))
        said.append(str(error.value))
    assert said[0] == said[1]


def test_what_is_written_into_is_given_back() -> None:
    image = _x(*IMAGE)
    with torch.inference_mode(), _Told():
        assert nn.ReLU(inplace=True)(image) is image
