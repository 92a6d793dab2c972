"""One training on several GPUs or nodes, through Lightning Fabric.

Every process takes a step on its own crops; gradients are averaged over all of them before an
optimiser steps, so that the weights stay the same everywhere. Gradients are averaged here and not
by DistributedDataParallel, whose hooks act on one forward pass of one wrapped module per backward
pass: objectives run networks several times, by other methods than ``forward``, and hold some fixed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.errors import DeviceError


def start_fabric(
    devices: int | str = "auto",
    nodes: int = 1,
    *,
    accelerator: str = "auto",
    strategy: str = "ddp",
) -> Any:
    """Start, or join, the processes of a training.

    Called at the top of a script, which is run once per process; on a cluster by ``srun`` or
    ``torchrun``, else it starts the others itself.

    Returns
    -------
    lightning_fabric.Fabric
        For ``Trainer(..., fabric=...)``.

    Raises
    ------
    DeviceError
        Lightning Fabric is not installed.
    """
    try:
        lightning = importlib.import_module("lightning_fabric")
    except ImportError as error:
        raise DeviceError(
            "Training on several GPUs needs Lightning Fabric: pip install 'napari-tincture[gpus]'."
        ) from error
    fabric = lightning.Fabric(
        accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy
    )
    fabric.launch()
    return fabric


class Peers:
    """The processes that train together; without a Fabric this one alone."""

    def __init__(self, fabric: Any = None) -> None:
        self._fabric = fabric
        self.rank: int = 0 if fabric is None else fabric.global_rank
        self.size: int = 1 if fabric is None else fabric.world_size

    def backward(self, loss: Tensor) -> None:
        """Compute gradients."""
        if self._fabric is None:
            loss.backward()
        else:
            self._fabric.backward(loss)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one message per type."""
        if self.size == 1:
            return
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            kinds.setdefault(tensor.dtype, []).append(tensor)
        with torch.no_grad():
            for same in kinds.values():
                flat = torch.cat([tensor.reshape(-1) for tensor in same])
                flat = self._fabric.all_reduce(flat, reduce_op="mean")
                parts = flat.split([tensor.numel() for tensor in same])
                for tensor, part in zip(same, parts, strict=True):
                    tensor.copy_(part.view(tensor.shape))

    def agree(self, networks: Iterable[nn.Module]) -> None:
        """Give all processes the first one's weights and buffers."""
        if self.size == 1:
            return
        for network in networks:
            for tensor in network.state_dict().values():
                torch.distributed.broadcast(tensor, 0)

    def average_buffers(self, networks: Iterable[nn.Module]) -> None:
        """Give all processes the same running statistics."""
        if self.size > 1:
            buffers = (buffer for network in networks for buffer in network.buffers())
            self.average(buffer for buffer in buffers if buffer.is_floating_point())

    def any(self, *flags: bool) -> list[bool]:
        """Tell of each flag whether some process raised it."""
        if self.size == 1:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.float32, device=self._fabric.device)
        return [bool(count) for count in self._fabric.all_reduce(raised, reduce_op="sum")]

    def from_first(self, make: Callable[[], Any]) -> Any:
        """Let the first process make something small, and give it to all."""
        if self.size == 1:
            return make()
        return self._fabric.broadcast(make() if self.rank == 0 else None)

    def gather(self, state: Any) -> list[Any]:
        """Collect the state of every process, in order."""
        if self.size == 1:
            return [state]
        states: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(states, _on_cpu(state))
        return states


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(item) for item in value)
    return value
