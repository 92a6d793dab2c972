"""What a package does before and after its network: a card's normalisation, and steps per pixel."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_tincture.errors import ModelError, TinctureWarning
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.models.packages._description import Step, Tensor

FLOATS = ("float32", "float64")
LARGEST_EPS = 1e-4
"""A larger one beside a standard deviation or range changes values visibly; ours divide by it."""

Item = dict[str, Any]


@dataclass
class Before:
    """What is done to the image.

    Attributes
    ----------
    normalisation
        What is measured of the whole plane, and what folds into it.
    items
        The rest, as `napari_tincture.models.networks.packaged` takes it.
    dtype
        In what type the network gets its values.
    """

    normalisation: Normalisation = field(default_factory=Normalisation)
    items: list[Item] = field(default_factory=list)
    dtype: str = "float32"

    def add_statistics(self, found: Normalisation, step: Step) -> None:
        """Take statistics of the plane; only fixed scaling may stand before."""
        if self.items or self.normalisation.clip or self.normalisation.needs_image:
            raise _cannot(step, "statistics of what other steps made of the image")
        self.normalisation = found

    def add(self, item: Item) -> None:
        """Take a step per pixel; scaling and clipping fold into the normalisation."""
        norm = self.normalisation
        if not self.items and norm.clip is None:
            if item["do"] == "affine" and _single(item) and item["gain"] > 0:
                scaled = _scaled(norm, item["gain"], item["offset"])
                if scaled is not None:
                    self.normalisation = scaled
                    return
            if item["do"] == "clip":
                self.normalisation = dataclasses.replace(norm, clip=(item["low"], item["high"]))
                return
        self.items.append(item)


def before(tensor: Tensor) -> Before:
    """Map what is done to an input.

    Raises
    ------
    ModelError
        If a step has no counterpart; the message names it.
    """
    found = Before(dtype="float32" if tensor.steps else tensor.dtype)
    several = len(tensor.channels) > 1
    for step in tensor.steps:
        if step.name == "ensure_dtype":
            found.dtype = str(step.kwargs["dtype"])
            # The image itself has that type, or one whose values are taken as they are.
            if found.dtype not in FLOATS and _changed(found):
                found.items.append({"do": "whole"})
        elif step.name == "zero_mean_unit_variance":
            _check_plane(step, tensor, several)
            found.add_statistics(Normalisation("standard"), step)
        elif step.name == "scale_range":
            _check_plane(step, tensor, several)
            low = float(step.kwargs.get("min_percentile", 0))
            high = float(step.kwargs.get("max_percentile", 100))
            if step.kwargs.get("reference_tensor") not in (None, tensor.name):
                raise _cannot(step, "statistics of another tensor")
            found.add_statistics(Normalisation("percentile", low, high), step)
        else:
            found.add(pointwise(step))
    return found


def _changed(found: Before) -> bool:
    return bool(found.items) or found.normalisation != Normalisation()


def after(tensor: Tensor) -> list[Item]:
    """Map what is done to an output.

    Raises
    ------
    ModelError
        If a step has no counterpart; the message names it.
    """
    found = []
    for step in tensor.steps:
        if step.name == "ensure_dtype":
            if step.kwargs["dtype"] not in (*FLOATS, "float16"):
                found.append({"do": "whole"})
        else:
            found.append(pointwise(step))
    # A threshold gives whole numbers already.
    return [
        item
        for n, item in enumerate(found)
        if not (item["do"] == "whole" and n and found[n - 1]["do"] in ("binarize", "whole"))
    ]


def pointwise(step: Step) -> Item:
    """A step that looks at one pixel at a time."""
    given = step.kwargs
    if given.get("axis", "c") != "c":
        raise _cannot(step, f"values along the axis {given['axis']!r}")
    if step.name == "sigmoid":
        return {"do": "sigmoid"}
    if step.name == "softmax":
        return {"do": "softmax"}
    if step.name == "binarize":
        return {"do": "binarize", "threshold": given["threshold"]}
    if step.name == "scale_linear":
        return {"do": "affine", "gain": given.get("gain", 1.0), "offset": given.get("offset", 0.0)}
    if step.name == "fixed_zero_mean_unit_variance":
        return _standard(given["mean"], given["std"])
    if step.name == "clip" and not {"min_percentile", "max_percentile"} & {
        key for key, value in given.items() if value is not None
    }:
        low, high = given.get("min"), given.get("max")
        least, most = -3.4e38, 3.4e38
        return {
            "do": "clip",
            "low": least if low is None else float(low),
            "high": most if high is None else float(high),
        }
    raise _cannot(step, "a step that looks beyond one pixel, or is not known")


def _standard(mean: Any, std: Any) -> Item:
    means = mean if isinstance(mean, list) else [mean]
    stds = std if isinstance(std, list) else [std]
    count = max(len(means), len(stds))
    means, stds = (values * count if len(values) == 1 else values for values in (means, stds))
    gain = [1 / float(value) for value in stds]
    offset = [-float(m) * g for m, g in zip(means, gain, strict=True)]
    single = count == 1
    return {
        "do": "affine",
        "gain": gain[0] if single else gain,
        "offset": offset[0] if single else offset,
    }


def _single(item: Item) -> bool:
    return not isinstance(item["gain"], list) and not isinstance(item["offset"], list)


def _scaled(norm: Normalisation, gain: float, offset: float) -> Normalisation | None:
    """The normalisation followed by fixed scaling; None where it cannot say so."""
    if norm.kind == "standard":
        return None
    low, high = norm.target if norm.kind != "none" else (0.0, 1.0)
    kind = "range" if norm.kind == "none" else norm.kind
    target = (low * gain + offset, high * gain + offset)
    return dataclasses.replace(norm, kind=kind, target=target)


def _check_plane(step: Step, tensor: Tensor, several: bool) -> None:
    """Whether statistics are those of each channel's plane, or may be taken for them."""
    eps = float(step.kwargs.get("eps", 1e-6))
    if eps > LARGEST_EPS:
        raise _cannot(step, f"eps={eps} (up to {LARGEST_EPS} makes no difference here)")
    axes = step.kwargs.get("axes")
    taken = set(tensor.letters if axes is None else axes)
    if several and "c" in taken:
        raise _cannot(step, "statistics of all channels together")
    lacking = {axis for axis in "yx" if axis not in taken}
    if lacking:
        raise _cannot(step, f"statistics of each {' and '.join(sorted(lacking))} alone")
    if axes is not None and "b" in axes:
        warnings.warn(
            f"The package takes {step.name} of a whole data set; here it is taken of each plane.",
            TinctureWarning,
            stacklevel=2,
        )


def output_range(steps: Sequence[Item], tensor: Tensor) -> tuple[float, float]:
    """The range of an output's values."""
    for item in reversed(steps):
        if item["do"] in ("sigmoid", "softmax", "binarize"):
            return 0.0, 1.0
        if item["do"] == "clip" and item["high"] < 3e38 and item["low"] > -3e38:
            return item["low"], item["high"]
    low, high = tensor.limits
    return (float(low), float(high)) if low is not None and high is not None else (0.0, 1.0)


def _cannot(step: Step, why: str) -> ModelError:
    kwargs = ", ".join(f"{key}={value!r}" for key, value in step.kwargs.items())
    return ModelError(
        f"The package's step {step.name}({kwargs}) cannot be mapped: {why}. Use the package with "
        "bioimageio.core, or ask who made it for one without that step."
    )
