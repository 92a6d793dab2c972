"""Whether a model gives what its package says: the test that is packed with it."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import ModelError, TinctureWarning
from napari_tincture.models.packages._archive import Archive
from napari_tincture.models.packages._description import SPATIAL, Tensor, Tolerance

if TYPE_CHECKING:
    from napari_tincture.models.model import Model

OnMismatch = Literal["error", "warn"]
Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a result is off the expected one.

    Attributes
    ----------
    largest
        Of the absolute differences.
    per_million
        Values of a million that differ by more than is allowed.
    """

    largest: float
    per_million: float


def read_test(archive: Archive, tensor: Tensor) -> Values | None:
    """A test tensor as (b, c, y, x); None if the package has none.

    Raises
    ------
    ModelError
        If it is missing, damaged, holds objects, or has other axes.
    """
    if tensor.test is None:
        return None
    content = archive.read(str(tensor.test), tensor.test_sha256)
    try:
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ModelError(
            f"The test tensor {tensor.test} cannot be read: {error}. Expected an .npy file of "
            "numbers."
        ) from error
    if not isinstance(values, np.ndarray) or values.ndim != len(tensor.axes):
        raise ModelError(
            f"The test tensor {tensor.test} has the shape {np.shape(values)}; its axes are "
            f"{tensor.letters!r}."
        )
    return _arranged(values, tensor.letters)


def _arranged(values: Values, letters: str) -> Values:
    order = [letter for letter in "bc" + SPATIAL if letter in letters]
    values = values.transpose([letters.index(letter) for letter in order])
    for place, letter in enumerate("bc" + SPATIAL):
        if letter not in order:
            values = np.expand_dims(values, place)
    if values.shape[2] != 1:
        raise ModelError(
            f"A test tensor has {values.shape[2]} planes; models of one are supported."
        )
    return values[:, :, 0]


def compare(model: Model, image: Values, expected: Values, allowed: Tolerance) -> Difference:
    """Run a model on the test's image, and compare where the package's output lies.

    Parameters
    ----------
    image, expected
        (b, c, y, x).
    """
    import torch

    result = model.predict(torch.from_numpy(np.ascontiguousarray(image))).numpy()
    rim = [(a - b) // 2 for a, b in zip(result.shape[2:], expected.shape[2:], strict=True)]
    y, x = (slice(r, n - r) for r, n in zip(rim, result.shape[2:], strict=True))
    result = result[:, :, y, x] if min(rim) >= 0 else result
    if result.shape != expected.shape:
        raise ModelError(
            f"The package's test gave the shape {result.shape}, expected {expected.shape}: the "
            "package does not fit its description."
        )
    gap = np.abs(result - expected.astype(np.float64))
    limit = allowed.absolute + allowed.relative * np.abs(expected.astype(np.float64))
    wrong = np.count_nonzero(~(gap <= limit))  # NaN is wrong
    return Difference(float(gap.max(initial=0)), 1e6 * wrong / max(gap.size, 1))


def check(
    model: Model, image: Values | None, expected: Values | None, allowed: Tolerance,
    on_mismatch: OnMismatch,
) -> None:  # fmt: skip
    """Report a model that does not give what its package says.

    Raises
    ------
    ModelError
        If it differs by more than is allowed, and `on_mismatch` is "error".
    """
    if image is None or expected is None:
        _warn(f"The package of {model.card.name!r} holds no test; its result was not checked.")
        return
    found = compare(model, image, expected, allowed)
    if found.per_million <= allowed.per_million:
        return
    text = (
        f"The package of {model.card.name!r} does not give its own test's result: the largest "
        f"difference is {found.largest:.3g}, and {found.per_million:.0f} of a million values are "
        f"off by more than {allowed.absolute:g} + {allowed.relative:g} × the value."
    )
    if on_mismatch == "error":
        raise ModelError(
            f"{text} Pass on_mismatch='warn' to have it all the same.",
            panel=f"{text} Tick 'even if its test fails' to have it all the same.",
        )
    _warn(text)


def _warn(text: str) -> None:
    warnings.warn(text, TinctureWarning, stacklevel=4)
