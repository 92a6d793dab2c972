"""The training loop: steps, averaged weights, checkpoints, and resuming from them.

A step's data and dropout depend on the seed and the step's number alone, or on what the
checkpoint holds, so that a resumed run is the same run.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.errors import Cancelled, InputError, TrainingError
from napari_tincture.models.weights import fill_network
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.training.averages import Averages, State, states
from napari_tincture.training.checkpoints import load_checkpoint, save_checkpoint
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.fabric import Peers
from napari_tincture.training.log import Log, writing
from napari_tincture.training.memory import recompute
from napari_tincture.training.memory_order import channels_last, moved
from napari_tincture.training.objective import Batch, Objective
from napari_tincture.training.optimisers import Group
from napari_tincture.training.pace import Pace
from napari_tincture.training.precision import chosen_precision, reduced
from napari_tincture.training.schedule import Schedule
from napari_tincture.training.seeds import seeded

Figures = Mapping[str, float]
Validate = Callable[[Mapping[str, nn.Module]], Figures]


class Trainer:
    """Networks in training, with all that has to survive an interruption.

    Parameters
    ----------
    recipe
        JSON of everything that decides what the training gives. A checkpoint of another one is
        refused. Its field "schedule" holds the schedule's. None: the schedule alone.
    rate
        Learning rate in a step of a group, instead of the schedule's.
    as_now
        Completes a recipe that an earlier release wrote.
    fabric
        A launched ``lightning_fabric.Fabric``, whose device is used; every process trains on
        batches of its own (`rank`), and the first one writes and validates.

    Attributes
    ----------
    step, saved
        Steps taken, and those that the checkpoint holds; -1 where there is none.
    precision
        What the networks compute in on this device.
    begun
        What weights were taken from elsewhere, for the model's card; empty: none.
    """

    def __init__(
        self,
        objective: Objective,
        schedule: Schedule,
        device: str | torch.device = "cpu",
        *,
        recipe: Mapping[str, Any] | None = None,
        fabric: Any = None,
        rate: Callable[[int, str], float] | None = None,
        as_now: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        self.objective, self.schedule = objective, schedule
        self._as_now = as_now
        self.rate = rate or schedule.rate
        self.device = torch.device(device if fabric is None else fabric.device)
        self.precision = chosen_precision(schedule.precision, self.device)
        self._steps_in: dict[str, int] = {}
        self.recipe = recipe or {"schedule": dataclasses.asdict(schedule)}
        self.peers = Peers(fabric)
        for network in objective.networks.values():
            channels_last(network).to(self.device)
        self.peers.agree(objective.networks.values())
        generators = {n: objective.networks[n] for n in objective.groups.get("generators", ())}
        self.averages = Averages(generators, schedule.ema)
        if schedule.recompute:
            for network in generators.values():
                recompute(network)
        self.groups = {name: self._group(name) for name in objective.groups}
        self.step = 0
        self.begun = ""
        self.best_score = -math.inf
        self.best: State | None = None
        self.history: list[dict[str, float]] = []
        self.saved = -1
        self._pace = Pace(max(schedule.validate_every, schedule.save_every))

    @property
    def rank(self) -> int:
        """Number of this process among those that train together."""
        return self.peers.rank

    def networks(self) -> dict[str, nn.Module]:
        """All networks by name, in inference mode, the generators with averaged weights."""
        networks = {**self.objective.networks, **self.averages.networks}
        return {name: network.eval() for name, network in networks.items()}

    @property
    def trained_in(self) -> str:
        """Precision of all steps so far; of several the number of steps in each."""
        counts = self._steps_in
        return ", ".join(f"{p} ({n} steps)" if len(counts) > 1 else p for p, n in counts.items())

    def at_work(self) -> Collection[nn.Module]:
        """The networks that the next step runs."""
        return self.objective.networks.values()

    def seconds_left(self) -> float | None:
        """Estimated time to the schedule's last step; None before the first step of a run."""
        return self._pace.seconds(self.schedule.steps - self.step)

    def run(
        self,
        batch_of: Callable[[int], Batch],
        validate: Validate | None = None,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
        cancel: CancelToken | None = None,
        *,
        control: Control | None = None,
        hooks: Hooks | None = None,
        logs: Sequence[Log] = (),
    ) -> dict[str, nn.Module]:
        """Train up to the schedule's last step, from wherever `checkpoint` left off.

        Parameters
        ----------
        batch_of
            Gives the batch of a step; it must depend on nothing but the step's number and the
            process's `rank`.
        checkpoint
            File to resume from, if it exists, and to save to; all processes must see it.
        validate
            Called with all networks, the generators averaged. Its figures go to the history;
            "score" among them is maximised where the schedule keeps the best.
        control
            Pauses the training, or ends it early, with a checkpoint and what was learned.
        logs
            Where losses, learning rates and figures are written.

        Returns
        -------
        dict
            All networks by name, the generators averaged, of the last step or, if the schedule
            keeps the best, with the weights that were validated best.

        Raises
        ------
        TrainingError
            A loss or gradient is not finite; the last checkpoint stays.
        OutputError
            The checkpoint or a log cannot be written; the previous checkpoint stays.
        Cancelled
            `cancel` was set, and what was learned after the last checkpoint is lost; or the
            training was suspended, and the checkpoint holds all of it.
        """
        if checkpoint is not None and self.peers.from_first(checkpoint.exists):
            self.load(checkpoint)
        control, hooks = control or Control(), hooks or Hooks()
        hooks.begin(self)
        with writing(() if self.rank else logs, self.step) as note, control.steps():
            while self.step < self.schedule.steps and not self._told_to_stop(control, cancel):
                self._pace.begin()
                losses = self.advance(batch_of)
                note(self.step, self._rates() | losses, self._validated(validate, losses))
                if checkpoint is not None and self._due(self.schedule.save_every):
                    self.save(checkpoint)
                hooks.after_step(self.step, losses, self.networks)
                self._pace.end()
                if progress is not None:
                    progress(self.step, self.schedule.steps)
        if checkpoint is not None and self.saved != self.step:
            self.save(checkpoint)
        control.check()
        if self.schedule.keep == "best" and self.best is not None:
            self.averages.load_state_dict(self.best)
        return self.networks()

    def advance(self, batch_of: Callable[[int], Batch]) -> dict[str, float]:
        """Take one step and return its losses."""
        networks = self.at_work()
        for network in networks:
            network.train()
        for name, group in self.groups.items():
            group.begin(self.rate(self.step, name))
        lengths: dict[str, Tensor] = {}

        def update(name: str, loss: Tensor) -> None:
            length = self.groups[name].lower(loss)
            if not self.groups[name].skips:
                lengths[f"gradient of the {name}"] = length

        with seeded(self.schedule.seed, self.step, self.rank, self.device):
            batch = moved(batch_of(self.step), self.device)
            with reduced(networks, self.precision, self.device):
                losses = self.objective.step(batch, update)
        self.peers.average_buffers(networks)
        values = self._checked({**losses, **lengths})
        self.step += 1
        self._steps_in[self.precision] = self._steps_in.get(self.precision, 0) + 1
        self.averages.update(self.step)
        return {name: values[name] for name in losses}

    def save(self, path: Path) -> None:
        """Write a checkpoint; a kill or a full disk at any moment leaves the previous one."""
        objectives = self.peers.gather(self.objective.state_dict())
        state = {
            "step": self.step,
            "precisions": self._steps_in,
            "networks": states(self.objective.networks),
            "averages": self.averages.state_dict(),
            "groups": {name: group.state_dict() for name, group in self.groups.items()},
            "objective": objectives,
            "best": self.best,
            "best_score": self.best_score,
            "history": self.history,
        }
        if not self.rank:
            save_checkpoint(path, state, self.recipe)
        self.saved = self.step

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same recipe; no code in it is run."""
        state = load_checkpoint(path, self.recipe, self.device, self._as_now)
        try:
            for name, network in self.objective.networks.items():
                fill_network(network, state["networks"][name], "the checkpoint")
            self.averages.load_state_dict(state["averages"])
            for name, group in self.groups.items():
                group.load_state_dict(state["groups"][name])
            objectives = state["objective"]
            self.objective.load_state_dict(objectives[min(self.rank, len(objectives) - 1)])
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{path} does not fit the networks in training: {error} "
                "Restore the recipe that it was begun with, or move it away to begin anew."
            ) from error
        self.step = self.saved = state["step"]
        self._steps_in = dict(state["precisions"])
        self.best, self.best_score = state["best"], state["best_score"]
        self.history = state["history"]

    def _due(self, every: int) -> bool:
        return self.step == self.schedule.steps or self.step % every == 0

    def _group(self, name: str) -> Group:
        networks = [self.objective.networks[member] for member in self.objective.groups[name]]
        return Group(name, networks, self.schedule, self.device, self.peers)

    def _checked(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        # One wait for the device; a number that is none on one process is none on all.
        flat = torch.stack([value.detach().float().to(self.device) for value in values.values()])
        self.peers.average([flat])
        numbers = dict(zip(values, flat.tolist(), strict=True))
        wrong = [f"{name} is {x}" for name, x in numbers.items() if not math.isfinite(x)]
        if wrong:
            kept = f"The checkpoint of step {self.saved} is kept. " if self.saved >= 0 else ""
            raise TrainingError(
                f"Training stopped in step {self.step + 1}: {', '.join(wrong)}. {kept}"
                f"Try {', or '.join(self.schedule.calmer(self.precision))}."
            )
        return numbers

    def _validated(self, validate: Validate | None, losses: Figures) -> dict[str, float]:
        if validate is None or not self._due(self.schedule.validate_every):
            return {}
        found = self.peers.from_first(lambda: dict(validate(self.networks())))
        figures = {name: float(value) for name, value in found.items()}
        self.history.append({"step": float(self.step), **losses, **figures})
        if figures.get("score", -math.inf) > self.best_score:
            self.best_score = figures["score"]
            if self.schedule.keep == "best":
                self.best = self.averages.copied()
        return figures

    def _rates(self) -> dict[str, float]:
        return {f"lr_{name}": self.rate(self.step - 1, name) for name in self.groups}

    def _told_to_stop(self, control: Control, cancel: CancelToken | None) -> bool:
        control.wait(cancel)
        cancelled, stopped = self.peers.any(
            cancel is not None and cancel.cancelled, control.stopped
        )
        if cancelled:
            raise Cancelled("The training was cancelled.")
        return stopped
