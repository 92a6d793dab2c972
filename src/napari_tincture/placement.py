"""Where an image lies in the world: all of napari's transforms, units and axis labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError

Matrix = tuple[tuple[float, ...], ...]
FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")

_PREFIXES = {
    "yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9, "micro": -6,
    "milli": -3, "centi": -2, "deci": -1, "": 0, "deca": 1, "hecto": 2, "kilo": 3, "mega": 6,
    "giga": 9, "tera": 12, "peta": 15, "exa": 18, "zetta": 21, "yotta": 24,
}  # fmt: skip
_MICROMETRES = {f"{prefix}meter": 10.0 ** (power + 6) for prefix, power in _PREFIXES.items()}
_MICROMETRES |= {"angstrom": 1e-4, "inch": 25400.0, "foot": 304800.0}
_ALIASES = {
    "": "pixel", "px": "pixel", "pixels": "pixel", "um": "micrometer", "µm": "micrometer",
    "μm": "micrometer", "micron": "micrometer", "microns": "micrometer", "nm": "nanometer",
    "mm": "millimeter", "cm": "centimeter", "m": "meter", "pm": "picometer", "å": "angstrom",
    "s": "second", "sec": "second", "ms": "millisecond", "min": "minute", "h": "hour",
    "in": "inch",
}  # fmt: skip


def unit_name(unit: object) -> str:
    """Spell a unit (text or a pint unit) as pint and OME-Zarr do, ``micrometer`` for ``µm``."""
    text = "pixel" if unit is None else str(unit).strip()
    lower = text.lower()
    if lower.endswith(("metre", "metres")):
        lower = lower.rstrip("s")[:-5] + "meter"
    if lower.rstrip("s") in _MICROMETRES:
        return lower.rstrip("s")
    return _ALIASES.get(text, _ALIASES.get(lower, text))


def micrometres(unit: str) -> float | None:
    """Give the length of a unit in µm; None if it is no length."""
    return _MICROMETRES.get(unit_name(unit))


@dataclass(frozen=True, slots=True)
class Placement:
    """The map from pixel indices to world coordinates, in napari's components.

    World = affine · (rotate · shear · diag(scale) · index + translate), over all axes of a
    raster in its own order (a channel axis has identity entries).

    Attributes
    ----------
    scale, translate : tuple of float
        Per axis, in `units` of that axis.
    rotate, shear : n × n nested tuples
        A rotation, and a triangular matrix with ones on its diagonal.
    affine : (n + 1) × (n + 1) nested tuples
        Applied last, in homogeneous coordinates.
    units : tuple of str
        Spelled as pint does; ``pixel`` where nothing is known.
    axis_labels : tuple of str
        The labels of the layer or file.

    Raises
    ------
    InputError
        If the sizes do not agree, or a value is not finite, or a scale is zero.
    """

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    rotate: Matrix
    shear: Matrix
    affine: Matrix
    units: tuple[str, ...]
    axis_labels: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.scale)
        shapes = {"translate": (n,), "rotate": (n, n), "shear": (n, n), "affine": (n + 1, n + 1)}
        for name, shape in {"scale": (n,), **shapes}.items():
            value = np.asarray(getattr(self, name), dtype=float)
            if value.shape != shape or not np.isfinite(value).all():
                raise InputError(
                    f"{name}={getattr(self, name)} does not place an image of {n} axes: finite "
                    f"numbers of shape {shape} are needed."
                )
        if 0 in self.scale:
            raise InputError(f"scale={self.scale} has a zero; give the size of a pixel per axis.")
        if not len(self.units) == len(self.axis_labels) == n:
            raise InputError(
                f"units={self.units} and axis_labels={self.axis_labels} must name {n} axes each."
            )

    @classmethod
    def build(
        cls,
        axis_labels: Sequence[str],
        *,
        scale: npt.ArrayLike | None = None,
        translate: npt.ArrayLike | None = None,
        rotate: npt.ArrayLike | None = None,
        shear: npt.ArrayLike | None = None,
        affine: npt.ArrayLike | None = None,
        units: object = None,
    ) -> Placement:
        """Make a placement from what is known; the rest is the identity, in pixels.

        Parameters
        ----------
        axis_labels : sequence of str
            One per axis; their number is the number of axes.
        scale, translate, rotate, shear, affine : array-like, optional
            As the attributes; `shear` also as napari's vector of upper triangular values. A
            shorter `scale` or `translate` belongs to the last axes.
        units : str or sequence, optional
            One unit for all axes, or one per axis.
        """
        n = len(axis_labels)
        names = [units] * n if units is None or not _is_sequence(units) else list(units)  # type: ignore[call-overload]
        return cls(
            scale=_vector(scale, 1.0, n),
            translate=_vector(translate, 0.0, n),
            rotate=_matrix(np.eye(n) if rotate is None else rotate),
            shear=_matrix(np.eye(n) if shear is None else _shear_matrix(shear, n)),
            affine=_matrix(np.eye(n + 1) if affine is None else affine),
            units=tuple(unit_name(unit) for unit in names),
            axis_labels=tuple(str(label) for label in axis_labels),
        )

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.scale)

    def linear(self) -> FloatArray:
        """Give rotate · shear · diag(scale), n × n, before the affine."""
        linear: FloatArray = np.asarray(self.rotate) @ np.asarray(self.shear) @ np.diag(self.scale)
        return linear

    def matrix(self) -> FloatArray:
        """Give the whole map from data to world, (n + 1) × (n + 1), homogeneous."""
        inner = np.eye(self.ndim + 1)
        inner[:-1, :-1] = self.linear()
        inner[:-1, -1] = self.translate
        whole: FloatArray = np.asarray(self.affine) @ inner
        return whole

    def crop(self, offsets: Sequence[float]) -> Placement:
        """Place a crop whose first pixel is at index `offsets` where it was in the whole."""
        if not any(offsets):
            return self
        moved = np.asarray(self.translate) + self.linear() @ np.asarray(offsets, dtype=float)
        return replace(self, translate=_vector(moved, 0.0, self.ndim))

    def level(self, factors: Sequence[float]) -> Placement:
        """Place a pyramid level whose pixels cover `factors` pixels of this one per axis."""
        step = np.asarray(factors, dtype=float)
        centred = self.crop([float(f) for f in (step - 1) / 2])
        return replace(centred, scale=_vector(np.asarray(self.scale) * step, 1.0, self.ndim))

    def drop(self, index: int) -> Placement:
        """Leave out an axis, at its first pixel, so that nothing moves along the others."""
        index %= self.ndim
        keep = [i for i in range(self.ndim) if i != index]
        world = self.matrix()[np.ix_([*keep, -1], [*keep, -1])]
        affine = np.array(self.affine)
        affine[:-1, -1] += affine[:-1, index] * self.translate[index]
        return self._select(keep, affine[np.ix_([*keep, -1], [*keep, -1])], world)

    def insert(self, index: int, label: str, unit: str = "pixel") -> Placement:
        """Add an axis before position `index`, with identity entries."""
        n = self.ndim + 1
        old = [i for i in range(n) if i != index]
        rotate, shear, affine = np.eye(n), np.eye(n), np.eye(n + 1)
        rotate[np.ix_(old, old)] = self.rotate
        shear[np.ix_(old, old)] = self.shear
        affine[np.ix_([*old, -1], [*old, -1])] = self.affine
        return Placement(
            _inserted(self.scale, index, 1.0), _inserted(self.translate, index, 0.0),
            _matrix(rotate), _matrix(shear), _matrix(affine),
            _inserted(self.units, index, unit_name(unit)),
            _inserted(self.axis_labels, index, label),
        )  # fmt: skip

    def permute(self, order: Sequence[int]) -> Placement:
        """Reorder the axes; `order` as for ``numpy.transpose``."""
        if list(order) == list(range(self.ndim)):
            return self
        homogeneous = np.ix_([*order, -1], [*order, -1])
        return self._select(order, np.array(self.affine)[homogeneous], self.matrix()[homogeneous])

    def _select(self, keep: Sequence[int], affine: FloatArray, world: FloatArray) -> Placement:
        """Take axes out of every component; fold all into the affine where that is not exact."""
        square = np.ix_(list(keep), list(keep))
        rotate, shear = np.array(self.rotate)[square], np.array(self.shear)[square]
        scale = np.array(self.scale)[list(keep)]
        result = Placement.build(
            [self.axis_labels[i] for i in keep], units=[self.units[i] for i in keep], scale=scale,
            translate=np.array(self.translate)[list(keep)], affine=affine, rotate=rotate,
            shear=shear,
        )  # fmt: skip
        rounding = 1e-12 * np.abs(world[:-1, :-1]).max()
        exact = np.allclose(result.matrix(), world, rtol=1e-12, atol=rounding)
        if exact and _is_triangular(shear):
            return result
        folded = world @ np.diag([*(1 / scale), 1.0])
        return Placement.build(result.axis_labels, scale=scale, affine=folded, units=result.units)

    def pixel_size(self, index: int) -> float | None:
        """Give the distance between neighbours along an axis in µm; None without such a unit."""
        lengths = [micrometres(unit) for unit in self.units]
        if lengths[index] is None:
            return None
        # Other axes count only where they are lengths: a rotation never mixes in time or channel.
        column = self.matrix()[:-1, index % self.ndim] * np.array(
            [length or 0.0 for length in lengths]
        )
        return float(np.linalg.norm(column))

    def layer_options(self) -> dict[str, Any]:
        """Give the keyword arguments of a napari layer with these axes."""
        return {
            "scale": np.array(self.scale), "translate": np.array(self.translate),
            "rotate": np.array(self.rotate), "shear": np.array(self.shear),
            "affine": np.array(self.affine), "units": self.units,
            "axis_labels": self.axis_labels,
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Give a JSON-serialisable dict; numbers survive exactly."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Placement:
        """Rebuild a placement from `to_json`."""
        return cls.build(**{f.name: data[f.name] for f in fields(cls)})


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _vector(values: npt.ArrayLike | None, fill: float, n: int) -> tuple[float, ...]:
    given = [] if values is None else np.atleast_1d(np.asarray(values, dtype=float)).tolist()
    return tuple([fill] * (n - len(given)) + given)


def _matrix(values: npt.ArrayLike) -> Matrix:
    return tuple(tuple(row) for row in np.atleast_2d(np.asarray(values, dtype=float)).tolist())


def _shear_matrix(shear: npt.ArrayLike, n: int) -> FloatArray:
    values = np.asarray(shear, dtype=float)
    if values.ndim == 2:
        return values
    size = int((1 + np.sqrt(1 + 8 * values.size)) / 2)
    result = np.eye(n)
    corner = result[n - size :, n - size :]
    corner[np.triu_indices(size, k=1)] = values
    return result


def _is_triangular(matrix: FloatArray) -> bool:
    return np.array_equal(matrix, np.triu(matrix)) or np.array_equal(matrix, np.tril(matrix))


def _inserted(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index:])
