"""The training loop: steps, averaged weights, checkpoints, and resuming from them.

A step's data and dropout depend on the seed and the step's number alone, so that a resumed run
is the same run.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_tincture.progress import CancelToken, Progress
from napari_tincture.training.losses import LossTerm, total

Batch = tuple[Tensor, Tensor]
"""Input and target, (b, c, y, x) float32 each."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn.

    `ema` is the decay of the averaged weights; `precision` "bfloat16" runs the network (not
    the losses) in it; `save_every` and `validate_every` count steps.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 50
    final_lr: float = 0.01
    weight_decay: float = 1e-2
    ema: float = 0.998
    clip: float = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    save_every: int = 50
    validate_every: int = 200
    keep: Literal["last", "best"] = "last"
    seed: int = 0


class Trainer:
    """A network in training, with all that has to survive an interruption."""

    def __init__(
        self,
        network: nn.Module,
        losses: tuple[LossTerm, ...],
        schedule: Schedule,
        device: str = "cpu",
    ) -> None:
        self.network = channels_last(network).to(device)
        self.average: nn.Module = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.losses, self.schedule, self.device = losses, schedule, torch.device(device)
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(self.network, schedule.weight_decay), lr=schedule.lr
        )
        self.step = 0
        self.best_score = -math.inf
        self.best: dict[str, Tensor] | None = None
        self.history: list[dict[str, float]] = []

    def run(
        self,
        batch_of: Callable[[int], Batch],
        validate: Callable[[nn.Module], dict[str, float]] | None = None,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
        cancel: CancelToken | None = None,
    ) -> nn.Module:
        """Train up to the schedule's last step, from wherever `checkpoint` left off.

        Parameters
        ----------
        batch_of
            Gives the batch of a step; it must depend on the step's number only.
        validate
            Called with the averaged network; ``"score"`` of what it returns is maximised.

        Returns
        -------
        Module
            The averaged network of the last, or of the best validated, step.
        """
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
        while self.step < self.schedule.steps:
            if cancel is not None:
                cancel.check()
            loss = self.advance(batch_of(self.step))
            last = self.step == self.schedule.steps
            if validate is not None and (last or self.step % self.schedule.validate_every == 0):
                self._record(validate(self.average), loss)
            if checkpoint is not None and (last or self.step % self.schedule.save_every == 0):
                self.save(checkpoint)
            if progress is not None:
                progress(self.step, self.schedule.steps)
        if self.schedule.keep == "best" and self.best is not None:
            self.average.load_state_dict(self.best)
        return self.average

    def advance(self, batch: Batch) -> float:
        """Take one step and return its loss."""
        schedule = self.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(schedule, self.step)
        image, target = (item.to(self.device, memory_format=torch.channels_last) for item in batch)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(schedule.seed * 1_000_003 + self.step)
            self.network.train()
            low = schedule.precision == "bfloat16"
            with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
                prediction = self.network(image)
            loss = total(self.losses, prediction, target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), schedule.clip)
        self.optimiser.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    def _average(self) -> None:
        # The usual correction: early on, average over the steps there have been.
        decay = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            new = self.network.state_dict()
            for key, value in self.average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(new[key], 1 - decay)
                else:
                    value.copy_(new[key])

    def _record(self, figures: dict[str, float], loss: float) -> None:
        self.history.append({"step": float(self.step), "loss": loss, **figures})
        if figures["score"] > self.best_score:
            self.best_score = figures["score"]
            self.best = {k: v.clone() for k, v in self.average.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically."""
        state: dict[str, Any] = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
            "best_score": self.best_score,
            "history": self.history,
        }
        part = path.with_suffix(path.suffix + ".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same recipe; no code in it is run."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best = state["step"], state["best"]
        self.best_score, self.history = state["best_score"], state["history"]


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its weights in the memory order that convolutions are fastest in."""
    # torch's type stubs lack this overload.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up, then a half cosine down to ``final_lr`` of the peak."""
    if step < schedule.warmup:
        return schedule.lr * (step + 1) / schedule.warmup
    done = (step - schedule.warmup) / max(schedule.steps - schedule.warmup, 1)
    low = schedule.final_lr
    return schedule.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    # Biases and the gains of normalisations are not pulled to zero.
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
