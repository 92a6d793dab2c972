"""Finding a map on which patches of two planes agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_tincture.alignment.coarse import ROTATIONS, candidates
from napari_tincture.alignment.fit import Model, agreement, chosen, fitted, residuals
from napari_tincture.alignment.gray import Gray, lowered, steps_between
from napari_tincture.alignment.match import Feature
from napari_tincture.alignment.patches import (
    LEAST,
    MARGIN,
    REACH,
    SIDE,
    Found,
    Look,
    Texture,
    places,
    searched,
    texture,
)  # fmt: skip
from napari_tincture.progress import CancelToken
from napari_tincture.regrid import FloatArray, OnGrid, pixel_map

CHANCE = -12.0
"""Natural logarithm of the number of false alarms below which patches are believed."""
FEWEST = 4
"""Patches that must agree."""
CERTAIN, SURE = -20.0, 0.4
"""The same, and part of the patches, from which no other place is searched for."""
LEAST_REACH = 8
"""Fewest pixels that patches are searched for."""
FINER = 4
"""Ratio of one grid's step to the next."""
FEATURES: tuple[Feature, ...] = ("intensity", "gradient")


@dataclass
class Guess:
    """A map of the reference's pixels, and what speaks for it.

    Attributes
    ----------
    matrix
        From pixels (y, x, 1) of the reference to those where the image shows the same.
    log_chance
        See `fit.Agreement`.
    part
        Of the patches, 0 … 1, that agree.
    found, inliers
        Where patches were found, and which of them agree.
    look
        How they were looked for.
    """

    matrix: FloatArray
    log_chance: float
    part: float
    found: Found
    inliers: npt.NDArray[np.bool_]
    look: Look


