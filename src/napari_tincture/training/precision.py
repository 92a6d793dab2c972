"""Networks in half precision, losses in full."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.precision import has_bfloat16, warn_if_slow

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def chosen_precision(precision: str, device: torch.device) -> str:
    """What networks are trained in on a device: "auto" is bfloat16 where the device has units.

    Warns of bfloat16 on a processor without them.
    """
    if precision == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    warn_if_slow(precision, device, "a step of the training")
    return precision


@contextmanager
def reduced(networks: Iterable[nn.Module], precision: str, device: torch.device) -> Iterator[None]:
    """Let networks compute in `precision` and give float32, so that losses are computed in it."""
    if precision == "float32":
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, DTYPES[precision]))
        for network in networks:
            handle = network.register_forward_hook(lambda _module, _args, output: _full(output))
            stack.callback(handle.remove)
            if hasattr(network, "detailed"):
                shadowed: Any = network
                shadowed.detailed = _wrapped(shadowed.detailed)
                stack.callback(delattr, network, "detailed")
        yield


def forget_casts() -> None:
    """Cast weights anew: autocast would use the copies it made before the last update."""
    torch.clear_autocast_cache()


def _wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: _full(method(*args, **kwargs))


def _full(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float() if output.is_floating_point() else output
    if isinstance(output, dict):
        return {key: _full(value) for key, value in output.items()}
    if isinstance(output, list | tuple):
        return type(output)(_full(value) for value in output)
    return output
