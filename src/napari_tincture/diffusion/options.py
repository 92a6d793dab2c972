"""What the options of a sampler may be: said once, in the signature of its functions."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from napari_tincture.errors import InputError


@dataclass(frozen=True, slots=True)
class Between:
    """Range of a number, both ends included; given as ``Annotated[float, Between(0, 1)]``."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"a number of at least {self.low:g}"
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a sampler.

    Attributes
    ----------
    default
        What it is if nothing is chosen.
    kind
        Its annotation: ``bool``, a ``Literal`` or an ``Annotated`` number with its `Between`.
    """

    default: Any
    kind: Any

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that it cannot have.

        Raises
        ------
        InputError
            The message says what was expected.
        """
        if not self._may_be(value):
            raise InputError(f"{name}={value!r}: expected {self._expected()}.")

    def _may_be(self, value: Any) -> bool:
        if self.kind is bool:
            return isinstance(value, bool)
        number = isinstance(value, Real) and not isinstance(value, bool)
        if get_origin(self.kind) is Literal:
            choices = get_args(self.kind)
            return (number or isinstance(value, str)) and value in choices
        span = self._span()
        return number and math.isfinite(value) and span.low <= value <= span.high

    def _expected(self) -> str:
        if self.kind is bool:
            return "True or False"
        if get_origin(self.kind) is Literal:
            return f"one of {', '.join(map(repr, get_args(self.kind)))}"
        return str(self._span())

    def _span(self) -> Between:
        assert get_origin(self.kind) is Annotated, self.kind
        found: Between = get_args(self.kind)[1]
        return found


def options_of(
    functions: Iterable[Callable[..., Any]], given: tuple[str, ...]
) -> dict[str, Option]:
    """Options of some functions: their arguments but for those that are `given` by who calls."""
    found = {}
    for function in functions:
        hints = get_type_hints(function, include_extras=True)
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in given:
                found[name] = Option(parameter.default, hints[name])
    return found
