"""How a denoiser was trained, and how large images are made with it; a part of its card.

No torch here, as in `card`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from napari_tincture.errors import ModelError

Predicts = Literal["noise", "image", "velocity"]
Variance = Literal["small", "large", "learned"]
Time = Literal["index", "level"]
CHOICES = {"predicts": Predicts, "variance": Variance, "time": Time}


USUAL: Mapping[str, Any] = {"sampler": "ddim", "steps": 40, "guidance": 1.0}
"""How denoisers are asked of which nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Denoising:
    """What `napari_tincture.diffusion` needs to know of a denoiser.

    Attributes
    ----------
    schedule
        Arguments of `napari_tincture.diffusion.schedules.noise_schedule`: its "name", and the
        number of "steps" that the denoiser was trained with.
    predicts
        What its output is: the "noise" in the noisy image, the clean "image", or the "velocity"
        (Salimans and Ho 2022, appendix D).
    variance
        Of a step back (Ho et al. 2020, section 3.2): the "small" (posterior) or the "large" one;
        "learned": as many further output channels say where between them, in logarithms (Nichol
        and Dhariwal 2021, equation 15).
    time
        What it is told of the noise: the step's "index", from 0, or the noise "level", the square
        root of the share of the image's variance (Chen et al. 2021, section 3.2).
    guided
        Whether it also learned images of empty maps, which classifier-free guidance needs.
    window, overlap
        Side of the windows that an image larger than that is made of, and by how much they
        overlap, in pixels; both multiples of the denoiser's stride.
    coarse
        How many times smaller the image is made of which large images begin; 1: they begin with
        noise.
    coarse_level
        Noise level down to which the small image decides.
    usual
        How it draws best: "sampler", "steps" and "guidance" of `synthesize`, as far as they are
        others than 40 steps of "ddim" without guidance.
    """

    schedule: Mapping[str, Any] = field(default_factory=lambda: {"name": "linear", "steps": 1000})
    predicts: Predicts = "noise"
    variance: Variance = "small"
    time: Time = "index"
    guided: bool = False
    window: int = 256
    overlap: int = 48
    coarse: int = 1
    coarse_level: float = 0.5
    usual: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in get_args(choices):
                raise ModelError(
                    f"Unknown {name} {value!r} of a denoiser: choose one of "
                    f"{', '.join(get_args(choices))}."
                )
        if strange := sorted(self.usual.keys() - USUAL.keys()):
            raise ModelError(
                f"A denoiser's usual {', '.join(strange)}: expected any of {', '.join(USUAL)}."
            )
        if not 0 <= 2 * self.overlap <= self.window:
            raise ModelError(
                f"Windows of {self.window} pixels cannot overlap by {self.overlap}: expected at "
                "most half of their side."
            )

    def asked(self, sampler: str | None = None) -> dict[str, Any]:
        """Arguments of `synthesize` where nobody gives others than, perhaps, the sampler."""
        plain = {**USUAL, "steps": min(USUAL["steps"], int(self.schedule.get("steps", 1000)))}
        found = {**plain, **self.usual}
        if sampler in (None, found["sampler"]):
            return found
        return {**found, "sampler": sampler, "steps": plain["steps"]}
