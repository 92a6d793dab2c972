"""Batches for training: a pure function of the recipe and the step, read lazily."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from napari_tincture.errors import InputError
from napari_tincture.training.images.augment import Augment, flip_relief, vary_values
from napari_tincture.training.images.colours import draw_shift
from napari_tincture.training.images.crops import Crops, Scene
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.names import listed
from napari_tincture.training.images.pairs import Pairs

Order = Literal["random", "epoch"]
Pad = Literal["error", "mirror"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How crops are drawn; serialisable to JSON.

    Attributes
    ----------
    crop, batch, pair_batch
        Side of the square crops in pixels; crops per step, and pairs per step beside unpaired
        crops (None: as many).
    order
        "random": an image is drawn with a probability proportional to the square root of its
        area. "epoch": every image once, in an order that is shuffled anew each time.
    foreground
        Share of the crops of which at least 1 % must be foreground, see `training.foreground`;
        of pairs, the target.
    excluded
        Largest share of a crop that masks may exclude.
    pad
        What to do with images smaller than the crop: an "error", or "mirror" them.
    """

    crop: int = 256
    batch: int = 1
    pair_batch: int | None = None
    order: Order = "random"
    foreground: float = 0.0
    excluded: float = 0.0
    pad: Pad = "error"
    seed: int = 0
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        for name, choices in (("order", get_args(Order)), ("pad", get_args(Pad))):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name}={getattr(self, name)!r}: expected one of {', '.join(choices)}."
                )
        counts = (self.crop, self.batch, 1 if self.pair_batch is None else self.pair_batch)
        if min(counts) < 1 or self.seed < 0:
            raise InputError(f"{self}: crop and batch must be at least 1, the seed at least 0.")
        if not (0 <= self.foreground <= 1 and 0 <= self.excluded <= 1):
            raise InputError(f"{self}: foreground and excluded are shares from 0 to 1.")
        if 0 < self.augment.resize < self.crop:
            raise InputError(
                f"Images of resize={self.augment.resize} px hold no crop of {self.crop} px; take "
                "a larger resize or smaller crops."
            )

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Sampling:
        """Read what `to_json` gave, also through JSON; unknown fields are refused."""
        try:
            given = dict(values)
            augment: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in given.pop("augment", {}).items()
            }
            return cls(augment=Augment(**augment), **given)
        except (TypeError, AttributeError) as error:
            raise InputError(f"This describes no sampling: {error}.") from error


@dataclass(frozen=True, slots=True)
class _Stream:
    """Crops that are drawn together, and under which names they come."""

    code: int
    crops: Crops
    sides: tuple[str, ...]
    prefix: str
    weight: str | None
    count: int
    styled: bool


class Sampler:
    """The batch of every step.

    Parameters
    ----------
    sampling
        How crops are drawn.
    a, b
        Domains whose crops are drawn independently, as "a" and "b".
    pairs
        Registered images, whose crops are of the same place: as "a" and "b" if there are no
        domains beside them, else (semi-supervised) as "pair_a" and "pair_b".
    rank, ranks
        Which of several processes this is, that each take crops of their own.

    Raises
    ------
    InputError
        If there is nothing to sample, or an image is smaller than the crop (and not mirrored).
    """

    def __init__(
        self, sampling: Sampling, a: Domain | None = None, b: Domain | None = None,
        pairs: Pairs | None = None, *, rank: int = 0, ranks: int = 1,
    ) -> None:  # fmt: skip
        self.sampling, self._rank, self._ranks = sampling, rank, ranks
        streams = []
        for code, (side, domain) in enumerate((("a", a), ("b", b))):
            if domain is not None:
                streams.append(self._stream(code, [domain], (side,), "", f"{side}_weight"))
        if pairs is not None:
            prefix = "pair_" if streams else ""
            sides = [pairs.a, pairs.b]
            streams.append(self._stream(2, sides, ("a", "b"), prefix, f"{prefix}weight"))
        if not streams:
            raise InputError("There is nothing to train on; give domains, pairs, or both.")
        self._streams = tuple(streams)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step.

        Returns
        -------
        dict
            "a", "b", "pair_a", "pair_b", as far as there are such images: (b, c, y, x) float32 as
            the networks take them. Where images have weights, "weight" or "pair_weight" of pairs,
            "a_weight", "b_weight" of unpaired ones: (b, 1, y, x) float32. Where pairs have styles,
            "style": (b,) int64, 0 for none.
        """
        batch: dict[str, Tensor] = {}
        for stream in self._streams:
            items = [self._item(stream, step, slot) for slot in range(stream.count)]
            batch |= {key: torch.stack([item[key] for item in items]) for key in items[0]}
        return batch

    def _stream(
        self, code: int, domains: Sequence[Domain], sides: tuple[str, ...], prefix: str,
        weight: str,
    ) -> _Stream:  # fmt: skip
        how = self.sampling
        scenes: list[Scene] = list(zip(*(d.pictures for d in domains), strict=True))
        _check_sizes(scenes, how)
        crops = Crops(
            scenes, [d.keep for d in domains], size=how.crop, augment=how.augment,
            epochs=how.order == "epoch", foreground=how.foreground, limit=how.excluded,
            seed=(how.seed, code),
        )  # fmt: skip
        weighted = any(p.weight is not None for scene in scenes for p in scene)
        count = how.pair_batch if prefix and how.pair_batch is not None else how.batch
        styled = any(scene[0].style for scene in scenes)
        return _Stream(code, crops, sides, prefix, weight if weighted else None, count, styled)

    def _item(self, stream: _Stream, step: int, slot: int) -> dict[str, Tensor]:
        """One crop of each of the pictures that lie on each other."""
        number = (step * self._ranks + self._rank) * stream.count + slot
        rng = np.random.default_rng([self.sampling.seed, stream.code, step, self._rank, slot, 1])
        crop = stream.crops.draw(number, rng)
        values = dict(zip(stream.sides, stream.crops.read(crop), strict=True))
        if stream.weight is not None:
            values["weight"] = stream.crops.read_weight(crop)
        values = _varied(values, self.sampling.augment, rng)
        names = {side: f"{stream.prefix}{side}" for side in stream.sides}
        names["weight"] = stream.weight or ""
        found = {names[side]: each for side, each in values.items()}
        return found | ({"style": torch.tensor(stream.crops.style(crop))} if stream.styled else {})


def _varied(
    values: dict[str, Tensor], augment: Augment, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Change values: colours of both domains if asked, the rest of the input alone."""
    shift = draw_shift(augment, rng)
    for side in ("a", "b") if augment.colour_on == "both" else ("a",):
        if side in values:
            values[side] = shift(values[side])
    if "a" not in values:
        return values
    others = [side for side in values if side != "a"]
    beside = torch.cat([values["a"][:0], *(values[side] for side in others)])
    image, beside = flip_relief(values["a"], beside, augment, rng)
    parts = beside.split([len(values[side]) for side in others]) if others else ()
    return {"a": vary_values(image, augment, rng)} | dict(zip(others, parts, strict=True))


def _check_sizes(scenes: Sequence[Scene], how: Sampling) -> None:
    if how.pad == "mirror" or how.augment.resize:
        return
    small = [p for scene in scenes for p in scene[:1] if min(p.shape) < how.crop]
    if small:
        sizes = ["{} ({} × {})".format(p.name, *p.shape) for p in small]
        raise InputError(
            f"{len(small)} of {len(scenes)} images are smaller (y × x) than crops of {how.crop} "
            f"px: {listed(sizes)}. Take crops of at most {min(min(p.shape) for p in small)} px, "
            "leave these images out, or have them mirrored with pad='mirror'."
        )
