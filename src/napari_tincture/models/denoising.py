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

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in get_args(choices):
                raise ModelError(
                    f"Unknown {name} {value!r} of a denoiser: choose one of "
                    f"{', '.join(get_args(choices))}."
                )
        if not 0 <= 2 * self.overlap <= self.window:
            raise ModelError(
                f"Windows of {self.window} pixels cannot overlap by {self.overlap}: expected at "
                "most half of their side."
            )
