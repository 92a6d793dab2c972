"""A network of a model package, with what the package does before and after it.

The network may be one of ours, Python code of the package, or a program (TorchScript, ONNX).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.grid import Geometry
from napari_tincture.models.layers.opaque import OPAQUE, OpaqueNetwork, Sizes
from napari_tincture.models.programs import CALLS, build_source
from napari_tincture.models.registry import build_network

SMALL = {
    "in_channels": 2,
    "out_channels": 3,
    "network": {
        "architecture": "unet",
        "options": {"in_channels": 2, "out_channels": 3, "depth": 2, "width": 4, "padded": True},
    },
    "before": [{"do": "affine", "gain": [2.0, 0.5], "offset": [0.1, -0.1]}],
    "after": [{"do": "sigmoid"}],
}
"""Options of a network that tests and demonstrations can afford."""
PLAIN = "bcyx"
LETTERS = "bczyx"


def build(
    in_channels: int = 1,
    out_channels: int = 1,
    network: Mapping[str, Any] | None = None,
    before: Sequence[Mapping[str, Any]] = (),
    after: Sequence[Mapping[str, Any]] = (),
    input_axes: str = PLAIN,
    output_axes: str = PLAIN,
    output: int = 0,
) -> Packaged:
    """Build the network of a package; programs are filled in with the weights.

    Parameters
    ----------
    in_channels, out_channels
        Channels of the image and of the result.
    network
        ``{"architecture", "options"}`` of ours; ``{"kind", "sizes", …}`` of a program, see
        `napari_tincture.models.programs` (with "sizes", arguments of `opaque.Sizes`, it is not
        measured); or what `build_source` there takes, Python code that is not run without
        consent. None: a small U-Net.
    before, after
        Steps per pixel, in order: ``{"do": "affine", "gain", "offset"}`` and ``{"do": "binarize",
        "threshold"}`` (numbers, or one per channel), ``{"do": "clip", "low", "high"}``,
        ``{"do": "sigmoid"}``, ``{"do": "softmax"}``, ``{"do": "whole"}`` (rounded to zero).
    input_axes, output_axes
        Order of the network's axes, of b, c, z, y and x; z is of length 1, b and c may lack.
    output
        Which tensor is taken where the network gives several.

    Raises
    ------
    ModelError
        If an option is unknown.
    ConsentError
        If code would be run without consent.
    """
    for axes in (input_axes, output_axes):
        if set(axes) - set(LETTERS) or not {"y", "x"} <= set(axes) or len(set(axes)) < len(axes):
            raise ModelError(f"Axes {axes!r}: expected each of {LETTERS} once, y and x always.")
    options = dict(network or _usual(in_channels, out_channels))
    kind, sizes = options.pop("kind", None), options.pop("sizes", None)
    if kind is not None and kind not in CALLS:
        raise ModelError(f"Unknown kind of program {kind!r}; known are {', '.join(CALLS)}.")
    inner = CALLS[kind](**options) if kind else _network(options)
    adapted: nn.Module = Adapted(inner, input_axes, output_axes, output)
    if sizes is not None:
        adapted = OpaqueNetwork(adapted, Sizes(**sizes))
    return Packaged(adapted, _steps(before, in_channels), _steps(after, out_channels))


def _usual(in_channels: int, out_channels: int) -> dict[str, Any]:
    options = {"in_channels": in_channels, "out_channels": out_channels, "depth": 2, "width": 4}
    return {"architecture": "unet", "options": {**options, "padded": True}}


def _network(options: Mapping[str, Any]) -> nn.Module:
    if "architecture" in options:
        return build_network(options["architecture"], options.get("options", {}))
    return build_source(**options)


def _steps(items: Sequence[Mapping[str, Any]], channels: int) -> nn.Sequential:
    return nn.Sequential(*(_step(dict(item), channels) for item in items))


def _step(item: dict[str, Any], channels: int) -> nn.Module:
    name = item.pop("do", None)
    if name not in STEPS:
        raise ModelError(f"Unknown step {name!r} of a package; known are {', '.join(STEPS)}.")
    taken = {key: _per_channel(value, channels, name) for key, value in item.items()}
    made: nn.Module = STEPS[name](**taken)
    return made


def _per_channel(value: Any, channels: int, name: str) -> Tensor:
    values = torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1)
    if len(values) not in (1, channels):
        raise ModelError(
            f"The step {name!r} has values for {len(values)} channels, the tensor has {channels}."
        )
    return values


class Packaged(nn.Module):
    """From (batch, channel, y, x) to (batch, channel, y, x), float."""

    def __init__(self, inner: nn.Module, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.inner, self.after = before, inner, after

    @property
    def declared(self) -> tuple[Geometry, str] | None:
        """Geometry that the package states, and why; None where it can be measured."""
        if isinstance(self.inner, OpaqueNetwork):
            return self.inner.sizes.geometry, OPAQUE
        return None

    @property
    def network(self) -> nn.Module:
        """What the weights of the package belong to."""
        adapted = self.inner.run if isinstance(self.inner, OpaqueNetwork) else self.inner
        assert isinstance(adapted, Adapted)
        return adapted.network

    @property
    def margin(self) -> int:
        """Pixels lost on each side."""
        return self.declared[0].margin if self.declared else getattr(self.network, "margin", 0)

    @property
    def residue(self) -> int:
        """Legal input sides of an unpadded network are congruent to this modulo its stride."""
        return self.declared[0].remainder if self.declared else getattr(self.network, "residue", 0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, y, x) to (b, out_channels, y', x')."""
        result: Tensor = self.after(self.inner(self.before(x)))
        return result


