"""What all samplers share: whom they ask, whom they tell; and finding them by their names."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import Tensor

from napari_tincture.by_name import own_modules
from napari_tincture.diffusion.options import Option, options_of
from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.diffusion.steps import Times
from napari_tincture.errors import InputError

ROOM = "napari_tincture.diffusion.samplers"
OWN = ("denoise", "x", "schedule", "times", "noise", "callback", "steps")
"""Arguments that samplers are given by those who run them; all others are a person's to choose."""

Noise = Callable[[int], Tensor]
"""Standard normal noise of the image's shape for a step, counted from 0."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A step that was taken.

    Attributes
    ----------
    number, of
        Counted from 1, and how many there are; the last is the one to the image.
    x, image
        (b, c, y, x): the image as noisy as it is after the step, and the guess of the clean one
        that the step was made from.
    """

    number: int
    of: int
    x: Tensor
    image: Tensor


Callback = Callable[[Moment], None]


def silent(moment: Moment) -> None:
    """Tell nobody."""


def sampler_names() -> tuple[str, ...]:
    """Names of all samplers, sorted."""
    return tuple(sorted(own_modules(ROOM, frozenset())))


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler with what was chosen for it.

    Attributes
    ----------
    name
        A file of `napari_tincture.diffusion.samplers`.
    options
        Its own arguments.
    """

    name: str
    options: dict[str, Any]

    @property
    def stochastic(self) -> bool:
        """Whether it adds noise on the way."""
        found: bool = self._file.adds_noise(**self._of(self._file.adds_noise))
        return found

    @property
    def local(self) -> bool:
        """Whether a place of the image depends on what it asks there alone."""
        return not self.options.get("threshold")

    def times(self, schedule: NoiseSchedule, steps: int) -> Times:
        """Indices that it visits, the noisiest first; where it ends at one, that too."""
        found: Times = self._file.times(schedule, steps, **self._of(self._file.times))
        return found

    def evaluations(self, times: Times) -> int:
        """How often it asks the denoiser on its way from the first of the times."""
        found: int = self._file.evaluations(times, **self._of(self._file.evaluations))
        return found

    def __call__(
        self, denoise: Any, x: Tensor, schedule: NoiseSchedule, times: Times,
        *, noise: Noise, callback: Callback = silent,
    ) -> Tensor:  # fmt: skip
        """Make a clean image of one that is as noisy as at the first of the times."""
        own = self._of(self._file.sample)
        found: Tensor = self._file.sample(
            denoise, x, schedule, times, noise=noise, callback=callback, **own
        )
        return found

    @property
    def _file(self) -> ModuleType:
        return importlib.import_module(f"{ROOM}.{self.name}")

    def _of(self, function: Callable[..., Any]) -> dict[str, Any]:
        known = inspect.signature(function).parameters
        return {name: value for name, value in self.options.items() if name in known}


def find_sampler(name: str, **options: Any) -> Sampler:
    """A sampler by its name, with what was chosen for it.

    Raises
    ------
    InputError
        If there is none, it has no such option, or the option no such value; the message lists
        what there is.
    """
    if name not in sampler_names():
        raise InputError(f"Unknown sampler {name!r}; known are {', '.join(sampler_names())}.")
    known = sampler_choices(name)
    strange = sorted(options.keys() - known.keys())
    if strange:
        raise InputError(
            f"Sampler {name!r} has no option {', '.join(strange)}; it has "
            f"{', '.join(known) or 'none'}."
        )
    for key, value in options.items():
        known[key].check(key, value)
    return Sampler(name, dict(options))


def sampler_options(name: str) -> dict[str, Any]:
    """Options of a sampler, with what they are if nothing is chosen."""
    return {key: option.default for key, option in sampler_choices(name).items()}


def sampler_choices(name: str) -> dict[str, Option]:
    """Options of a sampler, with what they may be."""
    file = importlib.import_module(f"{ROOM}.{name}")
    return options_of((file.times, file.sample), OWN)
