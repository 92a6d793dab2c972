"""How long and how fast to learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from napari_tincture.errors import InputError

Decay = Literal["cosine", "constant", "linear", "exponential", "step"]
Optimiser = Literal["adamw", "adam", "sgd"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Unit = Literal["steps", "epochs"]
Keep = Literal["last", "best"]
_CHOICES: dict[str, Any] = {
    "decay": Decay,
    "optimiser": Optimiser,
    "precision": Precision,
    "unit": Unit,
    "keep": Keep,
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn, and how often to look at what was learned.

    Attributes
    ----------
    steps, warmup, save_every, validate_every
        Counted in steps, whatever `unit` says.
    lr, lr_discriminators
        Highest learning rate, and another for the group "discriminators" (Heusel et al. 2017,
        two time scales), or None for the same.
    warmup
        The learning rate rises from 0 over so many steps, with every decay.
    decay
        "cosine": half a wave down to `final_lr` of the highest rate. "constant". "linear":
        constant for `hold` units, then down in equal parts; in steps to 0 at the last one
        (U-GAT-IT), in epochs to one part above 0 in the last one (CycleGAN). "exponential": times
        `factor` per `every` units, a bit at every step. "step": times `factor` at the end of
        every `every` units.
    unit, epoch
        What `hold` and `every` count, and the number of steps in an epoch.
    optimiser, betas, weight_decay
        "adamw": decoupled decay of convolutions' and linear layers' weights alone (Loshchilov and
        Hutter 2019). "adam": L2 on all parameters, which is what published adversarial trainings
        mean by weight decay. "sgd": the first of `betas` is the momentum.
    ema
        Decay of the averaged weights of the generators; 0 keeps no averages.
    clip
        Longest gradient of a group of networks; longer ones are shortened. 0: never.
    precision
        What the networks compute in; losses are computed and weights kept in float32. "auto":
        bfloat16 where the device has units for it, else float32. A training that goes on may do
        so in another one.
    recompute
        Save memory: compute activations of residual blocks and U-Net levels again in the
        backward pass. The same numbers, about a third slower.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 50
    final_lr: float = 0.01
    weight_decay: float = 1e-2
    ema: float = 0.998
    clip: float = 1.0
    precision: Precision = "float32"
    save_every: int = 50
    validate_every: int = 200
    keep: Keep = "last"
    seed: int = 0
    optimiser: Optimiser = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    decay: Decay = "cosine"
    hold: int = 0
    every: int = 1
    factor: float = 0.9
    unit: Unit = "steps"
    epoch: int | None = None
    lr_discriminators: float | None = None
    recompute: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                raise InputError(
                    f"Unknown {name} {getattr(self, name)!r}: "
                    f"choose one of {', '.join(get_args(choices))}."
                )
        for name in ("steps", "save_every", "validate_every", "every"):
            if getattr(self, name) < 1:
                raise InputError(f"Expected {name} ≥ 1, got {getattr(self, name)}.")
        if self.unit == "epochs" and not (self.epoch and self.epoch > 0):
            raise InputError("With unit='epochs', set epoch to the number of steps in one.")
        if self.decay == "linear" and not 0 <= self.hold < self.units:
            raise InputError(
                f"Linear decay after hold={self.hold} {self.unit} needs a training that is "
                f"longer; this one has {self.units} {self.unit}."
            )

    @property
    def units(self) -> int:
        """Length of the training in steps or epochs, the last of which may be a short one."""
        return math.ceil(self.steps / self._per_unit)

    @property
    def _per_unit(self) -> int:
        return self.epoch if self.unit == "epochs" and self.epoch else 1

    def rate(self, step: int, group: str = "generators") -> float:
        """Learning rate of a group of networks in a step; the first step is 0."""
        peak = self.lr
        if group == "discriminators" and self.lr_discriminators is not None:
            peak = self.lr_discriminators
        rate = peak * self._share(step)
        return rate * (step + 1) / self.warmup if step < self.warmup else rate

    def calmer(self, precision: str) -> Iterator[str]:
        """What may help where a loss is no number; `precision` is what networks computed in."""
        yield f"a lower learning rate (now lr={self.lr:g})"
        yield f"a shorter gradient (now clip={self.clip:g}; 0 is none)"
        if precision != "float32":
            yield f"precision float32 (now {precision})"

    def _share(self, step: int) -> float:
        whole = step // self._per_unit
        if self.decay == "cosine":
            done = max(step - self.warmup, 0) / max(self.steps - self.warmup, 1)
            wave = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
            return self.final_lr + (1 - self.final_lr) * wave
        if self.decay == "linear":
            parts = self.units - self.hold + (self.unit == "epochs")
            return max(1 - max(whole + 1 - self.hold, 0) / parts, 0.0)
        if self.decay == "exponential":
            return float(self.factor ** (step / self._per_unit / self.every))
        return float(self.factor ** (whole // self.every)) if self.decay == "step" else 1.0
