"""Random crops and what changes them: the same place and shape for input and target.

Every draw comes from the generators passed in, so that a step's crops depend on nothing but
its number and the recipe's seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_tincture.errors import InputError
from napari_tincture.training.images.elastic import gaussian_bend, grid_bend


@dataclass(frozen=True, slots=True)
class Augment:
    """How far crops and values may vary; the defaults change nothing.

    Geometry: `flips` upside down, left to right; `relief` upside down with the input's sign
    changed (shading by a light from above or below, as in differential interference contrast);
    `rot90` quarter turns; `rotate` degrees either way; `scale` limits of the zoom. Smooth
    displacements, see `training.elastic`: `elastic` pixels (standard deviation) on a grid of
    `elastic_grid` pixels, or of `elastic_knots` knots along a crop whatever its size
    (``elastic=10, elastic_knots=3``: U-Net, 2015); `elastic_alpha` times random numbers smoothed by
    a Gaussian of `elastic_sigma` pixels (Simard et al. 2003), alone or with the former.

    `resize`, unless 0, first makes the whole image so many pixels high and wide, as published for
    images of about the crop's size: 286 with crops of 256 (CycleGAN, pix2pix, U-GAT-IT). For images
    that are larger, ``scale=(286 / 256, 286 / 256)`` is the same jitter without reading the whole.

    Values, after normalisation: `gain` limits of a factor; `offset` and `noise` standard
    deviations; `gamma` limits of an exponent (for inputs in 0 … 1); `blur` largest Gaussian sigma
    in pixels, for a share `blur_share` of the crops; `focus` planes the stack may shift; `drop`
    probability of replacing a plane by its neighbour.

    Colours, in `value_range` after normalisation, see `training.colours`: `brightness`, `contrast`
    and `saturation` are how far a factor may be from 1, `hue` is how many turns it may shift, for
    inputs ("a") or for "both" domains, of a pair alike.
    """

    flips: tuple[bool, bool] = (False, False)
    relief: bool = False
    rot90: bool = False
    rotate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    elastic: float = 0.0
    elastic_grid: int = 32
    elastic_knots: int = 0
    elastic_alpha: float = 0.0
    elastic_sigma: float = 0.0
    gain: tuple[float, float] = (1.0, 1.0)
    offset: float = 0.0
    noise: float = 0.0
    gamma: tuple[float, float] = (1.0, 1.0)
    blur: float = 0.0
    blur_share: float = 0.5
    focus: int = 0
    drop: float = 0.0
    resize: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    value_range: tuple[float, float] = (-1.0, 1.0)
    colour_on: Literal["a", "both"] = "a"

    def __post_init__(self) -> None:
        if self.elastic_alpha and self.elastic_sigma < 1:
            raise InputError(
                f"elastic_alpha={self.elastic_alpha} needs elastic_sigma, the Gaussian's standard "
                f"deviation in pixels, of 1 or more (usually 4 or more); got "
                f"{self.elastic_sigma}."
            )
        if self.elastic_grid < 1 or self.elastic_knots < 0 or self.elastic_knots == 1:
            raise InputError(
                f"elastic_grid={self.elastic_grid}, elastic_knots={self.elastic_knots}: expected "
                "at least 1 pixel between knots, and at least 2 knots, or 0 for the grid."
            )

    @property
    def moves_whole_pixels(self) -> bool:
        """Whether crops hold the image's own values, at most turned and mirrored."""
        bent = self.elastic or self.elastic_alpha
        return not (self.rotate or bent or self.scale != (1.0, 1.0))


def random_crop(image: Tensor, size: int, augment: Augment, rng: np.random.Generator) -> Tensor:
    """Cut a square of `size` pixels, moved, turned, zoomed and bent as `augment` allows.

    Parameters
    ----------
    image
        (c, y, x) float32: input and target channels together, so that they stay aligned. Where
        the square reaches over the edge the image is mirrored.
    """
    matrix = random_matrix(augment, rng)
    height, width = image.shape[1:]
    reach = np.abs(matrix).sum(axis=1) * (size - 1) / 2  # half extent of the turned square: x, y
    centre = [_random_centre(n, r, rng) for n, r in zip((width, height), reach, strict=True)]
    return sample_at(image, places_of(size, matrix, centre, augment, rng))


def places_of(
    size: int, matrix: np.ndarray, centre: Sequence[float], augment: Augment,
    rng: np.random.Generator,
) -> Tensor:  # fmt: skip
    """Where each pixel of a crop comes from: (y, x, 2) float32, x then y in the image's pixels."""
    axis = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    turn = torch.tensor(matrix, dtype=torch.float32)
    # x' = (rows of y, 1, kernels) · (columns of the matrix, the centre, vectors): one product.
    rows = [torch.stack([axis, torch.ones(size)], dim=1)]
    columns = [turn[:, 1].expand(1, size, 2)]
    columns += [(axis[:, None] * turn[:, 0] + torch.tensor(centre, dtype=torch.float32))[None]]
    for kernel, vectors in _bends(size, augment, rng):
        rows.append(kernel)
        columns.append(vectors)
    places = torch.cat(rows, dim=1) @ torch.cat(columns).reshape(-1, 2 * size)
    return places.view(size, size, 2)


def sample_at(image: Tensor, places: Tensor) -> Tensor:
    """Values (c, y, x) of an image between its pixels, which is mirrored at its edges."""
    height, width = image.shape[1:]
    scale = 2 / torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=torch.float32)
    grid = torch.addcmul(torch.tensor(-1.0), places, scale)
    return functional.grid_sample(
        image[None], grid[None], mode="bilinear", padding_mode="reflection", align_corners=True
    )[0]


