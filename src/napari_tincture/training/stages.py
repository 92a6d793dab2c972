"""Training from coarse to fine: generators on reduced images, then what adds their details.

As in pix2pixHD (Wang et al., CVPR 2018, section 3.2): the coarse generators learn first, then the
enhancers while the generators within stay as they are, then all together.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.networks.coarse_to_fine import CoarseToFine
from napari_tincture.training.loop import Figures, Trainer, Validate
from napari_tincture.training.objective import Batch, Losses, Objective, Update, fixed
from napari_tincture.training.schedule import Schedule

Learns = Literal["inner", "enhancers", "all"]
Networks = Mapping[str, nn.Module]
ARCHITECTURE = "coarse_to_fine"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a training in which some of the generators' weights learn.

    Attributes
    ----------
    name
        As people call it.
    learns
        "inner": the generators within alone, on reduced images, which the discriminators judge,
        too. "enhancers": the rest, while those stay as they are. "all" together.
    steps
        How long; None, of the last stage alone: to the end of the training.
    """

    name: str
    learns: Learns
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.learns not in get_args(Learns):
            raise InputError(
                f"Stage {self.name!r} learns {self.learns!r}: expected one of "
                f"{', '.join(get_args(Learns))}."
            )


def usual_stages(steps: int) -> tuple[Stage, ...]:
    """Half of the steps for the coarse generators, a twentieth for the enhancers, then both.

    The shares are those of pix2pixHD's published trainings: 200 epochs, 20, and 180.
    """
    return (
        Stage("coarse", "inner", max(steps // 2, 1)),
        Stage("enhancer", "enhancers", max(steps // 20, 1)),
        Stage("both", "all"),
    )


def check_stages(
    name: str, stages: Sequence[Stage], networks: Mapping[str, Part], steps: int
) -> None:
    """Raise `InputError` unless a recipe's stages can be gone through."""
    lengths = [stage.steps for stage in stages]
    if lengths[-1] is not None or any(length is None or length < 1 for length in lengths[:-1]):
        raise InputError(
            f"Recipe {name!r} has stages of {lengths} steps: expected at least 1 for each but the "
            "last, which goes on to the end and has None."
        )
    known = sum(length or 0 for length in lengths)
    if known >= steps:
        raise InputError(
            f"The stages of recipe {name!r} take {known} steps before the last one, which leaves "
            f"nothing of {steps} for it. Make them shorter, or the training longer."
        )
    plain = [n for n in ("forward", "backward") if n in networks and not _is_staged(networks[n])]
    if plain:
        raise InputError(
            f"Recipe {name!r} has stages, but its networks {', '.join(plain)} are no "
            f"{ARCHITECTURE!r} generators. Take preset(…, coarse_to_fine=True), or no stages."
        )
    levels = {n: p.options.get("levels", 1) for n, p in networks.items() if _is_staged(p)}
    if len(set(levels.values())) > 1:
        raise InputError(
            f"Recipe {name!r} has generators of {levels} levels: the discriminators judge all of "
            "them on images of one size. Give them as many levels."
        )


def coarse_to_fine_parts(parts: Mapping[str, Part], levels: int, noise: int) -> dict[str, Part]:
    """The parts of a family with its generators inside coarse-to-fine ones."""
    drawn = 0 if "encoder" in parts else noise  # encoders' maps are smooth, not noise
    return {
        name: _enclosed(part, levels, drawn) if name in ("forward", "backward") else part
        for name, part in parts.items()
    }


def _enclosed(part: Part, levels: int, noise: int) -> Part:
    channels = {key: part.options[key] for key in ("in_channels", "out_channels")}
    inner = {key: value for key, value in part.options.items() if key not in channels}
    width = next((int(inner[key]) for key in ("ngf", "ch", "width") if key in inner), 64)
    # At twice the sides, half the channels, as published.
    fine = {"ngf": max(width // 2**levels, 4), "n_blocks_local": 3, "levels": levels}
    options = {**channels, "inner": part.architecture, "inner_options": inner, **fine}
    return Part(ARCHITECTURE, {**options, **({"noise": noise} if noise else {})})


def _is_staged(part: Part) -> bool:
    return part.architecture == ARCHITECTURE


def begin_coarse(networks: Iterable[nn.Module]) -> None:
    """Let generators give what those within do until their enhancers have learned."""
    for network in networks:
        if isinstance(network, CoarseToFine):
            network.begin_coarse()


class Staged:
    """A family's objective on whole images, and the same on reduced ones."""

    def __init__(self, networks: Networks, make: Callable[[Networks], Objective]) -> None:
        self.whole = make(networks)
        self.networks, self.groups = self.whole.networks, self.whole.groups
        generators = [n for n in networks.values() if isinstance(n, CoarseToFine)]
        self._inner = [network.inner for network in generators]
        self._factor = 2 ** generators[0].levels
        self.coarse = make(
            {k: n.inner if isinstance(n, CoarseToFine) else n for k, n in networks.items()}
        )
        self.learns: Learns = "all"

    @property
    def at_work(self) -> Networks:
        """The networks that a step runs."""
        return (self.coarse if self.learns == "inner" else self.whole).networks

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step, as the family does."""
        if self.learns == "inner":
            return self.coarse.step(self._reduced(batch), update)
        with ExitStack() as stack:
            if self.learns == "enhancers":
                stack.enter_context(fixed(*self._inner))
            return self.whole.step(batch, update)

    def _reduced(self, batch: Batch) -> dict[str, Tensor]:
        factor = self._factor
        return {
            name: functional.avg_pool2d(item, factor) if item.ndim == 4 else item
            for name, item in batch.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """What either objective remembers: image pools have images of one size."""
        return {"coarse": self.coarse.state_dict(), "whole": self.whole.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.coarse.load_state_dict(state["coarse"])
        self.whole.load_state_dict(state["whole"])


class StagedTrainer(Trainer):
    """Goes through stages in one run with one checkpoint.

    Averaged weights and the optimisers' memories go on from stage to stage. The log and the
    history have a value "stage", which counts from 1. The best weights are those of the last
    stage's best validation.
    """

    objective: Staged

    def __init__(
        self,
        objective: Staged,
        schedule: Schedule,
        device: Any = "cpu",
        *,
        stages: Sequence[Stage],
        **options: Any,
    ) -> None:
        self.stages = tuple(stages)
        lengths = (stage.steps or 0 for stage in stages[:-1])
        self._starts = list(itertools.accumulate(lengths, initial=0))
        rate = functools.partial(staged_rate, schedule, stages)
        super().__init__(objective, schedule, device, rate=rate, **options)

    def stage(self, step: int) -> int:
        """Number of the stage that a step belongs to, from 0; so are the steps."""
        return bisect.bisect_right(self._starts, step) - 1

    def at_work(self) -> Collection[nn.Module]:
        """The networks that the next step runs."""
        return self.objective.at_work.values()

    def advance(self, batch_of: Callable[[int], Batch]) -> dict[str, float]:
        """Take one step of its stage and return its losses."""
        if self.step in self._starts[1:]:
            self.best, self.best_score = None, -math.inf
        self.objective.learns = self.stages[self.stage(self.step)].learns
        return super().advance(batch_of)

    def _rates(self) -> dict[str, float]:
        return {"stage": self.stage(self.step - 1) + 1.0, **super()._rates()}

    def _validated(self, validate: Validate | None, losses: Figures) -> dict[str, float]:
        stage = self.stage(self.step - 1) + 1.0
        return super()._validated(validate, {"stage": stage, **losses})


def staged_rate(schedule: Schedule, stages: Sequence[Stage], step: int, group: str) -> float:
    """Learning rate of a group in a step, from 0.

    As published the schedule is gone through twice: while the generators within learn alone, and
    again from there to the end.
    """
    coarse = itertools.takewhile(lambda stage: stage.learns == "inner", stages[:-1])
    turn = sum(stage.steps or 0 for stage in coarse)
    if step < turn:
        return _shortened(schedule, turn).rate(step, group)
    return _shortened(schedule, schedule.steps - turn).rate(step - turn, group)


@functools.cache
def _shortened(schedule: Schedule, steps: int) -> Schedule:
    """The schedule of a shorter training, which decays after the same share of it."""
    share = steps / schedule.steps
    hold = math.floor(schedule.hold * share)
    return dataclasses.replace(
        schedule, steps=steps, hold=hold, warmup=math.floor(schedule.warmup * share)
    )
