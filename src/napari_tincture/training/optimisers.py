"""How the weights of some networks are stepped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.training.fabric import Peers
from napari_tincture.training.precision import forget_casts
from napari_tincture.training.schedule import Schedule


class Group:
    """Networks that one optimiser steps together."""

    def __init__(
        self,
        name: str,
        networks: Iterable[nn.Module],
        schedule: Schedule,
        device: torch.device,
        peers: Peers,
    ) -> None:
        self.name, self.schedule, self.peers = name, schedule, peers
        self.device = device
        self.parameters = [p for network in networks for p in network.parameters()]
        self.optimiser = make_optimiser(self.parameters, schedule, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=schedule.precision == "float16")

    def begin(self, rate: float) -> None:
        """Set the learning rate of a step."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def lower(self, loss: Tensor) -> Tensor:
        """Step the weights against the gradient of a loss; gives the gradient's length."""
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, enabled=False):
            self.peers.backward(self.scaler.scale(loss))
            gradients = [p.grad for p in self.parameters if p.grad is not None]
            self.peers.average(gradients)
            self.scaler.unscale_(self.optimiser)
            length = self._clip(gradients)
            self.scaler.step(self.optimiser)
            self.scaler.update()
        forget_casts()
        return length

    @property
    def skips(self) -> bool:
        """Whether a gradient that is not finite is passed over, to try smaller ones."""
        return self.scaler.is_enabled()

    def _clip(self, gradients: list[Tensor]) -> Tensor:
        if self.schedule.clip:
            return nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip)
        lengths = [torch.linalg.vector_norm(gradient) for gradient in gradients]
        length: Tensor = torch.linalg.vector_norm(torch.stack(lengths))
        return length

    def state_dict(self) -> dict[str, Any]:
        """What an interruption must not lose."""
        return {"optimiser": self.optimiser.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.optimiser.load_state_dict(state["optimiser"])
        # Empty of a training that went on in another precision.
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])


def make_optimiser(
    parameters: list[nn.Parameter], schedule: Schedule, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser of a schedule."""
    if schedule.optimiser == "adam":
        return torch.optim.Adam(
            parameters,
            lr=schedule.lr,
            betas=schedule.betas,
            weight_decay=schedule.weight_decay,
            fused=device.type in ("cpu", "cuda"),  # six times as fast on a CPU
        )
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=schedule.lr,
            momentum=schedule.betas[0],
            weight_decay=schedule.weight_decay,
        )
    # Biases and the gains of normalisations are not pulled to zero.
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": schedule.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.lr, betas=schedule.betas)
