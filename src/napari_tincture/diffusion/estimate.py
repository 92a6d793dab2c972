"""What a denoiser's output says of the clean image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from napari_tincture.diffusion.schedules import NoiseSchedule
from napari_tincture.errors import InputError
from napari_tincture.models.denoising import Denoising, Predicts

Predict = Callable[[Tensor, float], Tensor]
"""A network's output (b, c', y, x) for a noisy image (b, c, y, x) at a step's index."""

Share = float | Tensor
"""Of the variance, what is the image's own; a tensor is broadcast."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A guess of the clean image, and of the noise in the noisy one.

    Attributes
    ----------
    image, noise
        (b, c, y, x) float32.
    between
        (b, c, y, x) from -1 to 1: where between the smallest and the largest variance the next
        step's lies, of networks that learned it; None of others.
    """

    image: Tensor
    noise: Tensor
    between: Tensor | None = None


Denoise = Callable[[Tensor, float], Estimate]
"""What samplers ask of a noisy image at a step's index, which may lie between two steps."""


def as_denoise(
    predict: Predict, schedule: NoiseSchedule, denoising: Denoising, clip: float | None = 1.0
) -> Denoise:
    """Let a network's output be read as its card says.

    Parameters
    ----------
    clip
        Largest magnitude of the clean image, whose noise is computed again then; None: any.
    """

    def denoise(x: Tensor, time: float) -> Estimate:
        output = predict(x, time)
        channels = x.shape[1]
        wanted = channels * (2 if denoising.variance == "learned" else 1)
        if output.shape[1] != wanted:
            raise InputError(
                f"The denoiser gave {output.shape[1]} channels for {channels}; with variance "
                f"{denoising.variance!r} {wanted} are expected."
            )
        between = output[:, channels:] if denoising.variance == "learned" else None
        share = schedule.alpha_bar(time)
        image, noise = estimated(x, output[:, :channels], share, denoising.predicts)
        if clip is not None:
            image = image.clamp(-clip, clip)
            noise = noise_in(x, image, share)
        return Estimate(image, noise, between)

    return denoise


def factors(share: Share, like: Tensor) -> tuple[Any, Any]:
    """Of the image and of the noise in a noisy image; tensors are of the type of `like`.

    Of nearly clean images 1 - share has few digits left in float32, so shares are float64.
    """
    kept, added = share**0.5, (1 - share) ** 0.5
    if isinstance(share, Tensor):
        return kept.to(like.dtype), added.to(like.dtype)
    return kept, added


def estimated(x: Tensor, output: Tensor, share: Share, predicts: Predicts) -> tuple[Tensor, Tensor]:
    """Clean image and noise of a noisy image whose share of variance is given."""
    if predicts == "noise":
        return image_in(x, output, share), output
    if predicts == "image":
        return output, noise_in(x, output, share)
    kept, added = factors(share, x)
    return kept * x - added * output, added * x + kept * output


def image_in(x: Tensor, noise: Tensor, share: Share) -> Tensor:
    """The clean image that noise makes a noisy one of."""
    kept, added = factors(share, x)
    found: Tensor = (x - added * noise) / kept
    return found


def noise_in(x: Tensor, image: Tensor, share: Share) -> Tensor:
    """The noise that makes a noisy image of a clean one; of none at all, some number."""
    kept, added = factors(share, x)
    found: Tensor = (x - kept * image) / (added + (added == 0))
    return found


def noised(image: Tensor, noise: Tensor, share: Share) -> Tensor:
    """A clean image with noise, so that `share` of the variance is its own."""
    kept, added = factors(share, image)
    found: Tensor = kept * image + added * noise
    return found


def velocity(image: Tensor, noise: Tensor, share: Share) -> Tensor:
    """What a network that predicts velocities learns (Salimans and Ho 2022, appendix D)."""
    kept, added = factors(share, image)
    found: Tensor = kept * noise - added * image
    return found