@dataclass
class Search:
    """Two planes, and small ones of them, in memory.

    Attributes
    ----------
    image, reference, small
        The planes as they are, and the small ones, in this order.
    model
        The most general map that may be found.
    problem
        Why there is nothing to be searched for; empty if there is.
    asked
        Most patches looked for at once.
    """

    image: Gray
    reference: Gray
    small: tuple[Gray, Gray]
    model: Model
    cancel: CancelToken
    problem: str = ""
    asked: int = 0

    @classmethod
    def begin(cls, image: Gray, reference: Gray, model: Model, cancel: CancelToken) -> Search:
        """Reduce two planes to small ones, and see whether there is anything to be found."""
        shape = _sides(reference)
        centre = (np.array(shape) - 1) / 2
        to_image = pixel_map(image.raster, reference.raster)
        small = (
            lowered(image, (to_image @ [*centre, 1.0])[:2].tolist(), cancel),
            lowered(reference, centre.tolist(), cancel),
        )
        search = cls(image, reference, small, model, cancel)
        search.problem = search._problem()
        return search

    def _problem(self) -> str:
        for gray, small, name in (
            (self.image, self.small[0], "image"), (self.reference, self.small[1], "reference")
        ):  # fmt: skip
            if min(_sides(gray)) < LEAST + 2 * MARGIN:
                return f"the {name} of {_sides(gray)} pixels is too small"
            plane, valid = small.on(np.eye(3), _sides(small))
            if not valid.any() or plane[valid].min() == plane[valid].max():
                return f"the {name} shows nothing, all its values are equal"
        seen = OnGrid(self.image.raster, self._map(self.image), _sides(self.reference)).overlap()
        return "" if seen > 0 else "the two do not overlap where they lie in the world"

    def _map(self, gray: Gray) -> FloatArray:
        return pixel_map(gray.raster, self.reference.raster)

    def steps(self) -> list[float]:
        """Pixels of the reference per pixel of each grid, the coarsest first."""
        finest = max(1.0, 1 / float(steps_between(self.reference.raster, self.image.raster).mean()))
        step = float(steps_between(self.small[1].raster, self.reference.raster).mean())
        result = []
        while step > 1.5 * finest:
            result.append(step)
            step /= FINER
        return [*result, finest]

    def look(self, step: float) -> Look:
        """Choose what is read on a grid: the small planes where they are fine enough."""
        sources = []
        for gray, small in zip((self.image, self.reference), self.small, strict=True):
            own = steps_between(small.raster, self.reference.raster).mean()
            sources.append(small if own <= step * 1.01 else gray)
        sides = self._shortest(*sources) / step
        largest = SIDE if step == self.steps()[-1] else SIDE // 2
        side = int(np.clip(2 ** int(np.log2(max(sides / 3.5, 1))), LEAST, largest))
        image, reference = sources
        return Look(
            image, reference, self._map(image), self._map(reference), _sides(self.reference), step,
            side,
        )  # fmt: skip

    def _shortest(self, *sources: Gray) -> float:
        """The shortest side of what is read, in pixels of the reference."""
        return min(
            float(n * s)
            for gray in sources
            for n, s in zip(
                _sides(gray), steps_between(gray.raster, self.reference.raster), strict=True
            )
        )

    def first_look(self) -> tuple[Guess, Feature] | None:
        """Find a map that patches agree on, and by which feature."""
        look = self.look(self.steps()[0])
        sides = self._shortest(look.image, look.reference) / look.step
        reach = int(np.clip(sides / 8, LEAST_REACH, REACH))
        best: tuple[Guess, Feature] | None = None
        for matrix, feature in self._guesses():
            tried = self.tried(look, matrix, reach, feature)
            if tried and (best is None or tried.log_chance < best[0].log_chance):
                best = tried, feature
            if tried and tried.part >= SURE and tried.log_chance < CERTAIN:
                break
        return best if best is not None and best[0].log_chance < CHANCE else None

    def _guesses(self) -> Iterator[tuple[FloatArray, Feature]]:
        """Maps to try, and by which feature: the likeliest and cheapest first."""
        yield from ((np.eye(3), feature) for feature in FEATURES)
        maps = tuple(self._map(gray) for gray in self.small)
        for angles in ((0.0,), ROTATIONS):
            for feature in FEATURES:
                self.cancel.check()
                listed = candidates(*self.small, maps[0], maps[1], feature, angles)
                yield from ((candidate.matrix, feature) for candidate in listed)

    def tried(self, look: Look, matrix: FloatArray, reach: int, feature: Feature) -> Guess | None:
        """Look for patches where a map says they are, and improve it; None if they disagree."""
        centres = places(look, matrix, reach, self.texture)
        self.asked = max(self.asked, len(centres))
        found = searched(look, centres, matrix, reach, feature, self.cancel.check)
        # What the guess explains, however far it turns, is not asked again.
        back = np.linalg.inv(matrix)
        there = found.found @ back[:2, :2].T + back[:2, 2]
        agreed = agreement(
            self.even(found.places), self.even(there), found.reach, look.step,
            independent(found.places, look),
        )  # fmt: skip
        count = int(agreed.inliers.sum())
        if count < FEWEST:
            return None
        guess = Guess(matrix, agreed.log_chance, count / found.asked, found, agreed.inliers, look)
        kept = found.places[agreed.inliers], found.found[agreed.inliers]
        guess.matrix = self.fit(*kept, self.model_of(guess))
        return guess

    def model_of(self, guess: Guess) -> Model:
        """The simplest map that explains where patches were found."""
        inside = guess.inliers
        places, found = (self.even(p[inside]) for p in (guess.found.places, guess.found.found))
        return chosen(
            places, found, self.model, independent(guess.found.places[inside], guess.look)
        )

    def distances(self, guess: Guess) -> FloatArray:
        """What an affine map leaves of the patches that agree, in pixels of the reference; (n,)."""
        inside = guess.inliers
        places, found = (self.even(p[inside]) for p in (guess.found.places, guess.found.found))
        return residuals(places, found, fitted(places, found, "affine"))

    def fit(self, places: FloatArray, found: FloatArray, model: Model) -> FloatArray:
        """Fit a map of the reference's pixels, whose sides may differ."""
        matrix = fitted(self.even(places), self.even(found), model)
        sides = np.diag([*self.aspect, 1.0])
        result: FloatArray = np.linalg.inv(sides) @ matrix @ sides
        return result

    @cached_property
    def texture(self) -> Texture:
        """How much there is to see around places of the reference."""
        return texture(self.small[1], self._map(self.small[1]))

    def even(self, points: FloatArray) -> FloatArray:
        """Points (y, x) in coordinates in which a rotation of the world is one."""
        return points * self.aspect

    @property
    def aspect(self) -> FloatArray:
        """Sides of the reference's pixels over their mean."""
        size = self.reference.raster.pixel_size or np.abs(self.reference.raster.scale[-2:])
        result: FloatArray = np.array(size) / np.sqrt(np.prod(size))
        return result


def _sides(gray: Gray) -> tuple[int, int]:
    height, width = gray.raster.shape[-2:]
    return height, width


def independent(places: FloatArray, look: Look) -> float:
    """Part of what patches tell, 0 … 1, that is not told twice where they overlap."""
    if not len(places):
        return 1.0
    side = look.side * look.step
    covered = float(np.prod(np.ptp(places, axis=0) + side))
    return min(1.0, covered / (len(places) * side**2))
