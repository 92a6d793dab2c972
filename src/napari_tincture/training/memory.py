"""Less memory for more time: activations that are computed again when they are needed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

BUFFERS = frozenset({"running_mean", "running_var", "num_batches_tracked"})


def recompute(network: nn.Module) -> int:
    """Let the repeated blocks of a network forget what they computed until its gradient needs it.

    Blocks are the residual blocks, U-Net levels and the like: modules with layers inside that
    have a sibling of their own type (an ``nn.Sequential`` only in an ``nn.ModuleList`` or another
    ``nn.Sequential``), or that hold one, as nested U-Nets do: then the outermost. Gradients,
    dropout and running statistics are the same; keys of the state dict, too. Blocks with memories
    of other kinds, such as spectral norm's, are left as they are, for another pass would change
    them.

    Returns
    -------
    int
        How many blocks there are.

    References
    ----------
    Chen et al. 2016, Training deep nets with sublinear memory cost.
    """
    blocks = list(_blocks(network))
    for block in blocks:
        kind: Any = type(block)
        block.__class__ = _recomputing(kind)
    return len(blocks)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    alike = Counter(type(child) for child in module.children())
    listed = isinstance(module, nn.Sequential | nn.ModuleList)
    for child in module.children():
        repeated = alike[type(child)] > 1 and (listed or not isinstance(child, nn.Sequential))
        if (repeated or _holds_its_kind(child)) and _can_recompute(child):
            yield child
        elif not isinstance(child, _Recomputing):
            yield from _blocks(child)


def _holds_its_kind(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential | nn.ModuleList):
        return False
    return sum(type(inner) is type(module) for inner in module.modules()) > 1


def _can_recompute(block: nn.Module) -> bool:
    if isinstance(block, nn.ModuleList | _Recomputing) or not any(True for _ in block.children()):
        return False
    hooks = any(inner._forward_pre_hooks or inner._forward_hooks for inner in block.modules())
    names = {name.rpartition(".")[2] for name, _ in block.named_buffers()}
    return names <= BUFFERS and not hooks


class _Recomputing:
    """Mixed into the class of a block, which keeps its name, layers and keys."""


@functools.cache
def _recomputing(kind: type[nn.Module]) -> type[nn.Module]:
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        plain = functools.partial(kind.forward, self, **kwargs)
        if not (self.training and torch.is_grad_enabled()):
            return plain(*args)
        contexts = functools.partial(_contexts, self)
        return checkpoint(plain, *args, use_reentrant=False, context_fn=contexts)

    return type(kind.__name__, (_Recomputing, kind), {"forward": forward})


def _contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _same_statistics(block)


@contextmanager
def _same_statistics(block: nn.Module) -> Iterator[None]:
    # The second pass must not count into running averages again.
    norms = [inner for inner in block.modules() if isinstance(inner, _BatchNorm)]
    buffers = [buffer for norm in norms for buffer in norm.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