def sample_labels(labels: Tensor, places: Tensor, outside: int | None = None) -> Tensor:
    """Values of the nearest pixels, by the same places as those of an image.

    Parameters
    ----------
    labels
        (y, x) or (c, y, x) of any type: ids are neither mixed nor rounded.
    places
        (y, x, 2) float32, x then y in the labels' pixels.
    outside
        Value of pixels from beyond the labels' edge, such as that of unlabelled ones; None:
        they are mirrored there, as `sample_at` does.
    """
    height, width = labels.shape[-2:]
    inside = folded(places, (height, width))
    kind = torch.int32 if height * width < 2**31 else torch.int64  # half the memory is faster
    x, y = (plane.round().to(kind) for plane in inside.unbind(-1))
    values = labels.reshape(*labels.shape[:-2], -1)[..., y.mul_(width).add_(x)]
    if outside is None or inside is places:
        return values
    last = torch.tensor([width, height]) - 0.5
    beyond = ((places < -0.5) | (places > last)).any(dim=-1)
    return values.masked_fill(beyond, outside)


def folded(places: Tensor, shape: Sequence[int]) -> Tensor:
    """Places (y, x, 2) as x, y, those outside mirrored about the outermost pixels of (y, x)."""
    height, width = shape
    last = torch.tensor([width - 1, height - 1], dtype=places.dtype)
    ends = list(zip(limits_of(places), last.tolist(), strict=True))
    if all(low >= 0 and high <= end for (low, high), end in ends):
        return places
    period, inside = (2 * last).clamp_min(1), places.abs()
    # Mirroring more than once is rare and takes most of the time.
    if any(max(-low, high) > 2 * end for (low, high), end in ends):
        inside = inside % period
    return torch.minimum(torch.minimum(inside, period - inside), last)


def limits_of(places: Tensor) -> list[tuple[float, float]]:
    """Least and greatest x, and y. Plane by plane: over both at once it takes ten times as long."""
    limits = [plane.aminmax() for plane in places.unbind(-1)]
    return [(float(low), float(high)) for low, high in limits]


def flip_relief(
    image: Tensor, target: Tensor, augment: Augment, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Turn half of the pairs upside down, hills into hollows lit from the same side.

    For inputs (c, y, x) with mean 0 whose brightness is a slope along y: turned upside down and
    negated they look as if the same specimen had been placed the other way round.
    """
    if augment.relief and rng.random() < 0.5:
        return -image.flip(1), target.flip(1)
    return image, target


def vary_values(x: Tensor, augment: Augment, rng: np.random.Generator) -> Tensor:
    """Change the grey values of a normalised input (c, y, x) as `augment` allows."""
    x = _refocus(x, augment, rng)
    if augment.gamma != (1.0, 1.0):
        exponent = _log_uniform(augment.gamma, rng)
        x = x.sign() * x.abs() ** exponent
    if augment.blur and rng.random() < augment.blur_share:
        x = gaussian_blur(x, rng.uniform(0.0, augment.blur))
    gain = _log_uniform(augment.gain, rng)
    offset = rng.normal() * augment.offset
    x = x * gain + offset
    if augment.noise:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        strength = abs(rng.normal()) * augment.noise
        x = x + strength * torch.randn(x.shape, generator=generator)
    return x


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian of (c, y, x), mirrored at the edges; sigma in pixels."""
    radius = min(math.ceil(3 * sigma), x.shape[1] - 1, x.shape[2] - 1)
    if sigma < 0.1 or radius < 1:
        return x
    places = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    planes = functional.pad(x[:, None], (radius, radius, radius, radius), mode="reflect")
    planes = functional.conv2d(planes, kernel[None, None, :, None])
    return functional.conv2d(planes, kernel[None, None, None, :])[:, 0]


def random_matrix(augment: Augment, rng: np.random.Generator) -> np.ndarray:
    """From a crop's pixels (x, y), counted from its centre, to the image's."""
    flip_y, flip_x = (allowed and rng.random() < 0.5 for allowed in augment.flips)
    turns = int(rng.integers(4)) if augment.rot90 else 0
    angle = math.radians(rng.uniform(-1, 1) * augment.rotate)
    zoom = 1 / _log_uniform(augment.scale, rng)
    # Quarter turns by exact integers, so that crops without zoom or turn are not interpolated.
    quarter = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), turns)
    mirror = np.diag([-1 if flip_x else 1, -1 if flip_y else 1])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    result: np.ndarray = zoom * turn @ quarter @ mirror
    return result


def _random_centre(length: int, reach: float, rng: np.random.Generator) -> float:
    first, last = reach, length - 1 - reach
    if last <= first:
        return (length - 1) / 2
    return first + float(rng.integers(int(last - first) + 1))


def _bends(
    size: int, augment: Augment, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    if augment.elastic:
        knots = augment.elastic_knots or max(size // augment.elastic_grid, 1) + 3
        yield grid_bend(size, knots, augment.elastic, rng)
    if augment.elastic_alpha:
        yield gaussian_bend(size, augment.elastic_alpha, augment.elastic_sigma, rng)


def _refocus(x: Tensor, augment: Augment, rng: np.random.Generator) -> Tensor:
    planes = x.shape[0]
    order = np.arange(planes)
    if augment.focus:
        order = order + rng.integers(-augment.focus, augment.focus + 1)
    if augment.drop:
        lost = rng.random(planes) < augment.drop
        order = order + lost * rng.choice([-1, 1], size=planes)
    return x[torch.from_numpy(np.clip(order, 0, planes - 1))]


def _log_uniform(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = limits
    return math.exp(rng.uniform(math.log(low), math.log(high))) if high > low else low