class Adapted(nn.Module):
    """A network whose axes have another order, or that gives several tensors."""

    def __init__(self, network: nn.Module, given: str, taken: str, output: int) -> None:
        super().__init__()
        self.network, self.given, self.taken, self.output = network, given, taken, output

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, y, x) to (b, c', y', x')."""
        if "b" in self.given or len(x) == 1:
            return self._run(x)
        return torch.cat([self._run(item) for item in x.split(1)])

    def _run(self, x: Tensor) -> Tensor:
        result = self._picked(self.network(_forth(x, self.given)))
        if result.ndim != len(self.taken):
            raise ModelError(
                f"The network of the package gave {result.ndim} axes, its description says "
                f"{self.taken!r}. Ask who made it."
            )
        return _back(result.float() if not result.is_floating_point() else result, self.taken)

    def _picked(self, result: Any) -> Tensor:
        several = result if isinstance(result, list | tuple) else [result]
        found = several[self.output] if self.output < len(several) else None
        if not isinstance(found, Tensor):
            raise ModelError(
                f"The network of the package gave {len(several)} outputs, of which number "
                f"{self.output} is no tensor."
            )
        return found


def _forth(x: Tensor, axes: str) -> Tensor:
    """From (b, c, y, x) to axes in another order; those that lack are of length 1."""
    if axes == PLAIN:
        return x
    full = x.unsqueeze(2)
    dropped = [n for n, letter in enumerate(LETTERS) if letter not in axes]
    kept = [letter for letter in LETTERS if letter in axes]
    return full.squeeze(dropped).permute([kept.index(letter) for letter in axes])


def _back(x: Tensor, axes: str) -> Tensor:
    """From axes in another order to (b, c, y, x)."""
    if axes == PLAIN:
        return x
    kept = [letter for letter in LETTERS if letter in axes]
    x = x.permute([axes.index(letter) for letter in kept])
    for n, letter in enumerate(LETTERS):
        if letter not in kept:
            x = x.unsqueeze(n)
    return x.squeeze(2)


class Affine(nn.Module):
    """Values times a gain, plus an offset, per channel."""

    gain: Tensor
    offset: Tensor

    def __init__(self, gain: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("gain", gain, persistent=False)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, y, x) to the same shape."""
        return x * self.gain + self.offset


class Binarize(nn.Module):
    """1 above a threshold, else 0, per channel."""

    threshold: Tensor

    def __init__(self, threshold: Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, y, x) to the same shape."""
        return (x > self.threshold).to(x.dtype)


class Clip(nn.Module):
    """Values within limits."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.low, self.high = float(low), float(high)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, y, x) to the same shape."""
        return x.clamp(self.low, self.high)


class Whole(nn.Module):
    """Numbers without their fraction, as a cast to integers leaves them."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, y, x) to the same shape."""
        return x.trunc()


class Softmax(nn.Softmax):
    """Over the channels."""

    def __init__(self) -> None:
        super().__init__(dim=1)


STEPS: Mapping[str, Any] = {
    "affine": Affine, "binarize": Binarize, "clip": Clip, "sigmoid": nn.Sigmoid,
    "softmax": Softmax, "whole": Whole,
}  # fmt: skip
